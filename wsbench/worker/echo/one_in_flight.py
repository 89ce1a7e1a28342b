"""A window of one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from wsbench.transport.shortway import ShortWay
from wsbench.worker.echo.closed_loop import ClosedLoop
from wsbench.worker.echo.lane import Lane

if TYPE_CHECKING:
    from wsbench.worker.engine import Engine


_NO_FRAMES: Iterator[tuple[bytes, bytes]] = iter(())


class OneInFlight(ClosedLoop):
    """A closed loop whose message is on the lane whenever the conversation is as plain as can be.

    Whatever is not the one reply expected has it taken from there: then it is in the verifier like any other loop's,
    until the next one is sent.
    """

    __slots__ = ("_fd", "_lane", "_on_lane")

    def __init__(self, engine: Engine, connection_id: int) -> None:
        super().__init__(engine, connection_id)
        self._lane = engine.singleton(Lane)
        self._fd = -1
        self._on_lane = False

    def short_way(self, fd: int) -> ShortWay:
        """See Receiver."""
        self._fd = fd
        self._lane.widen(fd)
        return self._lane.way

    def retire(self) -> None:
        """See EchoDriver."""
        self._recall()
        super().retire()

    @property
    def outstanding(self) -> int:
        """See EchoDriver."""
        return super().outstanding + self._on_lane

    def expire(self, now_ns: int) -> None:
        """See EchoDriver. What is not overdue stays where it is."""
        if not self._on_lane or now_ns - self._lane.sent_ns(self._fd) > self._timeout_ns:
            self._recall()
            super().expire(now_ns)

    def abandon(self) -> None:
        """See EchoDriver."""
        self._recall()
        super().abandon()

    def predicted(self, data: bytes, timespec: bytes, handled_ns: int) -> int:
        """See EchoDriver. Whatever comes on the short way and is not answered there comes here first."""
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
        self._frames = _NO_FRAMES  # the lane has no need of them, and thousands of generators take memory

    def _recall(self) -> None:
        """Have the message under way in the verifier, and in `_frames` those that follow it."""
        if not self._on_lane:
            return
        self._on_lane = False
        message = self._lane.take(self._fd)
        self._pending.append(message)
        self._verifier.last_seq = message[3]
        assert self.connection is not None
        self._prepare(self.connection)
