"""A table of a TOML file, read value by value; whatever is wrong becomes a `UsageError` with file, key and remedy."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from wsbench.errors import UsageError

_NEEDED = object()


class Table:
    """One table.

    Args:
        content: as tomllib has it.
        where: its own key, for errors; empty for the file itself.
    """

    def __init__(self, file: str, content: Mapping[str, Any], where: str = "") -> None:
        self.file = file
        self._content = content
        self._where = where

    def __contains__(self, key: str) -> bool:
        return key in self._content

    def error(self, key: str, problem: str, remedy: str = "") -> UsageError:
        """What is wrong with a key's value (or, with no key, with the table)."""
        place = ".".join(filter(None, (self._where, key)))
        return UsageError(f"{self.file}: {place}: {problem}", remedy=remedy)

    def only(self, keys: Sequence[str]) -> None:
        """There is no other key.

        Raises:
            UsageError: there is one; with the one that was probably meant.
        """
        for key in self._content:
            if key not in keys:
                close = difflib.get_close_matches(key, keys, n=1)
                remedy = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(keys)}."
                raise self.error(key, "there is no such key", remedy)

    def one(self, key: str, parse: Callable[[str], Any], *, default: Any = _NEEDED) -> Any:
        """The value, parsed from its text."""
        if key not in self._content and default is not _NEEDED:
            return default
        return self._parsed(key, self._content[key], parse)

    def many(self, key: str, parse: Callable[[str], Any], *, default: Sequence[Any] = ()) -> tuple[Any, ...]:
        """Return the parsed values of a list, or the one value; none of them twice."""
        if key not in self._content:
            return tuple(default)
        given = self._content[key]
        values = given if isinstance(given, list) else [given]
        if not values:
            raise self.error(key, "the list is empty", "Leave the key out, or name one value at least.")
        parsed = [self._parsed(key, value, parse) for value in values]
        if twice := [value for place, value in enumerate(parsed) if value in parsed[:place]]:
            raise self.error(key, f"{twice[0]!r} is there twice")
        return tuple(parsed)

    def count(self, key: str, *, default: int | None = None, least: int = 1, most: int | None = None) -> int:
        """A whole number."""
        if key not in self._content and default is not None:
            return default
        return self._count(key, self._content[key], least, most)

    def counts(self, key: str, *, default: int) -> tuple[int, ...]:
        """Whole numbers of at least 1."""
        given = self._content.get(key, default)
        for value in given if isinstance(given, list) else [given]:
            self._count(key, value, 1, None)
        return self.many(key, int, default=(default,))

    def switch(self, key: str) -> bool:
        """True or false; false when it is not there."""
        value = self._content.get(key, False)
        if not isinstance(value, bool):
            raise self.error(key, f"{value!r} is neither true nor false")
        return value

    def tables(self, key: str) -> Iterator[Table]:
        """The tables of a list, or the one table."""
        given = self._content.get(key, [])
        values = given if isinstance(given, list) else [given]
        for number, value in enumerate(values, 1):
            if not isinstance(value, dict):
                raise self.error(key, f"{value!r} is not a table", f"It looks like {_EXAMPLES[key]}.")
            yield Table(self.file, value, key if len(values) == 1 else f"{key} {number}")

    def _count(self, key: str, value: Any, least: int, most: int | None) -> int:
        right = isinstance(value, int) and not isinstance(value, bool) and value >= least
        if not right or (most is not None and value > most):
            limits = f"of at least {least}" if most is None else f"from {least} to {most}"
            raise self.error(key, f"{value!r} is not a whole number {limits}")
        number: int = value
        return number

    def _parsed(self, key: str, value: Any, parse: Callable[[str], Any]) -> Any:
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise self.error(key, f"{value!r} is neither text nor a number")
        try:
            return parse(str(value))
        except ValueError as error:
            raise self.error(key, str(error)) from error


_EXAMPLES = {
    "load": "{ in_flight = 1 } or { rate = 1000 }",
    "target": '[[target]] with name = "mine" and url = "ws://..."',
}
