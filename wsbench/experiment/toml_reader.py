"""A TOML file read into a struct; every mistake becomes a `UsageError` with file, key and remedy."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec

from wsbench.errors import UsageError

_MESSAGE = re.compile(
    r"(?:Object contains unknown field `(?P<unknown>.*?)`|(?P<problem>.*?))(?: - at `\$\.(?P<path>.*)`)?", re.DOTALL
)
_INDEX, _BACKTICKS = re.compile(r"\[(\d+)\]"), re.compile(r"`([^`]*)`")
_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
}
T = TypeVar("T", bound=msgspec.Struct)


class TomlFile:
    """A TOML file; raises UsageError if there is none, or it is not TOML.

    `examples` has by key a value for the remedy of a wrong type.
    """

    def __init__(self, path: Path, examples: dict[str, str]) -> None:
        self.path = path
        self._examples = examples
        try:
            self.content = path.read_bytes()
            self._document = tomllib.loads(self.content.decode("utf-8-sig"))  # editors of Windows write a BOM
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise UsageError(f"{path}: it is not text in UTF-8") from error
        except tomllib.TOMLDecodeError as error:
            raise UsageError(
                f"{path}: it is not TOML: {error}", remedy="See https://toml.io, or scenarios/."
            ) from error

    def error(self, key: str, problem: str, remedy: str = "") -> UsageError:
        """Return the error for a key's value."""
        return UsageError(f"{self.path}: {key}: {problem}", remedy=remedy)

    def decode(self, shape: type[T]) -> T:
        """Return the file as a struct; raise UsageError if a key is unknown, or its value has the wrong type."""
        try:
            return msgspec.convert(self._document, shape)
        except msgspec.ValidationError as error:
            raise self._explained(str(error), shape) from error

    def parsed(self, key: str, value: Any, parse: Callable[[str], Any]) -> Any:
        """Parse a value from its text; raise UsageError if `parse` refuses it."""
        try:
            return parse(str(value))
        except UsageError as error:
            raise self.error(key, error.what, error.remedy) from error
        except ValueError as error:
            raise self.error(key, str(error)) from error

    def parsed_list(self, key: str, values: Any, parse: Callable[[str], Any]) -> tuple[Any, ...]:
        """Parse a list, or one value; raise UsageError if `parse` refuses one, or there is none, or one twice."""
        texts = values if isinstance(values, list) else [values]
        if not texts:
            raise self.error(key, "the list is empty", "Leave the key out, or name one value at least.")
        parsed = [self.parsed(key, text, parse) for text in texts]
        if twice := [value for place, value in enumerate(parsed) if value in parsed[:place]]:
            raise self.error(key, f"{texts[parsed.index(twice[0])]!r} is there twice")
        return tuple(parsed)

    def _explained(self, message: str, shape: type[msgspec.Struct]) -> UsageError:
        match = _MESSAGE.fullmatch(message)
        assert match is not None
        path = match["path"] or ""
        place, key = _INDEX.sub(lambda index: f" {int(index[1]) + 1}", path), _INDEX.sub("", path)
        if match["unknown"] is None:
            problem = _BACKTICKS.sub(lambda types: _named(types[1]), match["problem"])
            example = self._examples.get(key, "")
            return self.error(place, problem[0].lower() + problem[1:], f"It looks like {example}." if example else "")
        names = _fields_at(shape, key)
        close = difflib.get_close_matches(match["unknown"], names, n=1)
        remedy = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(names)}."
        return self.error(".".join(filter(None, (place, match["unknown"]))), "there is no such key", remedy)


def numbered(key: str, values: Any) -> Iterator[tuple[str, Any]]:
    """Yield the values of a list, or one value, each with its place for errors: `load 2`."""
    if isinstance(values, list):
        yield from ((f"{key} {number}", value) for number, value in enumerate(values, 1))
    else:
        yield key, values


def _named(types: str) -> str:
    return " or ".join(_TYPES.get(name, name) for name in types.split(" | ") if name != "null")


def _fields_at(shape: Any, key: str) -> tuple[str, ...]:
    """Return the fields of a struct, or of the struct in its field `key`, whose type is `list[Struct] | Struct`."""
    struct: type[msgspec.Struct] = (get_args(get_type_hints(shape).get(key)) or (shape,))[-1]
    return struct.__struct_fields__
