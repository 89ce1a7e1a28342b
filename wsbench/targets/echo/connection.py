"""One connection of the echo target, on `websockets`' own protocol object.

`websockets` hands messages to a coroutine through a queue, and sends through a context manager; waking the one and
entering the other costs as much as parsing and building the frames. Here a message is answered in the same call of
the event loop that received it: `data_received` has the library parse, `process_event` counts and calls `on_message`,
whose replies are written before `data_received` returns. The handler task only waits for the end.

What a client can do to the others is bounded here: how long it may take to open (`opening.py`), how much of it is
worked off in one go (`_feed`), how much memory is kept for it (`account`), how long it may leave unread what was sent
to it, and how long it may take to go.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server
from websockets.frames import DATA_OPCODES, Close, CloseCode, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import OPEN, Event
from websockets.server import ServerProtocol

from wsbench.targets.echo import answers
from wsbench.targets.echo.counters import (
    BUFFERS,
    BYTES_IN,
    BYTES_OUT,
    CLOSED,
    FULL,
    MESSAGE_SIZE,
    MESSAGES_IN,
    MESSAGES_OUT,
    PROTOCOL_ERROR,
    WRITE_TIMEOUT,
)
from wsbench.targets.echo.opening import OpeningConnection
from wsbench.targets.echo.quota import Quota
from wsbench.targets.echo.turns import LEAST_SLICE, MOST_A_ROUND, MOST_AT_ONCE, MOST_SLICE, TURN_NS

TEXT, CONT, CLOSE = Opcode.TEXT, Opcode.CONT, Opcode.CLOSE

OnMessage = Callable[[Opcode, bytes], None]

_CLOSE_BYTE = 0x80 | CLOSE
_EOF = b""
_RESET = struct.pack("ii", 1, 0)


class TargetConnection(OpeningConnection):
    """A connection that counts messages and gives each to `on_message(opcode, payload)`.

    Attributes:
        on_message: called with each whole message, from `start` on.
        stops_reading: whether to stop reading while the peer does not read what was sent to it.
        held: bytes of memory that are kept for this client: parts of messages, and what it leaves unread.
        kept: those of them that `on_message` keeps, by its own account.
    """

    def __init__(self, protocol: ServerProtocol, server: Server, *, quota: Quota, **limits: Any) -> None:
        super().__init__(protocol, server, quota=quota, **limits)
        self.on_message: OnMessage
        self.stops_reading = False
        self.held = 0
        self.kept = 0
        self._cells = quota.cells
        self._counted = False
        self._failed = False
        self._fragments = bytearray()
        self._fragments_opcode = TEXT
        self._unread = 0
        self._held_back = False
        self._write_timer: asyncio.TimerHandle | None = None
        self._answering_last = False
        self._last_frames: Sequence[bytes] = ()

    def start(self, on_message: OnMessage, *, stops_reading: bool = False) -> None:
        """Hand messages to `on_message` from now on, those that came since the handshake first."""
        self.on_message, self.stops_reading = on_message, stops_reading
        self._receive = self._feed
        self._continue()

    def hold_back(self, on: bool) -> None:
        """Leave what the client sends in its socket, until told otherwise."""
        self._held_back = on
        if self._receive == self._feed:
            self._go_on()

    def reply(self, opcode: Opcode, payload: bytes) -> None:
        """Queue a message; `data_received` or `flush` writes it. Without effect once the connection closes."""
        protocol = self.protocol
        if protocol.state is not OPEN and not self._answering_last:
            return
        # counted first, so that whoever has the reply finds it counted
        cells = self._cells
        cells[MESSAGES_OUT] += 1
        cells[BYTES_OUT] += len(payload)
        if self._answering_last:
            protocol.send_frame(Frame(opcode, payload))
        elif opcode is TEXT:
            protocol.send_text(payload)
        else:
            protocol.send_binary(payload)

    def flush(self) -> None:
        """Write what was queued."""
        if not self.protocol.writes:
            return
        try:
            self.send_data()
        except Exception:  # a transport that has just died; which exception is the event loop's choice
            self.transport.abort()
        if self.paused:
            self._unread = self.transport.get_write_buffer_size()
            self.account()

    def keep(self, more: int) -> None:
        """Account for so many bytes more, or fewer, that `on_message` keeps."""
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
        if not self.held or self._failed:
            return
        self._failed = True
        self._cells[BUFFERS] += 1
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
        self.expect_end()

    # what the library and the event loop call

    def answered(self, response: Response) -> Response | None:
        """The handshake's answer, ready to be sent; another one when there are too many connections."""
        if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            if self.quota.admit():
                self._counted = True
                return None
            self._cells[FULL] += 1
            response = answers.text(self.protocol, HTTPStatus.SERVICE_UNAVAILABLE, "too many connections")
            response.headers["Retry-After"] = "1"
        return self.rejected(response)

    def process_event(self, event: Event) -> None:
        if self.request is None or not isinstance(event, Frame) or event.opcode not in DATA_OPCODES:
            super().process_event(event)  # the handshake's request, and pongs
            return
        opcode = event.opcode
        payload: bytes = event.data  # type: ignore[assignment]  # incoming data is never a memoryview
        if not event.fin or opcode is CONT:
            self._fragments += payload
            if opcode is not CONT:
                self._fragments_opcode = opcode
            if not event.fin:
                return
            opcode, payload, self._fragments = self._fragments_opcode, bytes(self._fragments), bytearray()
        if self._failed or (opcode is TEXT and not payload.isascii() and not self._is_text(payload)):
            return
        cells = self._cells
        cells[MESSAGES_IN] += 1
        cells[BYTES_IN] += len(payload)
        self.on_message(opcode, payload)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
        self._rest = b""
        self._receive = self._discard
        super().connection_lost(exc)
        if self.held:
            self.quota.hold(self, -self.held)
            self.held = 0
            self.quota.holders.discard(self)
        if self._counted:
            self._cells[CLOSED] += 1

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

    # how what came in is worked off

    def _feed(self, data: bytes) -> None:
        if len(data) > MOST_AT_ONCE or self._rest:
            self._rest += data
            self._continue()
        else:
            self._take(data)

    def _take(self, data: bytes | memoryview) -> bool:
        """Parse and answer; whether there was anything but a part of a frame."""
        protocol = self.protocol
        protocol.receive_data(data)  # type: ignore[arg-type]  # which adds it to a bytearray
        events = protocol.events_received()
        if protocol.state is not OPEN:
            self._take_last(events)
            return True
        for event in events:
            self.process_event(event)
        self.flush()
        if protocol.reader.buffer or self._fragments or self.held:
            self.account()
        return bool(events)

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
        if self._rest or self.held:
            self.account()
        if (self._rest or len(data) > MOST_A_ROUND) and not self._has_to_wait:
            self.wait_for_turn(self._continue)
        else:
            self._read_if_answered()

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

    def _take_last(self, events: Sequence[Event]) -> None:
        """The connection ends with what was just read; what came before the end is answered before it."""
        writes = self.protocol.writes
        if len(writes) > 1 and writes[-1] == _EOF and writes[-2][0] == _CLOSE_BYTE:
            self._last_frames = writes[-2:]
            del writes[-2:]
            self._answering_last = True
        for event in events:
            self.process_event(event)
        self._answering_last = False
        self.protocol.writes.extend(self._last_frames)
        self._last_frames = ()
        self.flush()
        if not self.protocol.eof_sent:
            return  # it is the target that closes, and the client has not answered that yet
        if not self._failed and self.protocol.parser_exc is not None and self.protocol.close_sent is not None:
            self._failed = True
            too_big = self.protocol.close_sent.code == CloseCode.MESSAGE_TOO_BIG
            self._cells[MESSAGE_SIZE if too_big else PROTOCOL_ERROR] += 1
        self._receive = self._discard
        self._fragments.clear()
        self.account()
        self.expect_end()

    def _is_text(self, payload: bytes) -> bool:
        """Whether `payload` is UTF-8; when it is not, the connection fails with 1007 (RFC 6455, 8.1)."""
        try:
            payload.decode()
        except UnicodeDecodeError as exc:
            self._failed = True
            self._cells[PROTOCOL_ERROR] += 1
            reason = f"{exc.reason} at position {exc.start}"
            if self._answering_last:
                # it came before what ended the connection in the meantime
                close = Close(CloseCode.INVALID_DATA, reason).serialize()
                self._last_frames = (Frame(CLOSE, close).serialize(mask=False), _EOF)
            elif self.protocol.state is OPEN:
                self.protocol.fail(CloseCode.INVALID_DATA, reason)
                self.expect_end()
            return False
        return True

    # how it ends when the client does not go by itself

    def _left_unread(self) -> None:
        self._cells[WRITE_TIMEOUT] += 1
        self._failed = True
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
