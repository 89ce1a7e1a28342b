"""Options for click: types whose values `wsbench.units` parses, with its sentences as errors; and those of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from wsbench.run.options import DEFAULT_DURATION, Option, check_value
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


def click_option(option: Option) -> click.Option:
    """An option of `OPTIONS` for click. Its value stays text: it goes on to `RunOptions`, or to Locust first."""
    if option.parse is None:
        return click.Option(option.flags, is_flag=True, help=option.help, envvar=option.env)
    default = DEFAULT_DURATION if option.name == "duration" else option.default
    return click.Option(
        option.flags,
        type=Parsed(option.name, lambda text: check_value(option, text)),
        metavar=option.metavar or "|".join(option.choices),
        # --name and --duration depend on other options
        default=None if option.name in ("name", "duration") else default,
        show_default=default if not option.repeatable and default is not None else False,
        multiple=option.repeatable,
        help=option.help.replace(" Under Locust without it: until --run-time is over or somebody presses Stop.", ""),
        envvar=option.env,
    )
