"""Types of option values: what `wsbench.units` parses, with its sentences as click's errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

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
