"""The search for a capacity: step after step, each stored as it ends."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace

from wsbench import __version__, machine
from wsbench.errors import WsbenchError
from wsbench.experiment.capacity_search import NextLoad, Search, SearchEnd, best_so_far, decide
from wsbench.experiment.experiment_store import new_directory
from wsbench.experiment.load_curve import capacity_knee
from wsbench.launcher.interruptions import Interrupted
from wsbench.launcher.progress_display import ProgressLine
from wsbench.launcher.step_runs import Steps, StepSpec
from wsbench.report import stored_report
from wsbench.report.text import capacity_text
from wsbench.results import capacity_result
from wsbench.results.capacity_result import BOUND, CAPACITY_FILE, CONNECTIONS, GENERATOR, RATE, Capacity, CapacityStep
from wsbench.results.directory import REPORT_FILE, replace_file
from wsbench.results.json_files import encode_json
from wsbench.units import format_utc

MOST = 1e6
"""The highest load that is tried, unless --max names another."""


def search_capacity(spec: StepSpec, search: Search, name: str, display: ProgressLine) -> tuple[Capacity, Path]:
    """Search, and return the result and its directory; nothing is stored if the first step raises WsbenchError."""
    directory = new_directory(spec.request.options.results, name)
    capacity = _begin(spec, search, directory.name, name)
    display.say(f"{directory}: {capacity_text.describe(capacity)}")
    try:
        capacity = conduct(capacity, search, Steps(spec, directory, display), directory, display)
    except WsbenchError:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    replace_file(directory / REPORT_FILE, stored_report.of_capacity(directory))
    return capacity, directory


def _begin(spec: StepSpec, search: Search, id_: str, name: str) -> Capacity:
    options, searched = spec.at(search.bounds.start).options, RATE if spec.per_connection is None else CONNECTIONS
    return Capacity(
        schema=capacity_result.SCHEMA,
        id=id_,
        name=name,
        complete=False,
        started=format_utc(datetime.now(UTC)),
        wsbench=__version__,
        command=options.secrets.command(["wsbench", *sys.argv[1:]]),
        url=None if spec.target else options.connect.shown_url,
        target=spec.target,
        conditions=capacity_result.SearchConditions(
            connections=None if searched == CONNECTIONS else options.users,
            rate_per_connection=spec.per_connection,
            processes=options.processes,
            arrivals=options.arrivals,
            payload_size=options.payload_size,
            binary=options.binary,
            compression=options.connect.compression,
            tls=spec.tls,
            timeout_ns=options.timeout_ns,
        ),
        searched=searched,
        objectives=[objective.expression for objective in spec.objectives],
        default_objectives=spec.default_objectives,
        bounds=search.bounds,
        tolerance=search.tolerance,
    )


def conduct(
    document: Capacity, search: Search, measure: Callable[[float], CapacityStep], directory: Path, display: ProgressLine
) -> Capacity:
    """Make steps until the search ends, and store each; raise WsbenchError if the first one fails."""
    while isinstance(following := decide(search, document.steps), NextLoad):
        display.begin(capacity_text.step_started(document, following.load, following.held, following.failed))
        try:
            step = measure(following.load)
        except KeyboardInterrupt:
            if not document.steps:
                raise Interrupted from None
            return _stored(_stopped(document, capacity_result.INTERRUPTED), directory)
        except WsbenchError as error:
            if not document.steps:
                raise
            return _stored(_stopped(document, f"{error.what}; {error.remedy}".removesuffix("; ")), directory)
        document = _stored(replace(document, steps=[*document.steps, step]), directory)
        display.say(f"  {capacity_text.step_finished(document, step)}")
    return _stored(_ended(document, following), directory)


def _stored(document: Capacity, directory: Path) -> Capacity:
    replace_file(directory / CAPACITY_FILE, encode_json(document))
    return document


def _stopped(document: Capacity, why: str) -> Capacity:
    held = best_so_far(document.steps)
    return replace(document, answer=_answer(document, held, settled=False), knee=capacity_knee(document), stopped=why)


def _ended(document: Capacity, end: SearchEnd) -> Capacity:
    document = replace(
        document,
        complete=True,
        answer=_answer(document, end.load, settled=end.settled),
        limited_by=end.limited_by,
        failed_at=end.failed_at,
        knee=capacity_knee(document),
    )
    if (
        end.limited_by == BOUND
        and document.searched == CONNECTIONS
        and document.bounds.most == most_connections(document.conditions.processes)
    ):
        document = replace(document, limited_by=GENERATOR)
    return replace(document, limit=capacity_text.describe_limit(document))


def _answer(document: Capacity, load: float | None, *, settled: bool) -> capacity_result.CapacityAnswer | None:
    if load is None:
        return None
    step = next(step for step in document.steps if step.load == load)
    return capacity_result.CapacityAnswer(load, step.rate, step.connections, settled)


def most_connections(processes: int) -> float:
    """Return how many connections so many processes can open on this machine."""
    room = machine.connections_of_a_process()
    return MOST if room is None else float(min(MOST, max(room, 1) * processes))
