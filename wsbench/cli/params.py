"""Types of options, whose values `wsbench.units` parses, and options that several commands have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wsbench.errors import UsageError
from wsbench.launcher.execution import RAMP_S, RunRequest
from wsbench.launcher.local_target import DEFAULT_TARGET, PLACEHOLDER_URL, check_target
from wsbench.run.environment_options import lines_of
from wsbench.run.gates import check_known
from wsbench.run.idle_options import refuse_idle_options
from wsbench.run.option_table import HIGHEST_COUNT, OPTIONS, Option, name_from
from wsbench.run.options import DEFAULT_SPAWN_RATE, DEFAULT_USERS, MOST_WORKERS, RunOptions, check_lasting
from wsbench.units import (
    parse_duration,
    parse_positive_duration,
    parse_positive_size,
    parse_rate,
    parse_share,
    parse_size,
    whole_number,
)

if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]  # generic for type checkers only
else:
    _ParamType = click.ParamType


class Parsed(_ParamType):
    """A value that a function parses: the user reads the text of its ValueError."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def split_envvar_value(self, rv: str) -> list[str]:
        return lines_of(rv)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse a text; return any other value (a default) unchanged."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


COUNT = Parsed("count", whole_number(1, HIGHEST_COUNT))
FILE = click.Path(path_type=Path)
DURATION = Parsed("duration", parse_duration)  # nanoseconds; '0' is one
POSITIVE_DURATION = Parsed("duration", parse_positive_duration)  # nanoseconds
SIZE = Parsed("size", parse_size)  # bytes
POSITIVE_SIZE = Parsed("size", parse_positive_size)  # bytes
RATE = Parsed("rate", parse_rate)  # events a second, above zero


def share_between(low: float, high: float) -> Parsed:
    """Return the type of a percentage within limits, whose value is a fraction."""

    def parse(text: str) -> float:
        try:
            share = parse_share(text)
        except ValueError:
            share = -1.0
        if not low <= share <= high:
            raise ValueError(f"{text!r} is no percentage from {100 * low:g}% to {100 * high:g}%")
        return share

    return Parsed("percentage", parse)


def option(declaration: str, text: str, type_: Any = None, default: Any = None, **settings: Any) -> click.Option:
    """Return an option with its help `text`.

    Args:
        declaration: the flags and the metavar, such as "-d --duration T"; without a metavar the option is a switch.
    """
    words = declaration.split()
    metavar = " ".join(word for word in words if not word.startswith("-"))
    if default is not None:  # to click, a default of None is one
        settings |= {"default": default, "show_default": True}
    return click.Option(
        [word for word in words if word.startswith("-")],
        type=type_,
        metavar=metavar or None,
        help=text,
        is_flag=not metavar,
        **settings,
    )


# -- options of several commands ---------------------------------------------------------------------------------------


def _writable(text: str) -> Path:
    """Parse the path of a file that can be written: an error is worth more before a run than after it."""
    path = Path(text)
    try:
        if path.is_dir():
            raise ValueError(f"{text} is a directory")
        if not path.parent.is_dir():
            raise ValueError(f"{text}: there is no directory {path.parent}")
    except OSError as error:  # such as a name that is too long
        raise ValueError(f"{text}: {error.strerror}") from error
    return path


def ci_options() -> list[click.Parameter]:
    """Return --summary and --junit, whose values go to `write_for_ci`."""
    file = Parsed("file", _writable)
    return [
        option("--summary FILE", "Append a summary in Markdown to this file, such as $GITHUB_STEP_SUMMARY.", file),
        option("--junit FILE", "Write JUnit XML to this file.", file),
    ]


def write_for_ci(*, summary: Path | None, markdown: str, junit: Path | None, xml: bytes) -> None:
    """Write the files that --summary and --junit name; raise UsageError if one cannot be written."""
    try:
        if summary is not None:
            with summary.open("ab") as file:
                file.write(markdown.encode())
        if junit is not None:
            junit.write_bytes(xml)
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror or error}") from error


def run_options() -> list[click.Parameter]:
    """Return the options about load and target that `wsbench run` and `wsbench capacity` have in common."""
    return [
        click.Argument(["url"], required=False, metavar="[URL]"),
        option("-u --users N", "Connections, of all processes together.", COUNT, DEFAULT_USERS),
        option(
            "-r --spawn-rate R",
            f"Connections opened a second (default: {DEFAULT_SPAWN_RATE:g}, or more, for all within {RAMP_S} s).",
            RATE,
        ),
        option("--processes N", "Locust workers on this machine.", Parsed("count", whole_number(1, MOST_WORKERS)), 1),
        option(
            "--scenario FILE",
            "Your locustfile, in place of users that send messages to an echo server.",
            click.Path(exists=True, dir_okay=False, path_type=Path),
        ),
        option("--tls", "Start the target with wss."),
        option(
            "--target NAME",
            "The target to start when there is no URL: a name that `wsbench targets` lists; with a proxy in front of "
            "it: 'nginx>picows'.",
            default=DEFAULT_TARGET,
        ),
        *map(click_option, OPTIONS),
    ]


def run_request(url: str | None, values: Mapping[str, Any]) -> RunRequest:
    """Return the run for values of `run_options`; raise UsageError if they do not go together."""
    scenario: Path | None = values["scenario"]
    check_lasting("--scenario", str(scenario or ""))
    check_target(url, values["target"], tls=values["tls"], scenario=scenario)
    options = RunOptions.from_values(
        {**values, "name": values["name"] or name_from(scenario.stem if scenario else "echo")},
        url=url or PLACEHOLDER_URL,
        users=values["users"],
        processes=values["processes"],
    )
    if scenario is None:
        check_known(options.gates)
    return RunRequest(options, values["spawn_rate"], values.get("run_time"), scenario)


def check_idle(url: str | None, values: Mapping[str, Any]) -> None:
    """Raise UsageError if an option on the present command's line has no effect with the values of the others."""
    source_of = click.get_current_context().get_parameter_source
    refuse_idle_options(url, values, lambda name: source_of(name) is click.core.ParameterSource.COMMANDLINE)


_TEXTS = "wsbench.texts"
_GIVEN = (click.core.ParameterSource.COMMANDLINE, click.core.ParameterSource.ENVIRONMENT)


class _RunOption(click.Option):
    """An option of `OPTIONS` that keeps its text beside its value, for the start form of --web."""

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        ctx.meta.setdefault(_TEXTS, {})[self.name] = value
        return super().type_cast_value(ctx, value)


def click_option(row: Option) -> click.Option:
    """Return a row of `OPTIONS` for click."""
    if row.parse is None:
        return _RunOption(row.flags, is_flag=True, help=row.help, envvar=row.env)
    return _RunOption(
        row.flags,
        type=Parsed(row.name, row.parse),
        metavar=row.metavar or "|".join(row.choices),
        default=row.default,
        show_default=row.default is not None,
        multiple=row.repeatable,
        help=row.help,
        envvar=row.env,
    )


def texts_of(ctx: click.Context) -> list[str]:
    """Return the options of `OPTIONS` that the user gave, in a shape that Locust's parser takes as well."""
    arguments = []
    for row in OPTIONS:
        if ctx.get_parameter_source(row.name) not in _GIVEN:
            continue
        text, flag = ctx.meta[_TEXTS][row.name], row.flags[-1]
        if row.parse is None:
            arguments += [flag] if ctx.params[row.name] else []
        else:
            # '=': a value may begin with a dash
            arguments += [f"{flag}={each}" for each in (text if row.repeatable else [text])]
    return arguments
