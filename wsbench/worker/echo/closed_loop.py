"""A window of messages under way: the next one leaves when a reply comes."""

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
    """A fixed window of messages under way; the next one leaves when a reply comes. Due when sent."""

    __slots__ = ("_window",)

    def __init__(self, engine: Engine, connection_id: int) -> None:
        super().__init__(engine, connection_id)
        self._window = engine.options.in_flight

    def retire(self) -> None:
        """No reply is followed by another message."""
        self._window = 0

    def resume(self) -> None:
        """See Driver."""
        self._refill()

    def _begin(self) -> None:
        self._refill()

    def fire(self, due_ns: int) -> None:
        """A closed loop has no schedule."""
        raise NotImplementedError

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
        """In the interval that has just begun; if not, what was taken from `_frames` is there again."""
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
        tally.uncounted_sends += 1
        connection.write(frame)

    def _send_many(self, connection: Connection, verifier: EchoVerifier, count: int) -> None:
        """As `_send_one`, for several at once: they share an instant and a system call."""
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
        tally.uncounted_sends += count
        connection.write(data)
