"""Open loop: messages are sent when they are due, whether or not replies have arrived."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from wsbench.measure.delta import merge_counts
from wsbench.transport.connection import Connection
from wsbench.worker.echo.echo_driver import EchoDriver

if TYPE_CHECKING:
    from wsbench.worker.engine import Engine

_now = time.time_ns
_BACKLOG = 1000
"""Maximum number of messages that wait for one full socket; older ones are counted as missed."""


class OpenLoop(EchoDriver):
    """Sends each message when it is due."""

    __slots__ = ("_waiting",)

    def __init__(self, engine: Engine, connection_id: int) -> None:
        super().__init__(engine, connection_id)
        self._waiting: deque[int] = deque()

    def retire(self) -> None:
        self._engine.schedule.unpace(self)

    def attach(self, connection: Connection) -> None:
        super().attach(connection)
        self._engine.schedule.pace(self)

    def fire(self, due_ns: int) -> None:
        """Send the message due at `due_ns`, or count why it is not sent."""
        recorder, connection = self._recorder, self.connection
        if due_ns >= recorder.boundary_ns:
            recorder.advance(due_ns)
        if not recorder.sending and due_ns >= recorder.plan.drain_ns:
            return
        if connection is None:
            self._miss(due_ns)
            return
        if connection.full or self._waiting:
            self._waiting.append(due_ns)
            if len(self._waiting) > _BACKLOG:
                self._miss(self._waiting.popleft())
            return
        self._send(connection, due_ns)

    def miss(self, due_ns: int, count: int) -> None:
        """Count messages that the generator did not send in time."""
        self._miss(due_ns, count, overdue=count)

    def _miss(self, due_ns: int, count: int = 1, *, overdue: int = 0) -> None:
        if due_ns < self._recorder.plan.drain_ns:
            tally = self._recorder.tally_at(due_ns)
            tally.missed += count
            if overdue:
                merge_counts(tally.extra_counts, {"overdue": overdue})

    def _send(self, connection: Connection, due_ns: int) -> None:
        recorder, verifier = self._recorder, self._verifier
        tally = recorder.current
        if due_ns < tally.interval[1]:
            tally = recorder.tally_at(due_ns)
        seq = verifier.last_seq = verifier.last_seq + 1
        expected, frame = next(self._frames)
        now = _now()
        self._pending.append((expected, due_ns, now, seq, tally))
        tally.count_sent(self._size)
        connection.write(frame)

    def _refill(self) -> None:
        connection, waiting = self.connection, self._waiting
        while waiting and connection is not None and not connection.full:
            self._send(connection, waiting.popleft())

    def abandon(self) -> None:
        while self._waiting:
            self._miss(self._waiting.popleft())
        super().abandon()
