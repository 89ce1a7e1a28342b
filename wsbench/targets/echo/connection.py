"""One connection of the echo target, on `websockets`' own protocol object.

`websockets` hands messages to a coroutine through a queue, and sends through a context manager; waking the one and
entering the other costs as much as parsing and building the frames. Here a message is answered in the same call of
the event loop that received it: `data_received` parses (the library does), `process_event` counts and calls
`on_message`, whose replies are written before `data_received` returns. The handler task only waits for the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from websockets.asyncio.server import Server, ServerConnection
from websockets.frames import DATA_OPCODES, CloseCode, Frame, Opcode
from websockets.protocol import OPEN, Event
from websockets.server import ServerProtocol

from wsbench.targets.echo.counters import BYTES_IN, BYTES_OUT, CLOSED, MESSAGES_IN, MESSAGES_OUT, OPENED

TEXT, CONT = Opcode.TEXT, Opcode.CONT

OnMessage = Callable[[Opcode, bytes], None]


class TargetConnection(ServerConnection):
    """A connection that counts messages and gives each to `on_message(opcode, payload)`.

    Args:
        cells: the worker's row of counters.
        live: every connection of the worker that has a socket; kept up to date by the connections themselves.

    Attributes:
        on_message: called with each whole message; until `start`, messages are held.
        stops_reading: whether to stop reading while the peer does not read what was sent to it.
    """

    def __init__(
        self, protocol: ServerProtocol, server: Server, *, cells: memoryview, live: set[TargetConnection], **limits: Any
    ) -> None:
        super().__init__(protocol, server, **limits)
        self.on_message: OnMessage = self._hold
        self.stops_reading = False
        self._cells = cells
        self._live = live
        self._held: list[tuple[Opcode, bytes]] = []
        self._counted = False
        self._failed = False
        self._fragments = bytearray()
        self._fragments_opcode = TEXT
        self._reaper: asyncio.TimerHandle | None = None

    def start(self, on_message: OnMessage, *, stops_reading: bool = False) -> None:
        """Hand messages to `on_message` from now on, those held since the handshake first."""
        self.on_message, self.stops_reading = on_message, stops_reading
        held, self._held = self._held, []
        for opcode, payload in held:
            on_message(opcode, payload)
        self.flush()

    def reply(self, opcode: Opcode, payload: bytes) -> None:
        """Queue a message; `data_received` or `flush` writes it. Without effect once the connection closes."""
        protocol = self.protocol
        if protocol.state is not OPEN:
            return
        # counted first, so that whoever has the reply finds it counted
        cells = self._cells
        cells[MESSAGES_OUT] += 1
        cells[BYTES_OUT] += len(payload)
        if opcode is TEXT:
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

    def count_opened(self) -> None:
        """Count the connection as open, until its socket closes."""
        self._counted = True
        self._cells[OPENED] += 1

    # what the library calls

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

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._live.add(self)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.flush()
        if self.close_deadline is not None and self._reaper is None and self.close_timeout is not None:
            # both close frames are out: a peer that leaves its socket open would keep ours for ever
            self._reaper = self.loop.call_later(self.close_timeout, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._live.discard(self)
        if self._reaper is not None:
            self._reaper.cancel()
        if self._counted:
            self._cells[CLOSED] += 1

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.stops_reading:
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.stops_reading:
            self.transport.resume_reading()

    def _hold(self, opcode: Opcode, payload: bytes) -> None:
        """A client that sends before it has our handshake response: nothing can be answered yet."""
        self._held.append((opcode, payload))

    def _is_text(self, payload: bytes) -> bool:
        """Whether `payload` is UTF-8; when it is not, the connection fails with 1007 (RFC 6455, 8.1)."""
        try:
            payload.decode()
        except UnicodeDecodeError as exc:
            self._failed = True
            if self.protocol.state is OPEN:
                self.protocol.fail(CloseCode.INVALID_DATA, f"{exc.reason} at position {exc.start}")
                self.close_deadline = self.loop.time()  # as the library does where it fails a connection itself
            return False
        return True
