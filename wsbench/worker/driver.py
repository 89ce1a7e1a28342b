"""Interface between the engine and the drivers of connections: echo drivers, and a scenario's sockets."""

from __future__ import annotations

from typing import Protocol

from wsbench.errors import ConnectionLost
from wsbench.transport.connection import Connection
from wsbench.transport.receiver import Receiver


class Driver(Receiver, Protocol):
    """Drives one connection, and its successors after reconnecting.

    Attributes:
        has_waiters: whether greenlets wait for its messages, or for instants to send.
    """

    connection: Connection | None
    has_waiters: bool

    @property
    def outstanding(self) -> int:
        """Number of messages in flight: the end of a run waits for their replies."""

    def attach(self, connection: Connection) -> None:
        """Begin on an open connection."""

    def expire(self, now_ns: int) -> int:
        """Give up messages that are overdue at `now_ns`; return the earliest instant at which another one may be."""

    def resume(self) -> None:
        """Continue after a pause of closed loops (`Recorder.closed_loops_active`); others ignore it."""

    def abandon(self) -> None:
        """Give up all messages: the connection is about to be closed, or is gone."""

    def dropped(self, error: ConnectionLost) -> None:
        """The connection ended without our asking; called once."""
