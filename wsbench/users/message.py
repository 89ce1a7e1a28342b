"""Messages of scenarios: received ones, the types that can be sent, and how a `match` selects a reply."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import FunctionType, MethodType
from typing import Any

import orjson

from wsbench.errors import excerpt
from wsbench.websocket.frames import BINARY, TEXT

_NOT_PARSED: Any = object()


class Message:
    """A whole message from the server.

    Attributes:
        payload: the bytes; `is_text` tells whether they are text (checked UTF-8).
        arrived_ns: when the kernel received its last byte; ns of CLOCK_REALTIME.
        handled_ns: when this process read it; ns of CLOCK_REALTIME.
    """

    __slots__ = ("_json", "_on_fail", "arrived_ns", "handled_ns", "is_text", "payload")

    def __init__(self, payload: bytes, is_text: bool, arrived_ns: int, handled_ns: int) -> None:
        self.payload = payload
        self.is_text = is_text
        self.arrived_ns = arrived_ns
        self.handled_ns = handled_ns
        self._json: Any = _NOT_PARSED
        self._on_fail: Callable[[Message, str], None] | None = None

    @property
    def text(self) -> str:
        """The payload as text; UnicodeDecodeError if it is binary and not UTF-8."""
        return self.payload.decode()

    def json(self) -> Any:
        """Return the payload parsed as JSON, once; raise orjson.JSONDecodeError if it is not JSON."""
        if self._json is _NOT_PARSED:
            self._json = orjson.loads(self.payload)
        return self._json

    def fail(self, reason: str) -> None:
        """Mark this reply as wrong: it counts as failed by the scenario, and the reason is listed among the errors."""
        if self._on_fail is not None:
            self._on_fail(self, reason)
            self._on_fail = None

    @property
    def excerpt(self) -> str:
        """The first bytes for people, always printable."""
        return excerpt(self.payload)

    def __repr__(self) -> str:
        return f"Message('{self.excerpt}')"


Sendable = str | bytes | bytearray | memoryview | Mapping[str, Any] | list[Any]
"""Text, bytes (a binary message), or a value that is sent as JSON."""

Match = Callable[[Message], bool] | Mapping[str, Any] | None
"""Selects a message: a function that accepts it, members that its JSON object must have, or None for the next one."""


def encode(message: Sendable) -> tuple[bytes, int]:
    """Return the payload and the first byte of the frame of a message.

    Raise UnicodeEncodeError for a text that is not Unicode, and TypeError for a value that JSON cannot hold.
    """
    if isinstance(message, str):
        return message.encode(), TEXT
    if isinstance(message, bytes | bytearray | memoryview):
        return bytes(message), BINARY
    return orjson.dumps(message), TEXT


def matcher(match: Match) -> Callable[[Message], bool]:
    """Return `match` as a function; raise TypeError if it is no valid match."""
    if match is None:
        return lambda _: True
    if callable(match):
        return match
    if not isinstance(match, Mapping):
        raise TypeError(f"match is a function, a dict of members or None, and not {match!r}")

    def has_members(message: Message) -> bool:
        try:
            return _includes(message.json(), match)
        except orjson.JSONDecodeError:
            return False

    return has_members


def match_identity(accepts: object) -> object:
    """Return a value that is equal for results of `matcher` of the same `match`, which each request may make anew.

    Functions are the same if they have the same code and equal values around it, other callables if of one type.
    """
    return _identity(accepts) if isinstance(accepts, FunctionType | MethodType) else type(accepts)


def _identity(value: object, within: tuple[FunctionType, ...] = ()) -> object:
    if isinstance(value, MethodType):
        return id(value.__self__), value.__func__
    if not isinstance(value, FunctionType):
        return value
    if any(value is each for each in within):  # it calls itself
        return value.__code__
    around = [cell.cell_contents for cell in value.__closure__ or ()]
    values = *around, *(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()
    return value.__code__, [_identity(each, (*within, value)) for each in values]


def _includes(document: Any, wanted: Any) -> bool:
    """Return whether a document has all wanted members, nested objects included."""
    if isinstance(wanted, Mapping):
        return isinstance(document, dict) and all(
            name in document and _includes(document[name], value) for name, value in wanted.items()
        )
    # In Python 1 is True; in JSON it is not.
    return bool(document == wanted) and isinstance(document, bool) is isinstance(wanted, bool)
