"""How a wrong reply differs from the expected message, in words for people.

Offsets are bytes of the reply, counted from 0.
"""

from __future__ import annotations

from typing import NamedTuple

from wsbench.errors import excerpt
from wsbench.measure import json_difference

_SHOWN = 40
"""Maximum number of bytes of a payload in the words."""
_LONGEST = 400
_JSON_MAX = 1 << 16
"""Larger payloads are compared by bytes only: parsing them would delay the messages of other connections."""
_SIMILAR = 8
"""Number of bytes at the ends that messages have in common if one is a damaged form of the other."""
_BATCH_MAX = 1000
_SEPARATORS = (b"", b"\n", b"\r\n", b"\x1e")
"""Between messages that a server sends as one; SignalR ends each with a record separator."""
_NAMES = {b"\xef\xbb\xbf": "a byte order mark", b"\n": "a line break", b"\r\n": "a line break", b"\0": "a NUL byte"}


class Payload(NamedTuple):
    """The payload of a message, and whether the message is text."""

    data: bytes
    text: bool


def describe(expected: Payload, received: Payload) -> str:
    """Describe in one short line how `received` differs."""
    words = [] if expected.text is received.text else [f"{_type(received)} message instead of {_type(expected)}"]
    if expected.data != received.data:
        words.append(_differing(expected.data, received.data))
    line = ", and ".join(words) or "no difference"
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def first_difference(one: bytes, other: bytes) -> int | None:
    """Return the offset of the first byte that differs; None if the payloads are the same."""
    if one == other:
        return None
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle - 1)
    return low


def _type(payload: Payload) -> str:
    return "a text" if payload.text else "a binary"


def _differing(expected: bytes, received: bytes) -> str:
    if not received:
        return "an empty message"
    if not expected:
        return f"{_bytes(len(received))} instead of an empty message: {_quoted(received)}"
    small = max(len(expected), len(received)) <= _JSON_MAX
    return (
        _several(expected, received)
        or (small and json_difference.wrapped(expected, received))
        or _partly(expected, received)
        or (small and json_difference.differing(expected, received))
        or _by_bytes(expected, received)
    )


def _several(expected: bytes, received: bytes) -> str:
    """Describe several messages in one, the expected one and others of its size that begin and end like it."""
    size, ends = len(expected), (expected[:1], expected[-1:])
    for separator in _SEPARATORS:
        starts = range(0, len(received), size + len(separator))
        if 1 < len(starts) <= _BATCH_MAX:
            parts = [received[start : start + size] for start in starts]
            alike = all(len(part) == size and (part[:1], part[-1:]) == ends for part in parts)
            if alike and expected in parts and received.removesuffix(separator) == separator.join(parts):
                return f"{len(parts)} messages in one"
    return ""


def _partly(expected: bytes, received: bytes) -> str:
    """Describe a message with something before or after it, or a part of it."""
    before, found, after = received.partition(expected)
    if found:
        places = (("before the message", before), ("after it" if before else "after the message", after))
        return ", and ".join(f"{_named(extra)} {place}{_shown(extra)}" for place, extra in places if extra)
    if expected.startswith(received):
        return f"cut off: the first {_bytes(len(received))} of {len(expected)}"
    if expected.endswith(received):
        missing = expected.removesuffix(received)
        return f"the first {_bytes(len(missing))} are missing: {_quoted(missing)}"
    return ""


def _by_bytes(expected: bytes, received: bytes) -> str:
    at = first_difference(expected, received) or 0
    same = first_difference(expected[at:][::-1], received[at:][::-1]) or 0  # at the end
    old, new = expected[at : len(expected) - same], received[at : len(received) - same]
    if at + same < min(_SIMILAR, len(expected) / 4):
        return f"another message: {_quoted(received)}"
    if not old:
        return f"{_bytes(len(new))} more at byte {at}: {_quoted(new)}"
    if not new:
        return f"{_bytes(len(old))} missing at byte {at}: {_quoted(old)}"
    if len(old) == len(new) == 1:
        return f"byte {at} is {_quoted(new)} instead of {_quoted(old)}"
    return f"differs from byte {at} on: {_quoted(new)} instead of {_quoted(old)}"


def _bytes(count: int) -> str:
    return f"{count} byte{'s' if count != 1 else ''}"


def _named(extra: bytes) -> str:
    return _NAMES.get(extra) or _bytes(len(extra))


def _shown(extra: bytes) -> str:
    return "" if extra in _NAMES else f": {_quoted(extra)}"


def _quoted(payload: bytes) -> str:
    return f"'{excerpt(payload, _SHOWN)}'"
