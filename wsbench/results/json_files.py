"""JSON documents on disk: written for people, read strictly."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import msgspec

from wsbench.errors import ResultError

_MAX_NUMBER = 2**63 - 1
_DAMAGED = "The file was edited or damaged."
T = TypeVar("T")


def encode_json(document: Any) -> bytes:
    """Return the document as indented JSON with a newline at its end."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def decode_json(shape: type[T], text: bytes, where: str, *, what: str, schema: int) -> T:
    """Parse a stored document that states its schema; unknown fields are ignored.

    `what` is the kind of document and `where` its file, for errors. Raises ResultError if the text is not JSON, of
    another schema, or not of this shape.
    """
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ResultError(f"{where} is not JSON: {error}", remedy="The file was cut off or edited.") from error
    stated = document.get("schema") if isinstance(document, dict) else None
    if stated != schema:
        newer = isinstance(stated, int) and stated > schema
        raise ResultError(
            f"{where} is not {_article(what)} of schema {schema} (its schema is {stated!r})",
            remedy="A newer wsbench wrote it: upgrade." if newer else "",
        )
    try:
        _check_numbers(document)
        return msgspec.convert(document, shape, str_keys=True)
    except (msgspec.ValidationError, ValueError) as error:
        raise ResultError(f"{where} is not a whole {what}: {error}", remedy=_DAMAGED) from error


def _check_numbers(document: Any) -> None:
    """Check that wsbench can have stored every number: from 0 (but for clock offsets) to 2**63 - 1.

    Raises ValueError with the path of another number.
    """
    left: list[tuple[str, Any]] = [("$", document)]
    while left:
        path, value = left.pop()
        if isinstance(value, dict):
            left += [(f"{path}.{key}", each) for key, each in value.items()]
        elif isinstance(value, list):
            left += [(f"{path}[{index}]", each) for index, each in enumerate(value)]
        elif isinstance(value, int | float):
            lowest = -_MAX_NUMBER if path.endswith("clock_offset_ns") else 0
            if not lowest <= value <= _MAX_NUMBER:
                raise ValueError(f"a number that cannot be - at `{path}`")


def read_document(path: Path, name: str, *, what: str) -> tuple[bytes, str]:
    """Return a stored document's text and file: `name` in the directory `path`, or `path` itself.

    Raises ResultError if there is no such file, or it cannot be read.
    """
    try:
        file = path / name if path.is_dir() else path
        return file.read_bytes(), str(file)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        remedy = f"Name a directory that holds {_article(name)}."
        raise ResultError(f"no {what} at {path}: {getattr(error, 'strerror', None) or error}", remedy=remedy) from error


def load_document(shape: type[T], path: Path, name: str, *, what: str, schema: int) -> T:
    """Read and parse the document `name` in the directory `path`, or `path` itself; raise ResultError if that fails."""
    return decode_json(shape, *read_document(path, name, what=what), what=what, schema=schema)


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def exists(path: Path) -> bool:
    """Return whether the path exists; False for a name that no file can have."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
