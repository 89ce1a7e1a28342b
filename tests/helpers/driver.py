"""A driver for tests: it notes what the connections of a process ask of it, and sends nothing on its own."""

from __future__ import annotations

from helpers.peer import Log
from wsbench.transport.connection import Connection


class LoggedDriver(Log):
    """A registered user's side of a connection.

    Attributes:
        outstanding: messages in flight, as set by the test.
        calls: what was asked of it, in order.
    """

    def __init__(self, *, has_waiters: bool = False) -> None:
        super().__init__()
        self.connection: Connection | None = None
        self.has_waiters = has_waiters
        self.outstanding = 0
        self.calls: list[str] = []

    def attach(self, connection: Connection) -> None:
        self.connection = connection
        connection.start()
        self.calls.append("attach")

    def expire(self, now_ns: int) -> int:
        self.calls.append("expire")
        return now_ns

    def resume(self) -> None:
        self.calls.append("resume")

    def abandon(self) -> None:
        self.connection = None
        self.calls.append("abandon")
