"""`wsbench capacity`: the highest load at which a server holds its objectives."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from wsbench import machine
from wsbench.cli.params import POSITIVE_DURATION, Parsed, check_idle, option, run_options, run_request, share_between
from wsbench.cli.params import RATE as RATE_TYPE
from wsbench.cli.proxy_note import note_unused_proxy
from wsbench.cli.standard_streams import note_stored
from wsbench.errors import UsageError, WsbenchError
from wsbench.experiment.capacity_search import Search
from wsbench.launcher.interruptions import interruptible
from wsbench.launcher.local_target import check_room, room_of
from wsbench.launcher.progress_display import ProgressLine
from wsbench.launcher.search_loop import MOST, most_connections, search_capacity
from wsbench.launcher.step_runs import StepSpec
from wsbench.report.text import capacity_text, summary
from wsbench.results import capacity_result
from wsbench.results.capacity_result import CONNECTIONS, RATE, Bounds, Capacity
from wsbench.results.json_files import encode_json
from wsbench.run import exit_codes
from wsbench.run.gate_parser import parse_objective
from wsbench.run.gates import check_known

DEFAULT_OBJECTIVES = ("p99 < 100ms", "errors == 0")
_NAME = "capacity"
_START = {RATE: 100.0, CONNECTIONS: 10.0}
_LEAST = {RATE: 10.0, CONNECTIONS: 1.0}
_NOT_OF_RUN = ("duration", "rate", "in_flight", "fail_if", "strict")
"""Options of `wsbench run` that the search sets, that it has for itself, or that it has no use for."""


def _capacity(url: str | None, **values: Any) -> int:
    spec, search = _checked(url, values)
    if not values["quiet"]:
        note_unused_proxy(spec.request.options.connect)
    with ProgressLine(enabled=not values["quiet"]) as line, interruptible():
        capacity, directory = search_capacity(spec, search, values["name"] or _NAME, line)
    note_stored(directory)
    _print(capacity, directory, as_json=values["json"], quiet=values["quiet"])
    if capacity.stopped not in (None, capacity_result.INTERRUPTED):
        raise WsbenchError(f"the search could not go on: {capacity.stopped}", remedy=capacity_text.so_far(capacity))
    return exit_codes.of_capacity(capacity, strict=values["strict"])


def _checked(url: str | None, values: dict[str, Any]) -> tuple[StepSpec, Search]:
    """Return the steps and the search, checked before anything is started."""
    request = run_request(url, {name: value for name, value in values.items() if name not in _NOT_OF_RUN})
    check_idle(url, values)
    searched = CONNECTIONS if values["connections"] else RATE
    _check_users(values)
    if values["per_connection"] and not values["connections"]:
        raise UsageError("--per-connection goes with --connections", remedy="Without it, the rate is searched.")
    objectives = values["slo"] or [parse_objective(text) for text in DEFAULT_OBJECTIVES]
    if values["scenario"] is None:
        check_known(objectives, "--slo")
    tls = values["tls"] if url is None else url.lower().startswith("wss:")
    if not tls and any(quantity.series == "tls" for objective in objectives for quantity in objective.quantities):
        raise UsageError("--slo: a connection without TLS has no tls series", remedy="Use a wss:// URL, or --tls.")
    spec = StepSpec(
        request=request,
        target=values["target"] if url is None else None,
        tls=tls,
        objectives=objectives,
        default_objectives=not values["slo"],
        per_connection=(values["per_connection"] or 1.0) if values["connections"] else None,
        shortest_ns=values["duration"],
        longest_ns=max(values["longest"], values["duration"]),
    )
    bounds = _bounds(searched, values, spec.target)
    for load in (bounds.start, bounds.most):
        spec.at(load)
    users = spec.at(bounds.most).options.users
    machine.check_descriptors(users, values["processes"])
    check_room(url, values["target"], users)
    return spec, Search(bounds, values["tolerance"], whole=searched == CONNECTIONS)


def _check_users(values: dict[str, Any]) -> None:
    source = click.get_current_context().get_parameter_source("users")
    if values["connections"] and source is click.core.ParameterSource.COMMANDLINE:
        raise UsageError(
            "--users and --connections: the number of connections is searched",
            remedy="Limit the search with --start and --max.",
        )


def _bounds(searched: str, values: dict[str, Any], target: str | None) -> Bounds:
    most = MOST if searched == RATE else min(most_connections(values["processes"]), room_of(target))
    start = values["start"] or min(max(_START[searched], values["min"] or 0.0), values["max"] or MOST)
    bounds = Bounds(
        start=start,
        least=values["min"] or min(_LEAST[searched], start),
        most=values["max"] or max(most, start),
    )
    for flag, value in (("--start", bounds.start), ("--min", bounds.least), ("--max", bounds.most)):
        if searched == CONNECTIONS and (value != int(value) or value < 1):
            raise UsageError(f"{flag} {value:g} is no number of connections", remedy="Use a whole number, at least 1.")
    if not bounds.least <= bounds.start <= bounds.most:
        raise UsageError(
            f"--min {bounds.least:g}, --start {bounds.start:g} and --max {bounds.most:g} are not in this order"
        )
    return bounds


def _print(document: Capacity, directory: Path, *, as_json: bool, quiet: bool) -> None:
    if not quiet:
        output = sys.stderr if as_json else sys.stdout
        click.echo(
            summary.legible(capacity_text.render(document, str(directory)), output.encoding), nl=False, file=output
        )
    if as_json:
        click.echo(encode_json(document), nl=False)


def _options() -> Iterator[click.Parameter]:
    url, *of_run = run_options()
    yield url
    yield option(
        "--slo 'EXPR'",
        "An objective that must hold, written like a --fail-if of `wsbench run`: 'p99 < 10ms', 'service.p99.9 < 20ms', "
        "'lost == 0', 'errors < 0.1%'. "
        f"Repeatable. Default: {' and '.join(map(repr, DEFAULT_OBJECTIVES))}.",
        Parsed("objective", parse_objective),
        multiple=True,
    )
    yield option("--connections", "Search the number of connections instead of the rate.")
    yield option("--per-connection R", "With --connections: messages per second on each (default 1).", RATE_TYPE)
    yield option("--start N", "The first load (default 100; connections: 10).", RATE_TYPE)
    yield option("--min N", "The lowest load (default 10; connections: 1).", RATE_TYPE)
    yield option(
        "--max N", "The highest load (default 1,000,000; connections: as many as open files allow).", RATE_TYPE
    )
    yield option(
        "--tolerance P",
        "Maximum distance between the answer and the lowest load that failed.",
        share_between(0.01, 0.5),
        "5%",
    )
    yield option(
        "-d --duration T",
        "Shortest measure phase of a step; it is longer if a percentile needs more samples.",
        POSITIVE_DURATION,
        "3s",
    )
    yield option("--longest T", "Longest measure phase of a step.", POSITIVE_DURATION, "30s")
    yield option("--strict", "Exit with 4 if the generator, not the target, is the limit.")
    yield option("--json", "Print capacity.json on standard output, and the summary on standard error.")
    yield from (param for param in of_run if param.name not in _NOT_OF_RUN)


command = click.Command(
    "capacity",
    callback=_capacity,
    params=list(_options()),
    help="Find the highest rate (with --connections: the largest number of connections) at which a server holds its "
    "objectives. Every step is a run in an open loop. The result names the limit: the target's or the generator's. "
    "Without URL, an echo target is started for each step. Exits with 1 if the lowest load does not hold.",
)
