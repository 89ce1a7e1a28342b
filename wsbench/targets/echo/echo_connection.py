"""One connection of the echo target, on `websockets`' own protocol object.

`websockets` hands messages to a coroutine through a queue, and sends through a context manager; waking the one and
entering the other costs as much as parsing and building the frames. Here a message is answered in the same call of
the event loop that received it: `data_received` has the library parse, `process_event` counts and calls `on_message`,
whose replies are written before `data_received` returns. The handler task only waits for the end.

What a client can do to the others is bounded in its base classes: until it is open in `opening.py`, then in `flow.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server
from websockets.frames import DATA_OPCODES, Close, CloseCode, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import OPEN, Event
from websockets.server import ServerProtocol

from wsbench.targets.echo import responses
from wsbench.targets.echo.backpressure import FlowConnection
from wsbench.targets.echo.counters import (
    BYTES_IN,
    BYTES_OUT,
    CLOSED,
    FULL,
    MESSAGE_SIZE,
    MESSAGES_IN,
    MESSAGES_OUT,
    PROTOCOL_ERROR,
)
from wsbench.targets.echo.limits import Quota

TEXT, CONT, CLOSE = Opcode.TEXT, Opcode.CONT, Opcode.CLOSE

OnMessage = Callable[[Opcode, bytes], None]

_CLOSE_BYTE = 0x80 | CLOSE
_EOF = b""


class TargetConnection(FlowConnection):
    """A connection that counts messages and gives each to `on_message(opcode, payload)`.

    Attributes:
        on_message: called with each whole message, from `start` on.
    """

    def __init__(self, protocol: ServerProtocol, server: Server, *, quota: Quota, **limits: Any) -> None:
        super().__init__(protocol, server, quota=quota, **limits)
        self.on_message: OnMessage
        self._cells = quota.cells
        self._counted = False
        self._fragments_opcode = TEXT
        self._answering_last = False
        self._last_frames: Sequence[bytes] = ()

    def start(self, on_message: OnMessage, *, stops_reading: bool = False) -> None:
        """Hand messages to `on_message` from now on, those that came since the handshake first."""
        self.on_message, self.stops_reading = on_message, stops_reading
        self._receive = self._feed
        self._continue()

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

    # what the library and the event loop call

    def answered(self, response: Response) -> Response | None:
        """The handshake's answer, ready to be sent; another one when there are too many connections."""
        if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            if self.quota.admit():
                self._counted = True
                return None
            self._cells[FULL] += 1
            response = responses.text(self.protocol, HTTPStatus.SERVICE_UNAVAILABLE, "too many connections")
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
        super().connection_lost(exc)
        if self._counted:
            self._cells[CLOSED] += 1

    def _take(self, data: bytes | memoryview) -> bool:
        protocol = self.protocol
        protocol.receive_data(data)  # type: ignore[arg-type]  # which adds it to a bytearray
        events = protocol.events_received()
        if protocol.state is not OPEN:
            self._take_last(events)
            return True
        for event in events:
            self.process_event(event)
        self.flush()
        return bool(events)

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
