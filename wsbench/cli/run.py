"""`wsbench run`: one run. Starts a target if it is given no URL, runs Locust beside it, prints what came out."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import click

import wsbench.users
from wsbench import machine
from wsbench.cli import outputs
from wsbench.cli.params import Parsed, click_option
from wsbench.cli.progress import ProgressLine
from wsbench.errors import UsageError
from wsbench.launcher.locust_process import FinishedRun, free_port, run_locust
from wsbench.report import junit, markdown
from wsbench.report.text import summary
from wsbench.results.directory import Staging
from wsbench.results.run_result import encode, exit_code
from wsbench.run.handoff import Progress, StartedTarget
from wsbench.run.options import DEFAULT_DURATION, DEFAULT_SPAWN_RATE, DEFAULT_USERS, OPTIONS, RunOptions, describe
from wsbench.targets import catalogue
from wsbench.targets.running import RunningTarget
from wsbench.units import NS_PER_S, parse_positive_duration, parse_rate

PLACEHOLDER = "ws://127.0.0.1/echo"
_BASELINE = "websockets"
_SAVING_S = 15.0
"""So long, beside the drain, workers that outlive their master have to save what they measured."""
_RAMP_S = 10
"""Without --spawn-rate, many connections are opened within so many seconds."""


def _run_time(text: str) -> str:
    """As Locust takes it."""
    seconds, rest = divmod(parse_positive_duration(text), NS_PER_S)
    if rest:
        raise ValueError(f"{text!r} is not a whole number of seconds, which is how Locust counts the run time")
    return f"{seconds}s"


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
        help=f"Connections opened a second (default: {DEFAULT_SPAWN_RATE:g}, or more, for all within {_RAMP_S} s).",
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
        default=_BASELINE,
        show_default=True,
        metavar="NAME",
        help="Which target to start when there is no URL, of those that `wsbench targets` lists; "
        "behind a proxy: 'nginx>picows'.",
    ),
    click.Option(["--json"], is_flag=True, help="Print run.json on standard output, and nothing else there."),
    *outputs.options(),
    click.Option(["--web"], is_flag=True, help="With Locust's web UI, until Ctrl-C."),
]


def _run(url: str | None, **given: Any) -> int:
    """One run; its exit code."""
    check_target(url, given)
    if given["duration"] is None and not given["run_time"] and not given["web"]:
        given["duration"] = DEFAULT_DURATION
    given["name"] = given["name"] or (given["scenario"].stem if given["scenario"] else "echo")
    options = RunOptions.from_mapping(given, url=url or PLACEHOLDER, users=given["users"], processes=given["processes"])
    machine.check_descriptors(options.users, options.processes)
    with ProgressLine(enabled=not options.quiet) as line, _target(url, options, given) as (where, target):
        line.say(f"{where['url']}: {describe(options, given['scenario'] and given['scenario'].stem)}")
        if given["web"]:
            line.say(f"live page: http://127.0.0.1:{os.environ.get('LOCUST_WEB_PORT', '8089')}/wsbench/")
        ended = execute(options, given, where, target, on_progress=line.update)
    code = _say(ended, options, as_json=given["json"])
    outputs.write(
        summary=given["summary"],
        markdown=markdown.run_summary(ended.run),
        junit=given["junit"],
        xml=junit.encode_run(ended.run, strict=options.strict),
    )
    if ended.not_stored is not None:
        raise ended.not_stored
    return code


def check_target(url: str | None, given: dict[str, Any]) -> None:
    """Whether what was said of the target goes together.

    Raises:
        UsageError: it does not.
    """
    if url is not None:
        if given["tls"] or given["target"] != _BASELINE:
            remedy = "With a URL, say wss://."
            raise UsageError("--tls and --target are for the target that wsbench starts", remedy=remedy)
        return
    target = catalogue.find(given["target"])
    if target.protocol != "echo" and given["scenario"] is None:
        raise UsageError(
            f"target {target.name} speaks {target.protocol}, which wsbench's own users do not",
            remedy="Name a --scenario whose users do, or take another target.",
        )


def execute(
    options: RunOptions,
    given: dict[str, Any],
    where: dict[str, str],
    target: StartedTarget | None,
    *,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> FinishedRun:
    """Run Locust with checked `options` (and, to pass on, the texts they were `given` as) against `where`.

    Raises:
        WsbenchError: nothing could be measured.
    """
    staging = Staging.create(options.results, options.name)
    try:
        return run_locust(
            _arguments(options, given, where),
            staging=staging,
            command=["wsbench", *sys.argv[1:]],
            target=target,
            on_progress=on_progress,
            patience_s=min(options.drain_ns, options.timeout_ns) / NS_PER_S + _SAVING_S,
        )
    finally:
        staging.discard()


def defaults(**changed: Any) -> dict[str, Any]:
    """The options of `wsbench run` as nobody had given any, but for some."""
    own = {"users": DEFAULT_USERS, "spawn_rate": None, "processes": 1, "scenario": None, "run_time": None, "web": False}
    return {**{option.name: option.default for option in OPTIONS}, **own, **changed}


def forget_environment() -> None:
    """Locust would read options from there that a command has not, or sets itself."""
    for option in OPTIONS:
        os.environ.pop(option.env, None)


@contextlib.contextmanager
def _target(
    url: str | None, options: RunOptions, given: dict[str, Any]
) -> Iterator[tuple[dict[str, str], StartedTarget | None]]:
    """Where to connect (URL and CA), and the target if it is ours; stopped at the end."""
    if url is not None:
        yield {"url": url}, None
        return
    with start_target(options, given) as running:
        yield reach(running, given["scenario"])


def start_target(options: RunOptions, given: dict[str, Any]) -> RunningTarget:
    """The target that the options name, started."""
    compression = "off" if options.connect.compression == "off" else "on"
    return catalogue.find(given["target"]).start(tls=given["tls"], compression=compression)


def reach(running: RunningTarget, scenario: Path | None = None) -> tuple[dict[str, str], StartedTarget | None]:
    """Where to connect (URL and CA), and what is to be measured along, unless somebody else started it."""
    where = {"url": running.url}
    if scenario is not None and running.name == _BASELINE:
        where["url"] = urljoin(where["url"], "/")  # which path is for the scenario to say; / echoes as well
    if running.ca_file is not None:
        where["ca"] = str(running.ca_file)
    ours = StartedTarget(running.name, running.version, running.pids) if running.children else None
    return where, ours


def _arguments(options: RunOptions, given: dict[str, Any], where: dict[str, str]) -> list[str]:
    """Locust's command line."""
    locustfile = given["scenario"] or Path(wsbench.users.__file__).parent / "locustfile.py"
    spawn_rate = given["spawn_rate"] or max(DEFAULT_SPAWN_RATE, options.users / _RAMP_S)
    arguments = ["-f", str(locustfile), "--host", where["url"], "--users", str(options.users)]
    arguments += ["--spawn-rate", f"{spawn_rate:g}", "--only-summary"]
    # Locust's own default is every interface, which is for its users to choose, not for us.
    arguments += ["--autostart", "--web-host", "127.0.0.1"] if given["web"] else ["--headless"]
    if given["run_time"]:
        arguments += ["--run-time", given["run_time"]]
    if options.processes > 1:
        port = str(free_port())
        arguments += ["--processes", str(options.processes), "--master-port", port]
        arguments += ["--master-bind-host", "127.0.0.1", "--master-bind-port", port]
    for option in OPTIONS:
        value = where.get(option.name) or given[option.name]
        if option.parse is None:
            arguments += [option.flags[-1]] if value else []
        elif value not in (None, (), ""):
            # '=': a value may begin with a dash
            arguments += [f"{option.flags[-1]}={text}" for text in (value if option.repeatable else [value])]
    return arguments


def _say(ended: FinishedRun, options: RunOptions, *, as_json: bool) -> int:
    if as_json:
        click.echo(encode(ended.run), nl=False)
    elif not options.quiet or ended.path is None:  # what is stored nowhere must be said
        text = summary.render(ended.run, str(ended.path or "not stored"))
        click.echo(summary.legible(text, sys.stdout.encoding), nl=False)
    return exit_code(ended.run, strict=options.strict, interrupted=ended.interrupted)


command = click.Command(
    "run",
    callback=_run,
    params=[*_OWN_OPTIONS, *(click_option(option) for option in OPTIONS)],
    help="Put load on a WebSocket server and report its latency. Without URL, an echo target is started for it.",
)
