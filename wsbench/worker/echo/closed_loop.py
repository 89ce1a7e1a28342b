"""Closed loop: a window of messages in flight; the next one is sent when a reply arrives."""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING

from wsbench.measure.verifier import EchoVerifier
from wsbench.transport.connection import Connection
from wsbench.worker.echo.echo_driver import EchoDriver

if TYPE_CHECKING:
    from wsbench.worker.engine import Engine

_now = time.time_ns


class ClosedLoop(EchoDriver):
    """Keeps a fixed number of messages in flight. A message is due when it is sent."""

    __slots__ = ("_window",)

    def __init__(self, engine: Engine, connection_id: int) -> None:
        super().__init__(engine, connection_id)
        self._window = engine.options.in_flight

    def retire(self) -> None:
        self._window = 0

    def resume(self) -> None:
        self._refill()

    def _refill(self) -> None:
        connection, verifier = self.connection, self._verifier
        if connection is None or connection.full or not self._recorder.closed_loops_active:
            return
        room = self._window - len(self._pending) - len(verifier.overtaken)
        if room == 1:
            self._send_one(connection, verifier)
        elif room > 1:
            self._send_many(connection, verifier, room)

    def _goes_on(self, connection: Connection, now_ns: int) -> bool:
        """Return whether the loop sends in the interval that has just begun; if not, refill `_frames`."""
        self._recorder.advance(now_ns)
        if not self._recorder.closed_loops_active:
            self._prepare(connection)
        return self._recorder.closed_loops_active

    def _send_one(self, connection: Connection, verifier: EchoVerifier) -> None:
        recorder = self._recorder
        expected, frame = next(self._frames)
        now = _now()
        if now >= recorder.boundary_ns and not self._goes_on(connection, now):
            return
        tally = recorder.current
        seq = verifier.last_seq = verifier.last_seq + 1
        self._pending.append((expected, now, now, seq, tally))
        tally.count_sent(self._size)
        connection.write(frame)

    def _send_many(self, connection: Connection, verifier: EchoVerifier, count: int) -> None:
        """Send several messages, which share an instant and a system call."""
        recorder = self._recorder
        ready = list(islice(self._frames, count))
        data = b"".join([frame for _, frame in ready])
        now = _now()
        if now >= recorder.boundary_ns and not self._goes_on(connection, now):
            return
        tally = recorder.current
        seq = verifier.last_seq + 1
        self._pending.extend([(expected, now, now, n, tally) for n, (expected, _) in enumerate(ready, seq)])
        verifier.last_seq += count
        tally.count_sent(self._size, count)
        connection.write(data)
