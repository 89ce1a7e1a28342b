"""Limits on one open connection: its share of the event loop, its memory, and how long it may leave replies unread."""

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

from wsbench.targets.echo.accept import HandshakeConnection
from wsbench.targets.echo.counters import BUFFERS, WRITE_TIMEOUT
from wsbench.targets.echo.fair_queue import MAX_BYTES_PER_ITERATION, MAX_SLICE, MAX_UNQUEUED_BYTES, MIN_SLICE, TURN_NS
from wsbench.targets.echo.limits import WorkerLimits

_RESET = struct.pack("ii", 1, 0)


class BoundedConnection(HandshakeConnection):
    """A connection whose input `_process` handles within limits.

    Attributes:
        pause_on_unread: whether to stop reading while the peer leaves replies unread.
        buffered: bytes kept in memory for this client: parts of messages, queued replies, unread replies.
        queued: the part of `buffered` that the path's handler keeps; it reports changes by `add_queued`.
    """

    def __init__(self, protocol: ServerProtocol, server: Server, *, limits: WorkerLimits, **options: Any) -> None:
        super().__init__(protocol, server, limits=limits, **options)
        self.pause_on_unread = False
        self.buffered = 0
        self.queued = 0
        self._failed = False
        self._fragments = bytearray()
        self._unread = 0
        self._input_paused = False
        self._write_timer: asyncio.TimerHandle | None = None

    @abstractmethod
    def _process(self, data: bytes | memoryview) -> bool:
        """Parse and answer `data`; return whether it completed a frame."""

    @abstractmethod
    def flush(self) -> None:
        """Write queued replies."""

    def pause_input(self, on: bool) -> None:
        """Leave the client's input in its socket (True), or read it again (False)."""
        self._input_paused = on
        if self._receive == self._process_input:
            self._resume_input()

    def add_queued(self, change: int) -> None:
        """Add `change` (may be negative) to the bytes that the handler keeps."""
        self.queued += change
        self.account()

    def account(self) -> None:
        """Update `buffered`; if the worker then exceeds its limit, fail the connection with the most."""
        buffered = len(self.protocol.reader.buffer) + len(self._fragments) + len(self._unprocessed)
        buffered += self._unread + self.queued
        change, self.buffered = buffered - self.buffered, buffered
        if change and self in self.limits.live:
            largest = self.limits.add_buffered(self, change)
            if largest is not None:
                # deferred: it may be this connection, which is in the middle of processing
                self.loop.call_soon(largest.fail_over_memory)

    def fail_over_memory(self) -> None:
        """Close with 1013 (try again later) and free the buffers; reset a connection that has failed before."""
        if not self.buffered:
            return
        if self._failed:  # the close frame was sent, and the client has not closed yet
            self.reset()
            return
        self._failed = True
        self.limits.cells[BUFFERS] += 1
        if self.paused or self.protocol.state is not OPEN:
            self.reset()  # a close frame would queue after the unread replies
            return
        self.protocol.fail(CloseCode.TRY_AGAIN_LATER, "too much is buffered for this client")
        self.protocol.reader.discard()
        self._fragments.clear()
        self._unprocessed = b""
        self._receive = self._discard
        self.flush()
        self.account()
        self.limits.finish_release(self)
        self.abort_later()

    def reset_over_memory(self) -> None:
        """Reset the connection because the client leaves too much unread."""
        if not self._failed:
            self._failed = True
            self.limits.cells[BUFFERS] += 1
        self.reset()

    def reset(self) -> None:
        """End the connection at once with a TCP reset, so that the kernel discards unread data too."""
        sock: socket.socket | None = self.transport.get_extra_info("socket")
        if sock is not None:
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            except OSError:  # closed already
                pass
        self.transport.abort()

    # called by the event loop

    def connection_lost(self, exc: Exception | None) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
        self._unprocessed = b""
        self._receive = self._discard
        super().connection_lost(exc)
        if self.buffered:
            buffered, self.buffered = self.buffered, 0
            self.limits.add_buffered(self, -buffered)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.transport.get_write_buffer_size()
        self._write_timer = self.loop.call_later(self.limits.write_timeout_s, self._on_write_timeout)
        self.account()
        self._update_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread = 0
        if self._write_timer is not None:
            self._write_timer.cancel()
        self.account()
        self._resume_input()

    def eof_received(self) -> None:
        if self._unprocessed and self._receive == self._process_input:
            rest, self._unprocessed = self._unprocessed, b""
            self._process(rest)
        super().eof_received()
        self.abort_later()

    def _on_write_timeout(self) -> None:
        self.limits.cells[WRITE_TIMEOUT] += 1
        self._failed = True
        self.reset()

    # processing of input

    def _process_input(self, data: bytes) -> None:
        if self._unprocessed or (len(data) > MAX_UNQUEUED_BYTES and not self._is_within_a_frame(data)):
            self._unprocessed += data
            self._process_slices()
            return
        self._process(data)
        if self.buffered or self._fragments or self.protocol.reader.buffer:
            self.account()

    def _process_slices(self) -> None:
        """Process buffered input slice by slice, until the turn is over or the client must read first."""
        if self._receive != self._process_input:
            self.set_reading(True)  # discard the rest, until the client closes
            return
        if self._input_blocked:
            return
        data = self._unprocessed
        deadline_ns = time.monotonic_ns() + TURN_NS
        at, size = 0, MIN_SLICE
        with memoryview(data) as view:
            while at < len(data):
                completed = self._process(view[at : at + size])
                at += size
                size = MIN_SLICE if completed else min(2 * size, MAX_SLICE)
                if self._input_blocked or time.monotonic_ns() > deadline_ns:
                    break
        self._unprocessed = data[at:] if self._receive == self._process_input else b""
        if self.buffered or self._unprocessed or self._fragments or self.protocol.reader.buffer:
            self.account()
        if (self._unprocessed or len(data) > MAX_BYTES_PER_ITERATION) and not self._input_blocked:
            self.wait_for_turn(self._process_slices)
        else:
            self._update_reading()

    def _is_within_a_frame(self, data: bytes) -> bool:
        """Return whether `data` begins a frame and does not reach past its end, so that it is cheap to process."""
        size, least = data[1] & 0x7F, len(data) - 14
        if self.protocol.reader.buffer or size < 126:
            return False
        return int.from_bytes(data[2:4] if size == 126 else data[2:10]) >= least

    @property
    def _input_blocked(self) -> bool:
        """Whether input must wait: the client has unread replies, or a handler paused it."""
        return (self.paused and self.pause_on_unread) or self._input_paused

    def _resume_input(self) -> None:
        if self._unprocessed and not self._input_blocked:
            self.wait_for_turn(self._process_slices)
        else:
            self._update_reading()

    def _update_reading(self) -> None:
        self.set_reading(not self._unprocessed and not self._input_blocked)
