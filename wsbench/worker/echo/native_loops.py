"""Echo drivers whose connections are served by the native path while only expected replies arrive.

Any unexpected input moves the messages in flight back to the verifier. The next reply that the general path predicted
moves them to the table again: not an earlier one, since moving many messages for each wrong reply would cost more than
the table saves.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from wsbench.transport.connection import State
from wsbench.transport.shortway import Way
from wsbench.websocket.frames import frame_header
from wsbench.worker.echo.closed_loop import ClosedLoop
from wsbench.worker.echo.echo_driver import NO_FRAMES, EchoDriver
from wsbench.worker.echo.native_path import NativePath
from wsbench.worker.echo.open_loop import OpenLoop

if TYPE_CHECKING:
    from wsbench.worker.engine import Engine


_SLOTS_BELOW: tuple[str, ...] = ()
"""Two bases of a class cannot both have slots: the common part's are in the classes below."""


class _NativeLoop(EchoDriver):
    """The common part of both loops, before `ClosedLoop` or `OpenLoop` among the bases.

    Invariant: a connection in the table is on its short way (`Connection.on_short_way`).
    """

    __slots__ = _SLOTS_BELOW
    _fd: int
    _id: int
    _in_table: bool
    _orderly: bool
    """Whether the last input was a predicted reply."""
    _path: NativePath

    def __init__(self, engine: Engine, connection_id: int) -> None:
        super().__init__(engine, connection_id)
        self._path = engine.singleton(NativePath)
        self._id = connection_id
        self._fd = -1
        self._in_table = False
        self._orderly = True

    def short_way(self, fd: int) -> Way | None:
        assert self.connection is not None
        self._fd = fd
        self._path.join(fd, self, self.connection)
        return self._path

    def retire(self) -> None:
        self.recall()
        super().retire()  # type: ignore[safe-super]  # it is the other base's

    @property
    def outstanding(self) -> int:
        return super().outstanding + (self._path.in_flight(self._fd) if self._in_table else 0)

    def expire(self, now_ns: int) -> int:
        # Messages that are not overdue stay in the table.
        if self._in_table:
            deadline_ns = self._path.oldest_due_ns(self._fd, now_ns) + self._timeout_ns
            if now_ns <= deadline_ns:
                return deadline_ns
        self.recall()
        return super().expire(now_ns)

    def abandon(self) -> None:
        self.recall()
        super().abandon()

    def predicted(self, data: bytes, arrived_ns: int, handled_ns: int) -> int:
        self.recall()
        consumed = super().predicted(data, arrived_ns, handled_ns)
        if consumed:
            self._orderly = True
            if consumed == len(data):
                self.settle()
        return consumed

    def message(self, payload: bytes, text: bool, arrived_ns: int, handled_ns: int) -> None:
        self.recall()
        self._orderly = False
        super().message(payload, text, arrived_ns, handled_ns)

    def proceed(self, *, orderly: bool) -> None:
        self._orderly = orderly
        self._refill()

    def recall(self) -> None:
        connection = self.connection
        if not self._in_table:
            return
        assert connection is not None
        self._in_table = False
        matched = self._path.take(self._fd, self._verifier, frame_header(self._opcode, self._size))
        self._prepare(connection)
        if matched and connection.state is not State.CLOSED:
            now_ns = time.time_ns()
            connection.strayed(matched, now_ns, now_ns)

    def _refill(self) -> None:
        self.recall()
        super()._refill()  # type: ignore[safe-super]  # likewise
        self.settle()

    def settle(self) -> None:
        """Move the messages in flight into the table, if the next reply is the oldest one's."""
        connection, path, verifier = self.connection, self._path, self._verifier
        if self._in_table or connection is None or not connection.on_short_way:
            return
        if not self._orderly or verifier.overtaken or not path.takes(len(verifier.pending)):
            return
        path.put(self._fd, self._id, verifier)
        self._in_table = True
        self._frames = NO_FRAMES  # unused in the table, and thousands of generators take memory


class NativeClosedLoop(_NativeLoop, ClosedLoop):
    """A closed loop with a window of any size."""

    __slots__ = ("_fd", "_id", "_in_table", "_orderly", "_path")

    def settle(self) -> None:
        if self._pending and self._window:
            super().settle()


class NativeOpenLoop(_NativeLoop, OpenLoop):
    """An open loop, whose due messages the native path sends together (`NativePath.fire`)."""

    __slots__ = ("_fd", "_id", "_in_table", "_orderly", "_path")

    def fire(self, due_ns: int) -> None:
        """Send a message that the table did not send."""
        self.recall()
        super().fire(due_ns)
        self.settle()

    def settle(self) -> None:
        if not self._waiting:
            super().settle()
