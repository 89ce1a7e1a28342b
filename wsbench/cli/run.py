"""`wsbench run`: one run. Starts a target if it is given no URL, runs Locust beside it, prints the result."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import click

from wsbench import machine, native
from wsbench.cli.params import Parsed, check_idle, ci_options, option, run_options, run_request, texts_of, write_for_ci
from wsbench.cli.proxy_note import note_unused_proxy
from wsbench.cli.standard_streams import note_stored
from wsbench.errors import ExitCode, WsbenchError
from wsbench.launcher.execution import RunRequest, execute
from wsbench.launcher.local_target import check_room, start_target
from wsbench.launcher.locust_process import FinishedRun
from wsbench.launcher.progress_display import ProgressLine
from wsbench.launcher.web_port import WEB_HOST, web_port
from wsbench.report import junit, markdown, outcome_text
from wsbench.report.text import summary
from wsbench.results.json_files import encode_json
from wsbench.results.run_result import Run
from wsbench.run import exit_codes
from wsbench.run.options import DEFAULT_DURATION_NS, RunOptions, check_lasting, describe
from wsbench.units import NS_PER_S, parse_positive_duration


def _run_time(text: str) -> int:
    """Parse seconds as Locust counts them."""
    seconds, rest = divmod(parse_positive_duration(text), NS_PER_S)
    if rest:
        raise ValueError(f"{text!r} is not a whole number of seconds, which is how Locust counts the run time")
    return seconds


@click.pass_context
def _run(ctx: click.Context, /, url: str | None, **values: Any) -> int:
    if values["web"]:
        check_lasting("--payload-file", values["payload_file"])
    request = run_request(url, values)
    check_idle(url, values)
    if values["web"]:
        web_port()
        request = replace(request, form=[*texts_of(ctx), f"--name={request.options.name}"])
    elif request.options.duration_ns is None and request.run_time_s is None:
        request = replace(request, options=replace(request.options, duration_ns=DEFAULT_DURATION_NS))
    options = request.options
    machine.check_descriptors(options.users, options.processes)
    check_room(url, values["target"], options.users)
    machine.check_memory(options.bytes_in_flight, "the messages in flight")
    if not options.quiet:
        note_unused_proxy(options.connect)
    try:
        finished = _execute(request, url, values)
    except WsbenchError as error:
        write_for_ci(
            summary=values["summary"],
            markdown=markdown.refusal(f"run: {options.name}", error),
            junit=values["junit"],
            xml=junit.encode_run_failure(options.name, error),
        )
        raise
    if finished.path is not None:
        note_stored(finished.path)
    code = _print(finished, options, as_json=values["json"])
    write_for_ci(
        summary=values["summary"],
        markdown=markdown.run_summary(finished.run),
        junit=values["junit"],
        xml=junit.encode_run(finished.run),
    )
    if finished.not_stored is not None:
        raise finished.not_stored
    return code


def _execute(request: RunRequest, url: str | None, values: dict[str, Any]) -> FinishedRun:
    with ProgressLine(enabled=not request.options.quiet) as line, _reachable(request, url, values) as reachable:
        options, scenario = reachable.options, reachable.scenario
        line.say(f"{options.connect.shown_url}: {describe(options, scenario.stem if scenario else None)}")
        if options.native and options.connect.plain and not native.BUILT and scenario is None:
            line.say(native.MISSING)
        if reachable.form is not None:
            line.say(f"live page: http://{WEB_HOST}:{web_port()}/wsbench/")
        return execute(reachable, on_progress=line.update)


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
        click.echo(encode_json(finished.run), nl=False)
    elif not options.quiet or finished.path is None:  # then it is nowhere else
        text = summary.legible(summary.render(finished.run, str(finished.path or "not stored")), sys.stdout.encoding)
        first, _, rest = text.partition("\n")
        click.echo(_styled(first, finished.run))
        click.echo(rest, nl=False)
    code: int = exit_codes.of_run(finished.run, interrupted=finished.interrupted)
    if code == ExitCode.OK and finished.scenario_code:
        code = finished.scenario_code
        click.echo(f"exit code {code}: set by the scenario (environment.process_exit_code)", err=True)
    if (as_json or options.quiet) and code != ExitCode.OK:
        for line in outcome_text.in_short(finished.run):
            click.echo(_styled(line, finished.run), err=True)
    return code


def _styled(headline: str, run: Run) -> str:
    """Return the outcome in the colour of its kind; a stream that is no terminal gets the text alone."""
    if "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb":
        return headline
    return click.style(
        headline, fg={"good": "green", "warn": "yellow", "bad": "red"}[outcome_text.kind(run)], bold=True
    )


command = click.Command(
    "run",
    callback=_run,
    params=[
        *run_options(),
        option(
            "-t --run-time T",
            "Length of the whole run; the measure phase is the rest after ramp and warm-up.",
            Parsed("run time", _run_time),
        ),
        option("--json", "Print run.json on standard output, and nothing else there."),
        *ci_options(),
        option("--web", "Run with Locust's web UI, until Ctrl-C."),
    ],
    help="Put load on a WebSocket server and report its latency. Without URL, an echo target is started for it.",
)
