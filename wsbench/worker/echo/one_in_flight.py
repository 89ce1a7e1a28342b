"""Closed loop with a window of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsbench.transport.shortway import Way
from wsbench.worker.echo.closed_loop import ClosedLoop
from wsbench.worker.echo.echo_driver import NO_FRAMES
from wsbench.worker.echo.lane import Lane

if TYPE_CHECKING:
    from wsbench.worker.engine import Engine


class OneInFlight(ClosedLoop):
    """A closed loop whose message in flight is on the lane, the fast path, while only expected replies arrive.

    Any unexpected input moves the message back to the verifier, as in any closed loop; the next send may return it.
    """

    __slots__ = ("_fd", "_lane", "_on_lane")

    def __init__(self, engine: Engine, connection_id: int) -> None:
        super().__init__(engine, connection_id)
        self._lane = engine.singleton(Lane)
        self._fd = -1
        self._on_lane = False

    def short_way(self, fd: int) -> Way:
        self._fd = fd
        self._lane.widen(fd)
        return self._lane.way

    def retire(self) -> None:
        self._recall()
        super().retire()

    @property
    def outstanding(self) -> int:
        return super().outstanding + self._on_lane

    def expire(self, now_ns: int) -> int:
        # A message that is not overdue stays on the lane.
        if self._on_lane and now_ns - (sent_ns := self._lane.sent_ns(self._fd)) <= self._timeout_ns:
            return sent_ns + self._timeout_ns
        self._recall()
        return super().expire(now_ns)

    def abandon(self) -> None:
        self._recall()
        super().abandon()

    def predicted(self, data: bytes, timespec: bytes, handled_ns: int) -> int:
        # Input that the fast path did not take comes here first.
        self._recall()
        return super().predicted(data, timespec, handled_ns)

    def _refill(self) -> None:
        self._recall()
        super()._refill()
        if self._pending and self.outstanding == 1 and self.connection is not None and self.connection.on_short_way:
            self._put_on_lane()

    def _put_on_lane(self) -> None:
        self._lane.put(self._fd, self._messages, self._pending.popleft())
        self._on_lane = True
        self._frames = NO_FRAMES  # unused on the lane, and thousands of generators take memory

    def _recall(self) -> None:
        """Move the message in flight to the verifier, and prepare the following ones in `_frames`."""
        if not self._on_lane:
            return
        self._on_lane = False
        message = self._lane.take(self._fd)
        self._pending.append(message)
        self._verifier.last_seq = message[3]
        assert self.connection is not None
        self._prepare(self.connection)
