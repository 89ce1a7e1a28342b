"""The `wsbench` command: finds the subcommand, and turns whatever it ends with into text and an exit code.

A subcommand is a click command in a module of its own, imported when it is called. It returns None or its exit
code, raises `WsbenchError` or click's errors, and handles none of what is handled here.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import os
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import click

from wsbench import __version__
from wsbench.errors import ExitCode, WsbenchError

_DEBUG = "WSBENCH_DEBUG"  # also tells the processes we start
# the shell's code for a program that SIGPIPE ended, which is what this amounts to
_READER_GONE = 141


@dataclass(frozen=True)
class Lazy:
    """A subcommand that is not imported yet.

    Attributes:
        location: "module:attribute" of the click command.
        summary: its line in the list of commands.
    """

    location: str
    summary: str

    def load(self) -> click.Command:
        """Import it."""
        module, _, attribute = self.location.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command


COMMANDS = {
    "run": Lazy("wsbench.cli.run:command", "Put load on a server and report its latency."),
    "serve": Lazy("wsbench.cli.serve:command", "Run the standalone echo target."),
    "targets": Lazy("wsbench.cli.targets:command", "List the servers that can be started to be measured."),
    "probe": Lazy("wsbench.cli.probe:command", "Look at one connection step by step, and say what is wrong."),
    "matrix": Lazy("wsbench.cli.matrix:command", "Run an experiment: targets under many conditions, in fair turns."),
    "capacity": Lazy("wsbench.cli.capacity:command", "Find the highest load at which a server holds its objectives."),
    "calibrate": Lazy("wsbench.cli.calibrate:command", "Find out what this machine's generator can be trusted with."),
    "plan": Lazy("wsbench.cli.plan:command", "Say what a load takes that is more than one machine's."),
    "compare": Lazy("wsbench.cli.compare:command", "Say whether one result is slower than another."),
    "report": Lazy("wsbench.cli.report:command", "Make report.html of a stored result again."),
    "export": Lazy("wsbench.cli.export:command", "Write a stored result as hlog, hgrm, csv, json or openmetrics."),
}


class ReaderGoneError(Exception):
    """Nobody reads our standard output any more."""


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

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _noticing_a_reader_gone():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with _noticing_a_reader_gone():
            return super().invoke(ctx)


@contextlib.contextmanager
def _noticing_a_reader_gone() -> Iterator[None]:
    """Otherwise click exits with 1, which is what a failed gate exits with."""
    try:
        yield
    except BrokenPipeError as exc:
        raise ReaderGoneError from exc


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
    epilog="Every option can be set by environment as well: WSBENCH_PORT=9000 is --port 9000.",
    subcommand_metavar="COMMAND [OPTIONS]",
    no_args_is_help=False,
)
# not from the environment: WSBENCH_VERSION is what a CI job would name the version it installs
click.version_option(__version__, prog_name="wsbench", message="%(prog)s %(version)s", allow_from_autoenv=False)(group)


def main() -> None:
    """Run the command line and exit with one of `ExitCode`."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run the command line `arguments`; its exit code."""
    if not arguments:
        with contextlib.suppress(BrokenPipeError), group.make_context("wsbench", [], resilient_parsing=True) as ctx:
            click.echo(group.get_help(ctx), err=True)
        return ExitCode.USAGE
    try:
        returned = group.main(list(arguments), prog_name="wsbench", standalone_mode=False)
        sys.stdout.flush()
    except (ReaderGoneError, BrokenPipeError):
        # Python flushes standard output once more when it exits
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _READER_GONE
    except (click.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except Exception as exc:
        return _report(exc)
    return returned if isinstance(returned, int) else ExitCode.OK


def _report(exc: Exception) -> int:
    """Say what went wrong in one or two lines; the exit code that goes with it."""
    debug = os.environ.get(_DEBUG) == "1"
    if debug:
        traceback.print_exception(exc)
    if isinstance(exc, WsbenchError):
        _complain(f"error: {exc}")
        return exc.exit_code
    if isinstance(exc, click.ClickException):
        _complain(f"error: {_usage_message(exc)}")
        return ExitCode.USAGE
    hint = "" if debug else " (run again with --debug for the traceback)"
    summary = " ".join(traceback.format_exception_only(exc)[-1].split())
    _complain(f"internal error: {summary}{hint}")
    return ExitCode.NOT_MEASURED


def _usage_message(exc: click.ClickException) -> str:
    """click's message, where the bad value came from unless it is plain to see, and where to read more."""
    # click lists choices on lines of their own
    message = re.sub(r"\s*\n\s*", " ", exc.format_message()).rstrip(".")
    ctx = exc.ctx if isinstance(exc, click.UsageError) else None
    if ctx is None:
        return message
    if isinstance(exc, click.BadParameter) and exc.param is not None and exc.param.name is not None:
        source = ctx.get_parameter_source(exc.param.name)
        if source is click.core.ParameterSource.ENVIRONMENT:
            message += f" (from the environment: WSBENCH_{exc.param.name.upper()})"
    return f"{message}\n  {ctx.command_path} --help says more"


def _complain(text: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        click.echo(f"wsbench: {text}", err=True)
