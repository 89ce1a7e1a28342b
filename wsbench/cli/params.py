"""Options for click: types whose values `wsbench.units` parses, with its sentences as errors; and those of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from wsbench.run.options import OPTIONS, Option
from wsbench.units import parse_duration, parse_positive_duration, parse_rate, parse_size

if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]  # generic for type checkers only
else:
    _ParamType = click.ParamType


class Parsed(_ParamType):
    """A value that a function parses; its ValueError is what the user reads.

    Args:
        name: stands for the value in help texts.
        parse: from text to value.
    """

    # Several values of one environment variable: a line each, since headers have spaces in them.
    envvar_list_splitter = "\n"

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The parsed value; one that is not text (a default) is taken as it is."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


DURATION = Parsed("duration", parse_duration)  # nanoseconds; '0' is one
POSITIVE_DURATION = Parsed("duration", parse_positive_duration)  # nanoseconds
SIZE = Parsed("size", parse_size)  # bytes
RATE = Parsed("rate", parse_rate)  # events a second, above zero


_TEXTS = "wsbench.texts"
_GIVEN = (click.core.ParameterSource.COMMANDLINE, click.core.ParameterSource.ENVIRONMENT)


class _RunOption(click.Option):
    """An option of `OPTIONS` that keeps its text beside its value, for the start form of --web."""

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        ctx.meta.setdefault(_TEXTS, {})[self.name] = value
        return super().type_cast_value(ctx, value)


def click_option(option: Option) -> click.Option:
    """Return an option of `OPTIONS` for click."""
    if option.parse is None:
        return _RunOption(option.flags, is_flag=True, help=option.help, envvar=option.env)
    return _RunOption(
        option.flags,
        type=Parsed(option.name, option.parse),
        metavar=option.metavar or "|".join(option.choices),
        default=option.default,
        show_default=option.default is not None,
        multiple=option.repeatable,
        help=option.help,
        envvar=option.env,
    )


def texts_of(ctx: click.Context) -> list[str]:
    """Return the options of `OPTIONS` that the user gave, in a shape that Locust's parser takes as well."""
    arguments = []
    for option in OPTIONS:
        if ctx.get_parameter_source(option.name) not in _GIVEN:
            continue
        text = ctx.meta[_TEXTS][option.name]
        if option.parse is None:
            arguments += [option.flags[-1]] if ctx.params[option.name] else []
        else:
            # '=': a value may begin with a dash
            arguments += [f"{option.flags[-1]}={each}" for each in (text if option.repeatable else [text])]
    return arguments
