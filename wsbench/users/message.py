"""A message as a scenario sees it, what a scenario may send, and how it says which reply it waits for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from wsbench.websocket.frames import BINARY, TEXT

_UNREAD: Any = object()


class Message:
    """A whole message that came from the server.

    Attributes:
        payload: its bytes; `is_text` says whether they are text (UTF-8, checked).
        arrived_ns: when the kernel had its last byte, `handled_ns` when we read it: ns of CLOCK_REALTIME.
    """

    __slots__ = ("_json", "_on_fail", "arrived_ns", "handled_ns", "is_text", "payload")

    def __init__(self, payload: bytes, is_text: bool, arrived_ns: int, handled_ns: int) -> None:
        self.payload = payload
        self.is_text = is_text
        self.arrived_ns = arrived_ns
        self.handled_ns = handled_ns
        self._json: Any = _UNREAD
        self._on_fail: Callable[[str], None] | None = None

    @property
    def text(self) -> str:
        """The payload as text.

        Raises:
            UnicodeDecodeError: it is binary, and not UTF-8.
        """
        return self.payload.decode()

    def json(self) -> Any:
        """The payload as JSON; parsed once.

        Raises:
            orjson.JSONDecodeError: it is none.
        """
        if self._json is _UNREAD:
            self._json = orjson.loads(self.payload)
        return self._json

    def fail(self, reason: str) -> None:
        """Say that this reply is not what it should be: counted as corrupted, with the reason among the errors."""
        if self._on_fail is not None:
            self._on_fail(reason)
            self._on_fail = None

    @property
    def excerpt(self) -> str:
        """Its beginning, for people: printable whatever it is."""
        return f"{self.payload[:80]!r}{'…' if len(self.payload) > 80 else ''}"

    def __repr__(self) -> str:
        return f"Message({self.excerpt})"


Sendable = str | bytes | Mapping[str, Any] | list[Any]
"""Text, bytes (a binary message), or what becomes JSON."""

Match = Callable[[Message], bool] | Mapping[str, Any] | None
"""Which message is meant: one for which a function says so, a JSON object with these members, or whichever is next."""


def encode(message: Sendable) -> tuple[bytes, int]:
    """The payload and the kind of frame that carry a message.

    Raises:
        TypeError: it is neither text nor bytes nor JSON.
    """
    if isinstance(message, str):
        return message.encode(), TEXT
    if isinstance(message, bytes):
        return message, BINARY
    return orjson.dumps(message), TEXT


def matcher(match: Match) -> Callable[[Message], bool]:
    """`match` as a function.

    Raises:
        TypeError: it is nothing that could match.
    """
    if match is None:
        return _any
    if callable(match):
        return match
    if not isinstance(match, Mapping):
        raise TypeError(f"match is a function, a dict of members or None, and not {match!r}")
    wanted = match

    def has_members(message: Message) -> bool:
        try:
            return _includes(message.json(), wanted)
        except orjson.JSONDecodeError:
            return False

    return has_members


def _any(message: Message) -> bool:  # noqa: ARG001 - a matcher's signature
    return True


def _includes(document: Any, wanted: Any) -> bool:
    """Whether a document has at least what is wanted, object in object."""
    if isinstance(wanted, Mapping):
        return isinstance(document, dict) and all(
            name in document and _includes(document[name], value) for name, value in wanted.items()
        )
    # In Python 1 is True; in JSON it is not.
    return bool(document == wanted) and isinstance(document, bool) is isinstance(wanted, bool)
