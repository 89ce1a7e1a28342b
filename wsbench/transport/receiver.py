"""The owner of a connection, as the connection sees it."""

from __future__ import annotations

from typing import Protocol

from wsbench.errors import ConnectionLost
from wsbench.transport.shortway import Way


class Receiver(Protocol):
    """Callbacks for what arrives on a connection. They run on the hub and must not block."""

    def short_way(self, fd: int) -> Way | None:
        """Return the short way for this descriptor, if there is one. Called once, at the start."""

    def predicted(self, data: bytes, arrived_ns: int, handled_ns: int) -> int:
        """Return how many leading bytes of `data` are whole replies that were expected.

        `data` begins at a frame boundary.
        """

    def message(self, payload: bytes, text: bool, arrived_ns: int, handled_ns: int) -> None:
        """Handle a whole message that was not predicted."""

    def pong(self, payload: bytes, arrived_ns: int, handled_ns: int) -> None:
        """Handle a pong, solicited or not."""

    def drained(self) -> None:
        """Continue to send: all buffered bytes have been sent, and the socket accepts more."""

    def dropped(self, error: ConnectionLost) -> None:
        """Handle the end of the connection that we did not ask for. Called once, after all messages."""
