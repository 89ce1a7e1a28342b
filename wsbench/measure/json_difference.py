"""How one JSON document differs from another, in words for people.

Documents are parsed as Python does it: NaN and Infinity, which some servers write, are understood.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from wsbench.errors import escape

_SHOWN = 40
"""Maximum number of characters of a value or name in the words."""
_PART = 16
"""The same for strings that differ within."""
_NAMED = 3
"""Maximum number of differences or names in the words."""
_DEPTH = 4
"""The depth to which a wrapped message is searched."""
_KINDS = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "an array", dict: "an object"}


def same(old: Any, new: Any) -> bool:
    """Return whether two documents have the same members and values; `1` is `1.0`, but not `true`."""
    return next(_differences(old, new, _equal), None) is None


def wrapped(expected: bytes, received: bytes) -> str:
    """Say where in the received document the expected message is; return "" if it is not in one."""
    try:
        document, text = json.loads(received.decode()), expected.decode()
        return _place(document, _parsed(text), text)
    except (ValueError, RecursionError):
        return ""


def differing(expected: bytes, received: bytes) -> str:
    """Name the members that differ, or how else the documents do; return "" if one of the two is no JSON."""
    try:
        old, new = json.loads(expected.decode()), json.loads(received.decode())
        found = list(islice(_differences(old, new, _equal), _NAMED + 1)) or [_spelling(old, new)]
        more = ["and more"] if found[_NAMED:] else []
        return "; ".join([*found[:_NAMED], *more, *_no_json(received)])
    except (ValueError, RecursionError):
        return ""


def _no_json(received: bytes) -> list[str]:
    constants: list[str] = []
    json.loads(received.decode(), parse_constant=constants.append)
    return [f"{name} is no JSON" for name in dict.fromkeys(constants)]


# -- a wrapped message -------------------------------------------------------------------------------------------------


def _parsed(text: str) -> Any:
    """Return the document in a text; the text itself if it is no JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _place(document: Any, message: Any, text: str) -> str:
    if document == text:
        return "the message as a JSON string"
    if isinstance(document, list) and len(document) > 1 and _among(message, document):
        return f"{len(document)} messages in one array"
    for path, value in _inside(document, _DEPTH):
        if value == text or same(message, value):
            kind = " as a string" if value == text and message != text else ""
            return f"the message{kind} wrapped in {_KINDS[type(document)]}, at {_path(path)}"
    return ""


def _among(message: Any, values: list[Any]) -> bool:
    """Return whether the message is one of the values, and the others could be messages, too."""
    alike = all(type(value) is type(message) for value in values)
    return alike and any(same(message, value) for value in values)


def _inside(document: Any, depth: int, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield all values in a document, with their paths."""
    for step, value in _steps(document):
        yield path + step, value
        if depth > 1:
            yield from _inside(value, depth - 1, path + step)


def _steps(document: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(document, dict):
        return ((f".{name}", value) for name, value in document.items())
    return ((f"[{place}]", value) for place, value in enumerate(document)) if isinstance(document, list) else ()


# -- other members -----------------------------------------------------------------------------------------------------


def _differences(old: Any, new: Any, equal: Callable[[Any, Any], bool], path: str = "") -> Iterator[str]:
    """Yield what differs: members more and less, and values that are not `equal`."""
    if isinstance(old, dict) and isinstance(new, dict):
        more, missing = (
            [f"{path}.{name}" for name in one if name not in other] for one, other in ((new, old), (old, new))
        )
        if more and len(missing) == len(old) > 0:
            yield f"other members: {_listed(more)} instead of {_listed(missing)}"
            return
        for what, paths in (("more", more), ("missing", missing)):
            if paths:
                yield f"{'one member' if len(paths) == 1 else f'{len(paths)} members'} {what}: {_listed(paths)}"
        for name in old:
            if name in new:
                yield from _differences(old[name], new[name], equal, f"{path}.{name}")
    elif isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            yield f"{_subject(path)} has {len(new)} elements instead of {len(old)}"
        for place, (one, other) in enumerate(zip(old, new, strict=False)):
            yield from _differences(one, other, equal, f"{path}[{place}]")
    elif not equal(old, new):
        yield f"{_subject(path)} {_change(old, new)}"


def _change(old: Any, new: Any) -> str:
    if isinstance(old, str) and isinstance(new, str) and max(len(old), len(new)) > _SHOWN:
        at = next((place for place, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), None)
        at = min(len(old), len(new)) if at is None else at
        return f"differs from character {at} on: {_value(new[at:], _PART)} instead of {_value(old[at:], _PART)}"
    kind = _KINDS.get(type(new), "")
    other_kind = f"{kind}, " if isinstance(new, str | list | dict) and kind != _KINDS.get(type(old)) else ""
    return f"is {other_kind}{_value(new)} instead of {_value(old)}"


def _equal(old: Any, new: Any) -> bool:
    """Compare values that are not both objects or both arrays. In Python 1 is True; in JSON it is not."""
    return (bool(old == new) and isinstance(old, bool) is isinstance(new, bool)) or _written_alike(old, new)


def _written_alike(old: Any, new: Any) -> bool:
    return json.dumps(old) == json.dumps(new)


def _spelling(old: Any, new: Any) -> str:
    """Say how equal documents are written differently."""
    if _written_alike(old, new):
        return "the same JSON with other spaces or escapes"
    if json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True):
        return "the same members in another order"
    return next(_differences(old, new, _written_alike), "the same JSON")


def _subject(path: str) -> str:
    return f"member {_path(path)}" if path else "the message"


def _path(path: str) -> str:
    return _shortened(escape(path.removeprefix(".")))


def _listed(paths: list[str]) -> str:
    return ", ".join([*map(_path, paths[:_NAMED]), *(["…"] if paths[_NAMED:] else [])])


def _value(value: Any, most: int = _SHOWN) -> str:
    return _shortened(escape(json.dumps(value, ensure_ascii=False)), most)


def _shortened(text: str, most: int = _SHOWN) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
