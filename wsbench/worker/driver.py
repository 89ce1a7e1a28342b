"""What the engine wants of whatever drives a connection: the echo drivers of the hot path, and a scenario's sockets."""

from __future__ import annotations

from typing import Protocol

from wsbench.errors import ConnectionLost
from wsbench.transport.connection import Connection
from wsbench.transport.receiver import Receiver


class Driver(Receiver, Protocol):
    """One connection's doings, from one opening to the next.

    Attributes:
        connection: the open connection; None before, between and after.
        has_waiters: greenlets wait for what comes on it, or for when it is to send.
    """

    connection: Connection | None
    has_waiters: bool

    @property
    def outstanding(self) -> int:
        """Messages under way: at the end of a run their replies are waited for."""

    def attach(self, connection: Connection) -> None:
        """A connection is open: begin."""

    def expire(self, now_ns: int) -> None:
        """Give up on what is overdue at `now_ns`."""

    def resume(self) -> None:
        """If it is a loop, it was held back for a while (`Recorder.closed_loops_active`), and may go on."""

    def abandon(self) -> None:
        """The connection is about to be closed, or is gone: no more replies will be waited for."""

    def dropped(self, error: ConnectionLost) -> None:
        """The connection ended without our asking; called once."""
