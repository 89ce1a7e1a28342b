"""`wsbench run`: one run. Starts a target if it is given no URL, runs Locust beside it, prints the result."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from wsbench import machine
from wsbench.cli import outputs
from wsbench.cli.params import Parsed, click_option, texts_of
from wsbench.cli.progress import ProgressLine
from wsbench.launcher.execution import RAMP_S, RunRequest, execute
from wsbench.launcher.local_target import DEFAULT_TARGET, PLACEHOLDER_URL, check_target, start_target
from wsbench.launcher.locust_process import FinishedRun
from wsbench.report import junit, markdown
from wsbench.report.text import summary
from wsbench.results.run_result import encode
from wsbench.run import exit_codes
from wsbench.run.options import DEFAULT_DURATION_NS, DEFAULT_SPAWN_RATE, DEFAULT_USERS, OPTIONS, RunOptions, describe
from wsbench.units import NS_PER_S, parse_positive_duration, parse_rate


def _run_time(text: str) -> int:
    """Parse seconds as Locust counts them."""
    seconds, rest = divmod(parse_positive_duration(text), NS_PER_S)
    if rest:
        raise ValueError(f"{text!r} is not a whole number of seconds, which is how Locust counts the run time")
    return seconds


_OWN_OPTIONS: list[click.Parameter] = [
    click.Argument(["url"], required=False, metavar="[URL]"),
    click.Option(
        ["-u", "--users"],
        type=click.IntRange(1),
        default=DEFAULT_USERS,
        show_default=True,
        metavar="N",
        help="Connections.",
    ),
    click.Option(
        ["-r", "--spawn-rate"],
        type=Parsed("spawn rate", parse_rate),
        metavar="R",
        help=f"Connections opened a second (default: {DEFAULT_SPAWN_RATE:g}, or more, for all within {RAMP_S} s).",
    ),
    click.Option(
        ["-t", "--run-time"],
        type=Parsed("run time", _run_time),
        metavar="T",
        help="Length of the whole run: what is left of it after ramp and warm-up is the measure phase.",
    ),
    click.Option(
        ["--processes"],
        type=click.IntRange(1),
        default=1,
        show_default=True,
        metavar="N",
        help="Locust workers on this machine.",
    ),
    click.Option(
        ["--scenario"],
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="A locustfile of your own.",
    ),
    click.Option(["--tls"], is_flag=True, help="Start the target with wss."),
    click.Option(
        ["--target"],
        default=DEFAULT_TARGET,
        show_default=True,
        metavar="NAME",
        help="Which target to start when there is no URL, of those that `wsbench targets` lists; "
        "behind a proxy: 'nginx>picows'.",
    ),
    click.Option(["--json"], is_flag=True, help="Print run.json on standard output, and nothing else there."),
    *outputs.options(),
    click.Option(["--web"], is_flag=True, help="With Locust's web UI, until Ctrl-C."),
]


@click.pass_context
def _run(ctx: click.Context, /, url: str | None, **values: Any) -> int:
    check_target(url, values["target"], tls=values["tls"], scenario=values["scenario"])
    request = request_of(url, values)
    if values["web"]:
        request = replace(request, form=[*texts_of(ctx), f"--name={request.options.name}"])
    elif request.options.duration_ns is None and request.run_time_s is None:
        request = replace(request, options=replace(request.options, duration_ns=DEFAULT_DURATION_NS))
    options = request.options
    machine.check_descriptors(options.users, options.processes)
    with ProgressLine(enabled=not options.quiet) as line, _reachable(request, url, values) as request:
        options = request.options
        line.say(f"{options.connect.url}: {describe(options, request.scenario.stem if request.scenario else None)}")
        if request.form is not None:
            line.say(f"live page: http://127.0.0.1:{os.environ.get('LOCUST_WEB_PORT', '8089')}/wsbench/")
        finished = execute(request, on_progress=line.update)
    code = _print(finished, options, as_json=values["json"])
    outputs.write(
        summary=values["summary"],
        markdown=markdown.run_summary(finished.run),
        junit=values["junit"],
        xml=junit.encode_run(finished.run, strict=options.strict),
    )
    if finished.not_stored is not None:
        raise finished.not_stored
    return code


def request_of(url: str | None, values: dict[str, Any]) -> RunRequest:
    """Return the run that the values of `wsbench run`'s options ask for.

    Raises:
        UsageError: they do not go together.
    """
    scenario: Path | None = values["scenario"]
    options = RunOptions.from_values(
        {**values, "name": values["name"] or (scenario.stem if scenario else "echo")},
        url=url or PLACEHOLDER_URL,
        users=values["users"],
        processes=values["processes"],
    )
    return RunRequest(options, values["spawn_rate"], values.get("run_time"), scenario)


@contextlib.contextmanager
def _reachable(request: RunRequest, url: str | None, values: dict[str, Any]) -> Iterator[RunRequest]:
    """Yield the request against its server: the URL, or a target that is stopped at the end."""
    if url is not None:
        yield request
        return
    compression = request.options.connect.compression
    with start_target(values["target"], tls=values["tls"], compression=compression) as running:
        yield request.against(running)


def _print(finished: FinishedRun, options: RunOptions, *, as_json: bool) -> int:
    if as_json:
        click.echo(encode(finished.run), nl=False)
    elif not options.quiet or finished.path is None:  # then it is nowhere else
        text = summary.render(finished.run, str(finished.path or "not stored"))
        click.echo(summary.legible(text, sys.stdout.encoding), nl=False)
    return exit_codes.of_run(finished.run, strict=options.strict, interrupted=finished.interrupted)


command = click.Command(
    "run",
    callback=_run,
    params=[*_OWN_OPTIONS, *(click_option(option) for option in OPTIONS)],
    help="Put load on a WebSocket server and report its latency. Without URL, an echo target is started for it.",
)
