"""The `wsbench` command: it finds the subcommand, and turns its outcome into text and an exit code.

A subcommand is a click command in its own module, which is imported when it is called. It returns None or its exit
code, and raises `WsbenchError` or click's errors.
"""

from __future__ import annotations

import difflib
import importlib
import os
import re
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import click

from wsbench import __version__
from wsbench.cli import version
from wsbench.cli.standard_streams import StandardStreams
from wsbench.credentials import Secrets
from wsbench.errors import ExitCode, UsageError, WsbenchError
from wsbench.launcher.interruptions import deferring_interrupt, ignore_interruptions
from wsbench.run import environment_options

_DEBUG = "WSBENCH_DEBUG"  # the processes we start inherit it


@dataclass(frozen=True)
class Lazy:
    """A subcommand that is imported on first use from its `location`, "module:attribute"."""

    location: str
    summary: str

    def load(self) -> click.Command:
        """Import the command."""
        module, _, attribute = self.location.partition(":")
        with deferring_interrupt():
            command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command


COMMANDS = {
    "run": Lazy("wsbench.cli.run:command", "Put load on a server and report its latency."),
    "serve": Lazy("wsbench.cli.serve:command", "Run the standalone echo target."),
    "targets": Lazy("wsbench.cli.targets:command", "List the servers that wsbench can start and measure."),
    "probe": Lazy("wsbench.cli.probe:command", "Open one connection step by step and diagnose what fails."),
    "matrix": Lazy("wsbench.cli.matrix:command", "Run an experiment: targets under many conditions, in random order."),
    "capacity": Lazy("wsbench.cli.capacity:command", "Find the highest load at which a server holds its objectives."),
    "calibrate": Lazy(
        "wsbench.cli.calibrate:command", "Measure the speed and the accuracy of the generator on this machine."
    ),
    "plan": Lazy(
        "wsbench.cli.plan:command", "Project the machines, ports, memory and bandwidth that a larger load needs."
    ),
    "compare": Lazy("wsbench.cli.compare:command", "Decide whether one result is slower than another."),
    "report": Lazy("wsbench.cli.report:command", "Make report.html of a stored result again."),
    "export": Lazy("wsbench.cli.export:command", "Write a stored result as hlog, hgrm, csv, json or openmetrics."),
    "version": Lazy(
        "wsbench.cli.version:command", "Print the version, and what to do if the native echo path is missing."
    ),
}


class Commands(click.Group):
    """The subcommands of `COMMANDS`, imported on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command = COMMANDS[cmd_name].load()
        for setting, value in _CONTEXT_SETTINGS.items():
            command.context_settings.setdefault(setting, value)
        if not any(param.name == "debug" for param in command.params):
            command.params.append(_debug_option(hidden=True))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(COMMANDS)}"
            raise click.UsageError(f"No such command: {args[0]}. {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.summary) for name, lazy in COMMANDS.items()])


def _set_debug(_ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        os.environ[_DEBUG] = "1"


def _debug_option(*, hidden: bool = False) -> click.Option:
    return click.Option(
        ["--debug"],
        is_flag=True,
        hidden=hidden,
        expose_value=False,
        callback=_set_debug,
        help="Show the traceback of an error.",
    )


_CONTEXT_SETTINGS = {"auto_envvar_prefix": "WSBENCH", "help_option_names": ["-h", "--help"]}

group = Commands(
    "wsbench",
    params=[_debug_option()],
    context_settings=_CONTEXT_SETTINGS,
    help="Load tests and benchmarks for WebSocket servers that report the server's latency, not their own.",
    epilog="Environment variables set options as well: WSBENCH_PORT=9000 is --port 9000.",
    subcommand_metavar="COMMAND [OPTIONS]",
    no_args_is_help=False,
)
# not from the environment: a CI job may use WSBENCH_VERSION for the version that it installs
click.version_option(__version__, message=version.TEXT, allow_from_autoenv=False)(group)


def main() -> None:
    """Run the command line and exit with one of `ExitCode`."""
    streams = StandardStreams()
    code = run(sys.argv[1:])
    ignore_interruptions()  # the command is over: a press must not replace its exit code
    sys.exit(streams.end(code))


def run(arguments: Sequence[str]) -> int:
    """Run the command line `arguments` and return its exit code."""
    environment_options.tidy()
    if not arguments:
        with group.make_context("wsbench", [], resilient_parsing=True) as ctx:
            click.echo(group.get_help(ctx), err=True)
        return ExitCode.USAGE
    try:
        _check_encoding(arguments)
        returned = group.main(list(arguments), prog_name="wsbench", standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        ignore_interruptions()  # a second press must not replace the exit code
        _print_error("error: interrupted")
        return ExitCode.INTERRUPTED
    except Exception as exc:
        return _report(exc, _secrets(arguments))
    return returned if isinstance(returned, int) else ExitCode.OK


def _check_encoding(arguments: Sequence[str]) -> None:
    """Raise UsageError for a text with bytes that are no characters: no file of a result could hold it."""
    for text in (
        *arguments,
        *(value for name, value in os.environ.items() if name.startswith(environment_options.PREFIX)),
    ):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UsageError(f"{text!r} is not valid {sys.getfilesystemencoding().upper()}") from error


def _secrets(arguments: Sequence[str]) -> Secrets:
    """Return the secrets of a command line that perhaps cannot be parsed."""
    following = [value for flag, value in pairwise(arguments) if flag == "--secret"]
    joined = [text.removeprefix("--secret=") for text in arguments if text.startswith("--secret=")]
    names = (*following, *joined, *os.environ.get("WSBENCH_SECRET", "").splitlines())
    shown = os.environ.get("WSBENCH_SHOW_CREDENTIALS", "").lower() in ("1", "true", "on", "yes")
    return Secrets(names, shown or "--show-credentials" in arguments)


def _report(exc: Exception, secrets: Secrets) -> int:
    """Print an error in one or two lines and return its exit code."""
    debug = os.environ.get(_DEBUG) == "1"
    if debug:
        click.echo(secrets.text("".join(traceback.format_exception(exc))), err=True, nl=False)
    if isinstance(exc, WsbenchError):
        _print_error(secrets.text(f"error: {exc}"))
        return exc.exit_code
    if isinstance(exc, click.ClickException):
        _print_error(secrets.text(f"error: {_usage_message(exc)}"))
        return ExitCode.USAGE
    hint = "" if debug else " (run again with --debug for the traceback)"
    summary = " ".join(traceback.format_exception_only(exc)[-1].split())
    _print_error(secrets.text(f"internal error: {summary}{hint}"))
    return ExitCode.NOT_MEASURED


def _usage_message(exc: click.ClickException) -> str:
    """Return click's message, with the variable that a bad value came from, and where to read more."""
    # click puts each choice on its own line
    message = re.sub(r"\s*\n\s*", " ", exc.format_message()).rstrip(".")
    ctx = exc.ctx if isinstance(exc, click.UsageError) else None
    if ctx is None:
        return message
    if isinstance(exc, click.BadParameter) and exc.param is not None and exc.param.name is not None:
        source = ctx.get_parameter_source(exc.param.name)
        if source is click.core.ParameterSource.ENVIRONMENT:
            message += f" (from the environment: WSBENCH_{exc.param.name.upper()})"
    return f"{message}\n  {ctx.command_path} --help says more"


def _print_error(text: str) -> None:
    click.echo(f"wsbench: {text}", err=True)
