"""One connection of the echo target, on `websockets`' protocol object.

`websockets` passes messages to a coroutine through a queue, and sends through a context manager. Both together cost
as much as parsing and building the frames. Here a message is answered in the event-loop call that received it:
`data_received` lets the library parse, `process_event` counts and calls `on_message`, and its replies are written
before `data_received` returns. The handler task only waits for the end of the connection.

The base classes limit what one client can take from the others: `accept.py` during the handshake, `backpressure.py`
after it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server
from websockets.frames import DATA_OPCODES, Close, CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import OPEN, Event
from websockets.server import ServerProtocol

from wsbench.targets.echo import responses
from wsbench.targets.echo.backpressure import BoundedConnection
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
from wsbench.targets.echo.limits import WorkerLimits

TEXT, CONT, CLOSE = Opcode.TEXT, Opcode.CONT, Opcode.CLOSE

OnMessage = Callable[[Opcode, bytes], None]

_CLOSE_BYTE = 0x80 | CLOSE
_EOF = b""


class EchoConnection(BoundedConnection):
    """A connection that counts messages and, after `start`, passes each to `on_message(opcode, payload)`."""

    def __init__(self, protocol: ServerProtocol, server: Server, *, limits: WorkerLimits, **options: Any) -> None:
        super().__init__(protocol, server, limits=limits, **options)
        self.on_message: OnMessage
        self._cells = limits.cells
        self._counted = False
        self._fragments_opcode = TEXT
        self._answering_before_close = False
        self._closing_frames: Sequence[bytes] = ()

    def start(self, on_message: OnMessage, *, pause_on_unread: bool = False) -> None:
        """Pass messages to `on_message` from now on, beginning with those received since the handshake."""
        self.on_message, self.pause_on_unread = on_message, pause_on_unread
        self._receive = self._process_input
        self._process_slices()

    def reply(self, opcode: Opcode, payload: bytes) -> None:
        """Queue a message, which `data_received` or `flush` writes. Does nothing on a closing connection."""
        protocol = self.protocol
        if protocol.state is not OPEN and not self._answering_before_close:
            return
        # counted before it is sent: a client that has the reply must find it in /stats
        cells = self._cells
        cells[MESSAGES_OUT] += 1
        cells[BYTES_OUT] += len(payload)
        if self._answering_before_close:
            protocol.send_frame(Frame(opcode, payload))
        elif opcode is TEXT:
            protocol.send_text(payload)
        else:
            protocol.send_binary(payload)

    def flush(self) -> None:
        if not self.protocol.writes:
            return
        try:
            self.send_data()
        except Exception:  # the transport has just closed; the exception's type depends on the event loop
            self.transport.abort()
        if self.paused:
            self._unread = self.transport.get_write_buffer_size()
            self.account()

    # called by websockets and the event loop

    def before_answer(self, _request: Request, response: Response) -> Response | None:
        """Admit the connection; return a refusal, or None to send `response` unchanged."""
        if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            if self.limits.admit():
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

    def _process(self, data: bytes | memoryview) -> bool:
        protocol = self.protocol
        protocol.receive_data(data)  # type: ignore[arg-type]  # which adds it to a bytearray
        events = protocol.events_received()
        if protocol.state is not OPEN:
            self._process_last(events)
            return True
        for event in events:
            self.process_event(event)
        self.flush()
        return bool(events)

    def _process_last(self, events: Sequence[Event]) -> None:
        """Process the input that closes the connection; answer the messages before the close frame first."""
        writes = self.protocol.writes
        if len(writes) > 1 and writes[-1] == _EOF and writes[-2][0] == _CLOSE_BYTE:
            self._closing_frames = writes[-2:]
            del writes[-2:]
            self._answering_before_close = True
        for event in events:
            self.process_event(event)
        self._answering_before_close = False
        self.protocol.writes.extend(self._closing_frames)
        self._closing_frames = ()
        self.flush()
        if not self.protocol.eof_sent:
            return  # the target closes, and the client's close frame is still to come
        if not self._failed and self.protocol.parser_exc is not None and self.protocol.close_sent is not None:
            self._failed = True
            too_big = self.protocol.close_sent.code == CloseCode.MESSAGE_TOO_BIG
            self._cells[MESSAGE_SIZE if too_big else PROTOCOL_ERROR] += 1
        self._receive = self._discard
        self._fragments.clear()
        self.account()
        self.abort_later()

    def _is_text(self, payload: bytes) -> bool:
        """Return whether `payload` is UTF-8; if not, fail the connection with 1007 (RFC 6455, 8.1)."""
        try:
            payload.decode()
        except UnicodeDecodeError as exc:
            self._failed = True
            self._cells[PROTOCOL_ERROR] += 1
            reason = f"{exc.reason} at position {exc.start}"
            if self._answering_before_close:
                # this error precedes the close that was read after it
                close = Close(CloseCode.INVALID_DATA, reason).serialize()
                self._closing_frames = (Frame(CLOSE, close).serialize(mask=False), _EOF)
            elif self.protocol.state is OPEN:
                self.protocol.fail(CloseCode.INVALID_DATA, reason)
                self.abort_later()
            return False
        return True
