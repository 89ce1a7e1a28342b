"""Conducts the search for a capacity: step after step, each stored as it ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from wsbench import machine
from wsbench.errors import WsbenchError
from wsbench.experiment.capacity_search import MeasuredLoad, NextLoad, Search, SearchEnd, best_so_far, decide
from wsbench.experiment.knee import capacity_knee
from wsbench.launcher.display import Display
from wsbench.launcher.locust_process import Interrupted
from wsbench.report.text import capacity_text
from wsbench.results import capacity_result
from wsbench.results.capacity_result import BOUND, CAPACITY_FILE, CONNECTIONS, GENERATOR, Capacity, CapacityStep
from wsbench.results.directory import replace_file

MOST = 1e6
"""Loads beyond are not looked for, unless somebody says so."""


def conduct(
    document: Capacity, search: Search, measure: Callable[[float], CapacityStep], directory: Path, display: Display
) -> Capacity:
    """Make steps until the search is at its end, and store each.

    Raises:
        WsbenchError: the first one could not be made.
    """
    while isinstance(following := decide(search, _seen(document)), NextLoad):
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
    return _stored(_found(document, following), directory)


def _seen(document: Capacity) -> list[MeasuredLoad]:
    return [MeasuredLoad(step.load, step.outcome) for step in document.steps]


def _stored(document: Capacity, directory: Path) -> Capacity:
    replace_file(directory / CAPACITY_FILE, capacity_result.encode(document))
    return document


def _stopped(document: Capacity, why: str) -> Capacity:
    held = best_so_far(_seen(document))
    return replace(document, answer=_answer(document, held, settled=False), knee=capacity_knee(document), stopped=why)


def _found(document: Capacity, found: SearchEnd) -> Capacity:
    document = replace(
        document,
        complete=True,
        answer=_answer(document, found.load, settled=found.settled),
        limited_by=found.limited_by,
        failed_at=found.failed_at,
        knee=capacity_knee(document),
    )
    if (
        found.limited_by == BOUND
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
    """As many as may be opened here."""
    room = machine.connections_of_a_process()
    return MOST if room is None else float(min(MOST, max(room, 1) * processes))
