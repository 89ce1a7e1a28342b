"""How much of the target one client gets: of the event loop, of memory, and of patience with what it leaves unread."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from abc import abstractmethod
from typing import Any

from websockets.asyncio.server import Server
from websockets.frames import CloseCode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from wsbench.targets.echo.accept import OpeningConnection
from wsbench.targets.echo.counters import BUFFERS, WRITE_TIMEOUT
from wsbench.targets.echo.fair_queue import LEAST_SLICE, MOST_A_ROUND, MOST_AT_ONCE, MOST_SLICE, TURN_NS
from wsbench.targets.echo.limits import Quota

_RESET = struct.pack("ii", 1, 0)


class FlowConnection(OpeningConnection):
    """A connection whose input is worked off by `_take`, within limits.

    Attributes:
        stops_reading: whether to stop reading while the peer does not read what was sent to it.
        held: bytes of memory that are kept for this client: parts of messages, and what it leaves unread.
        kept: those of them that whoever takes its messages keeps, by its own account.
    """

    def __init__(self, protocol: ServerProtocol, server: Server, *, quota: Quota, **limits: Any) -> None:
        super().__init__(protocol, server, quota=quota, **limits)
        self.stops_reading = False
        self.held = 0
        self.kept = 0
        self._failed = False
        self._fragments = bytearray()
        self._unread = 0
        self._held_back = False
        self._write_timer: asyncio.TimerHandle | None = None

    @abstractmethod
    def _take(self, data: bytes | memoryview) -> bool:
        """Parse and answer; whether there was anything but a part of a frame."""

    @abstractmethod
    def flush(self) -> None:
        """Write what was queued."""

    def hold_back(self, on: bool) -> None:
        """Leave what the client sends in its socket, until told otherwise."""
        self._held_back = on
        if self._receive == self._feed:
            self._go_on()

    def keep(self, more: int) -> None:
        """Account for so many bytes more, or fewer, that are kept of its messages."""
        self.kept += more
        self.account()

    def account(self) -> None:
        """Bring `held` up to date; the client for which most is kept goes when that is too much for the worker."""
        held = len(self.protocol.reader.buffer) + len(self._fragments) + len(self._rest) + self._unread + self.kept
        more, self.held = held - self.held, held
        if more and self in self.quota.live:
            heaviest = self.quota.hold(self, more)
            if heaviest is not None:
                # not from within: it may be this one, in the midst of what it does
                self.loop.call_soon(heaviest.shed)

    def shed(self) -> None:
        """Close with 1013 (try again later) and forget what is buffered, unless that has been done."""
        if not self.held:
            return
        if self._failed:  # and told so; it has not gone yet
            self.cut()
            return
        self._failed = True
        self.quota.cells[BUFFERS] += 1
        if self.paused or self.protocol.state is not OPEN:
            self.cut()  # a close frame would have to wait behind what is unread
            return
        self.protocol.fail(CloseCode.TRY_AGAIN_LATER, "too much is buffered for this client")
        self.protocol.reader.discard()
        self._fragments.clear()
        self._rest = b""
        self._receive = self._discard
        self.flush()
        self.account()
        self.quota.stays(self)
        self.expect_end()

    def cut_for_memory(self) -> None:
        """End the connection now: it leaves too much unread."""
        if not self._failed:
            self._failed = True
            self.quota.cells[BUFFERS] += 1
        self.cut()

    def cut(self) -> None:
        """End the connection now, with a reset: nothing of what waits to be read stays in the kernel either."""
        sock: socket.socket | None = self.transport.get_extra_info("socket")
        if sock is not None:
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            except OSError:  # closed already
                pass
        self.transport.abort()

    # what the event loop calls

    def connection_lost(self, exc: Exception | None) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
        self._rest = b""
        self._receive = self._discard
        super().connection_lost(exc)
        if self.held:
            held, self.held = self.held, 0
            self.quota.hold(self, -held)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.transport.get_write_buffer_size()
        self._write_timer = self.loop.call_later(self.quota.write_timeout_s, self._left_unread)
        self.account()
        self._read_if_answered()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread = 0
        if self._write_timer is not None:
            self._write_timer.cancel()
        self.account()
        self._go_on()

    def eof_received(self) -> None:
        if self._rest and self._receive == self._feed:
            rest, self._rest = self._rest, b""
            self._take(rest)
        super().eof_received()
        self.expect_end()

    def _left_unread(self) -> None:
        self.quota.cells[WRITE_TIMEOUT] += 1
        self._failed = True
        self.cut()

    # how what came in is worked off

    def _feed(self, data: bytes) -> None:
        if self._rest or (len(data) > MOST_AT_ONCE and not self._is_part_of_a_frame(data)):
            self._rest += data
            self._continue()
            return
        self._take(data)
        if self.held or self._fragments or self.protocol.reader.buffer:
            self.account()

    def _continue(self) -> None:
        """Work off what has come in, slice by slice, until it is others' turn or the client has to read first."""
        if self._receive != self._feed:
            self.read(True)  # and forget it, until the client sees that it is over
            return
        if self._has_to_wait:
            return
        data = self._rest
        deadline_ns = time.monotonic_ns() + TURN_NS
        at, size = 0, LEAST_SLICE
        with memoryview(data) as view:
            while at < len(data):
                worked_off = self._take(view[at : at + size])
                at += size
                size = LEAST_SLICE if worked_off else min(2 * size, MOST_SLICE)
                if self._has_to_wait or time.monotonic_ns() > deadline_ns:
                    break
        self._rest = data[at:] if self._receive == self._feed else b""
        if self.held or self._rest or self._fragments or self.protocol.reader.buffer:
            self.account()
        if (self._rest or len(data) > MOST_A_ROUND) and not self._has_to_wait:
            self.wait_for_turn(self._continue)
        else:
            self._read_if_answered()

    def _is_part_of_a_frame(self, data: bytes) -> bool:
        """Whether a frame begins with `data` that has no end in it (or is all of it): there is one thing to be done."""
        size, most = data[1] & 0x7F, len(data) - 14
        if self.protocol.reader.buffer or size < 126:
            return False
        return int.from_bytes(data[2:4] if size == 126 else data[2:10]) >= most

    @property
    def _has_to_wait(self) -> bool:
        """Whether the client is not listened to, mostly since it has to read what it was sent first."""
        return (self.paused and self.stops_reading) or self._held_back

    def _go_on(self) -> None:
        if self._rest and not self._has_to_wait:
            self.wait_for_turn(self._continue)
        else:
            self._read_if_answered()

    def _read_if_answered(self) -> None:
        self.read(not self._rest and not self._has_to_wait)
