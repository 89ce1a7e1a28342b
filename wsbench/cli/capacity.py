"""`wsbench capacity`: the highest load at which a server holds its objectives."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from wsbench import __version__, machine
from wsbench.cli import run as cli_run
from wsbench.cli.params import POSITIVE_DURATION, Parsed
from wsbench.cli.params import RATE as RATE_TYPE
from wsbench.cli.progress import ProgressLine
from wsbench.cli.report import FILE as REPORT_FILE
from wsbench.cli.report import of_capacity
from wsbench.errors import UsageError, WsbenchError
from wsbench.experiment.capacity_search import Search
from wsbench.experiment.experiment_store import new_directory
from wsbench.launcher.local_target import check_target
from wsbench.launcher.locust_process import interruptible
from wsbench.launcher.search_loop import MOST, conduct, most_connections
from wsbench.launcher.step_runs import Steps, StepSpec
from wsbench.report.text import capacity_text, summary
from wsbench.results import capacity_result
from wsbench.results.capacity_result import CONNECTIONS, RATE, Bounds, Capacity
from wsbench.results.directory import replace_file
from wsbench.run import exit_codes
from wsbench.run.gates import check_known, parse_objective
from wsbench.units import format_utc

DEFAULT_OBJECTIVES = ("p99 < 100ms", "errors == 0")
_NAME = "capacity"
_START = {RATE: 100.0, CONNECTIONS: 10.0}
_LEAST = {RATE: 10.0, CONNECTIONS: 1.0}
_TOLERANCES = (0.01, 0.5)
_OF_RUN = (
    "users",
    "spawn_rate",
    "processes",
    "scenario",
    "tls",
    "target",
    "warmup",
    "drain",
    "arrivals",
    "payload_size",
    "payload_file",
    "binary",
    "compression",
    "header",
    "subprotocol",
    "origin",
    "ca",
    "insecure",
    "tls_resume",
    "source_ip",
    "timeout",
    "reconnect",
    "request_events",
    "set",
    "results",
    "name",
    "quiet",
)
"""Options that mean what they mean in `wsbench run`; the others are set by the search, or make no sense in it."""


def _capacity(url: str | None, **given: Any) -> int:
    """A search; its exit code."""
    spec, search = _checked(url, given)
    directory = new_directory(Path(given["results"]), given["name"] or _NAME)
    document = _begun(spec, search, directory, given)
    with ProgressLine(enabled=not given["quiet"]) as line, interruptible():
        line.say(f"{directory}: {capacity_text.describe(document)}")
        try:
            document = conduct(document, search, Steps(spec, directory, line), directory, line)
        except WsbenchError:
            shutil.rmtree(directory, ignore_errors=True)
            raise
    replace_file(directory / REPORT_FILE, of_capacity(directory))
    _say(document, directory, as_json=given["json"], quiet=given["quiet"])
    if document.stopped not in (None, capacity_result.INTERRUPTED):
        raise WsbenchError(f"the search could not go on: {document.stopped}", remedy=capacity_text.so_far(document))
    return exit_codes.of_capacity(document, strict=given["strict"])


def _checked(url: str | None, given: dict[str, Any]) -> tuple[StepSpec, Search]:
    """What is to be done, all of it checked before anything is started."""
    check_target(url, given["target"], tls=given["tls"], scenario=given["scenario"])
    searched = CONNECTIONS if given["connections"] else RATE
    _check_users(given)
    per_connection = (given["per_connection"] or 1.0) if given["connections"] else None
    if given["per_connection"] and not given["connections"]:
        raise UsageError("--per-connection goes with --connections", remedy="Without it, the rate is searched.")
    bounds = _bounds(searched, given)
    shortest_ns, longest_ns = given["duration"], max(given["longest"], given["duration"])
    objectives = given["slo"] or [parse_objective(text) for text in DEFAULT_OBJECTIVES]
    if given["scenario"] is None:
        check_known(objectives, "--slo")
    tls = given["tls"] if url is None else url.lower().startswith("wss:")
    if "tls" in {objective.series for objective in objectives} and not tls:
        raise UsageError("--slo: a connection without TLS has no tls series", remedy="Say wss://, or --tls.")
    spec = StepSpec(
        request=cli_run.request_of(url, {name: given[name] for name in _OF_RUN}),
        target=given["target"] if url is None else None,
        tls=tls,
        objectives=objectives,
        per_connection=per_connection,
        shortest_ns=shortest_ns,
        longest_ns=longest_ns,
    )
    for load in (bounds.start, bounds.most):
        spec.at(load)
    machine.check_descriptors(spec.at(bounds.most).options.users, given["processes"])
    return spec, Search(bounds, given["tolerance"], whole=searched == CONNECTIONS)


def _check_users(given: dict[str, Any]) -> None:
    source = click.get_current_context().get_parameter_source("users")
    if given["connections"] and source is click.core.ParameterSource.COMMANDLINE:
        raise UsageError(
            "--users and --connections: the number of connections is what is searched",
            remedy="Say where to --start, and the --max.",
        )


def _bounds(searched: str, given: dict[str, Any]) -> Bounds:
    start = given["start"] or min(max(_START[searched], given["min"] or 0.0), given["max"] or MOST)
    bounds = Bounds(
        start=start,
        least=given["min"] or min(_LEAST[searched], start),
        most=given["max"] or max(MOST if searched == RATE else most_connections(given["processes"]), start),
    )
    for option, value in (("--start", bounds.start), ("--min", bounds.least), ("--max", bounds.most)):
        if searched == CONNECTIONS and (value != int(value) or value < 1):
            raise UsageError(f"{option} {value:g} is no number of connections")
    if not bounds.least <= bounds.start <= bounds.most:
        raise UsageError(
            f"--min {bounds.least:g}, --start {bounds.start:g} and --max {bounds.most:g} are not in this order"
        )
    return bounds


def _begun(spec: StepSpec, search: Search, directory: Path, given: dict[str, Any]) -> Capacity:
    options = spec.at(search.bounds.start).options
    return Capacity(
        schema=capacity_result.SCHEMA,
        id=directory.name,
        name=given["name"] or _NAME,
        complete=False,
        started=format_utc(datetime.now(UTC)),
        wsbench=__version__,
        command=["wsbench", *sys.argv[1:]],
        url=None if spec.target else options.connect.url,
        target=spec.target,
        conditions=capacity_result.SearchConditions(
            connections=None if given["connections"] else options.users,
            rate_per_connection=spec.per_connection,
            processes=options.processes,
            arrivals=options.arrivals,
            payload_size=options.payload_size,
            binary=options.binary,
            compression=options.connect.compression,
            tls=spec.tls,
            timeout_ns=options.timeout_ns,
        ),
        searched=CONNECTIONS if given["connections"] else RATE,
        objectives=[objective.expression for objective in spec.objectives],
        default_objectives=not given["slo"],
        bounds=search.bounds,
        tolerance=search.tolerance,
    )


def _say(document: Capacity, directory: Path, *, as_json: bool, quiet: bool) -> None:
    if not quiet:
        output = sys.stderr if as_json else sys.stdout
        click.echo(
            summary.legible(capacity_text.render(document, str(directory)), output.encoding), nl=False, file=output
        )
    if as_json:
        click.echo(capacity_result.encode(document), nl=False)


def _tolerance(text: str) -> float:
    number = text.strip().removesuffix("%")
    try:
        value = float(number) / 100
    except ValueError:
        value = -1.0
    low, high = _TOLERANCES
    if not low <= value <= high:
        raise ValueError(f"{text!r} is no percentage from {100 * low:g}% to {100 * high:g}%")
    return value


def _options() -> Iterator[click.Parameter]:
    of_run = {str(param.name): param for param in cli_run.command.params}
    rate = RATE_TYPE
    yield of_run["url"]
    yield click.Option(
        ["--slo"],
        type=Parsed("objective", parse_objective),
        multiple=True,
        metavar="'EXPR'",
        help="An objective: 'p99 < 10ms', 'service.p99.9 < 20ms', 'lost == 0', 'errors < 0.1%'. Several must all hold. "
        f"Default: {' and '.join(map(repr, DEFAULT_OBJECTIVES))}.",
    )
    yield click.Option(["--connections"], is_flag=True, help="Search the number of connections, not the rate.")
    yield click.Option(
        ["--per-connection"],
        type=rate,
        metavar="R",
        help="With --connections: messages a second on each (default 1).",
    )
    yield click.Option(
        ["--start"], type=rate, metavar="N", help="The first rate (default 100), or so many connections (default 10)."
    )
    yield click.Option(["--min"], type=rate, metavar="N", help="The lowest that is tried (default 10; connections: 1).")
    yield click.Option(
        ["--max"],
        type=rate,
        metavar="N",
        help="The highest that is tried (default 1,000,000; connections: what open files allow).",
    )
    yield click.Option(
        ["--tolerance"],
        type=Parsed("percentage", _tolerance),
        default="5%",
        show_default=True,
        metavar="P",
        help="How far the answer may be below the lowest load that fails.",
    )
    yield click.Option(
        ["-d", "--duration"],
        type=POSITIVE_DURATION,
        default="3s",
        show_default=True,
        metavar="T",
        help="Shortest measure phase of a step; it is longer where a percentile needs more samples.",
    )
    yield click.Option(
        ["--longest"],
        type=POSITIVE_DURATION,
        default="30s",
        show_default=True,
        metavar="T",
        help="Longest measure phase of a step.",
    )
    yield click.Option(["--strict"], is_flag=True, help="Exit with 4 if the generator, not the target, is the limit.")
    yield click.Option(
        ["--json"], is_flag=True, help="Print capacity.json on standard output; all else goes to stderr."
    )
    yield from (of_run[name] for name in _OF_RUN)


command = click.Command(
    "capacity",
    callback=_capacity,
    params=list(_options()),
    help="Find the highest rate (or with --connections, the most connections) at which a server holds its objectives. "
    "Every step is a run in an open loop; whose limit was reached, the target's or the generator's, is said. Without "
    "URL, an echo target is started for each step. Exits with 1 if not even the lowest load holds.",
)
