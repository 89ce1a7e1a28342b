"""A connection until it is open: reading its request within limits of size and time, and refusing it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection
from websockets.exceptions import InvalidMessage
from websockets.http11 import Response
from websockets.server import ServerProtocol

from wsbench.targets.echo import responses
from wsbench.targets.echo.counters import BAD_HANDSHAKE, FULL, HANDSHAKE_TIMEOUT
from wsbench.targets.echo.fair_queue import MAX_BYTES_PER_ITERATION
from wsbench.targets.echo.limits import WorkerLimits

MAX_HEAD_BYTES = 32 * 1024
_END_OF_HEAD = b"\r\n\r\n"
_EOF = b""
_COUNTED_ELSEWHERE = (HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE)
_LINGER_S = 1.0
"""Time that a refused client has to read the answer and close, before the connection is aborted."""


class RequestHead:
    """Finds the end of a request's head in the pieces in which it arrives. `size` is in bytes, of the head so far.

    Input after the head is not parsed before the handshake is answered (RFC 6455, 4.1: a client must wait for the
    answer). Otherwise a pong or a close frame could be sent before the answer.
    """

    def __init__(self) -> None:
        self.size = 0
        self._last = b""

    def split(self, data: bytes) -> tuple[bytes, bytes | None]:
        """Return the part of `data` that belongs to the head, and the rest after its end (None: no end yet)."""
        seen = self._last + data
        found = seen.find(_END_OF_HEAD)
        end = len(data) if found < 0 else found + len(_END_OF_HEAD) - len(self._last)
        self.size += end
        if found < 0:
            self._last = seen[1 - len(_END_OF_HEAD) :]
            return data, None
        return data[:end], data[end:]


class HandshakeConnection(ServerConnection):
    """A connection that reads the head of its request within limits of size and time."""

    def __init__(self, protocol: ServerProtocol, server: Server, *, limits: WorkerLimits, **options: Any) -> None:
        super().__init__(protocol, server, **options)
        self.limits = limits
        self._receive: Callable[[bytes], None] = self._receive_head
        self._unprocessed: bytes = b""
        self._reading = True
        self._queued = False
        self._head = RequestHead()
        self._handshake_timer: asyncio.TimerHandle | None = None
        self._abort_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.limits.live.add(self)
        self.limits.handshaking[self] = None
        self._handshake_timer = self.loop.call_later(self.limits.handshake_timeout_s, self._on_handshake_timeout)
        oldest = self.limits.connection_to_evict()
        if oldest is not None:
            oldest.evict()

    def connection_lost(self, exc: Exception | None) -> None:
        # a connection without a single byte is not counted: it may be a port check
        if self in self.limits.handshaking and self._head.size:
            self.limits.cells[BAD_HANDSHAKE] += 1
        self._end_handshake()
        if self._abort_timer is not None:
            self._abort_timer.cancel()
        super().connection_lost(exc)
        self.limits.live.discard(self)

    def data_received(self, data: bytes) -> None:
        self._receive(data)

    def rejected(self, response: Response) -> Response:
        """Return the refusal with security headers added.

        Further input is read and discarded: unread input would make the kernel send a reset, which could destroy
        the answer before the client reads it.
        """
        responses.harden(response)
        if response.status_code >= HTTPStatus.BAD_REQUEST and response.status_code not in _COUNTED_ELSEWHERE:
            self.limits.cells[BAD_HANDSHAKE] += 1
        self._unprocessed = b""
        self._receive = self._discard
        self.set_reading(True)
        return response

    def set_reading(self, on: bool) -> None:
        """Read from the socket, or leave input in the kernel, whose full buffers stop the client."""
        if on is not self._reading and not self.transport.is_closing():
            self._reading = on
            if on:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def wait_for_turn(self, turn: Callable[[], None]) -> None:
        """Stop reading, and call `turn` when the fair queue reaches this connection."""
        self.set_reading(False)
        if not self._queued:
            self._queued = True
            self.limits.fair_queue.append(functools.partial(self._run_turn, turn))

    def _run_turn(self, turn: Callable[[], None]) -> None:
        self._queued = False
        turn()

    def abort_later(self, within_s: float | None = None) -> None:
        """Abort the connection unless the client closes it within `within_s` (default: the close timeout)."""
        if self._abort_timer is None:
            self._abort_timer = self.loop.call_later(within_s or self.close_timeout or 0, self.transport.abort)

    def evict(self) -> None:
        """Refuse this connection with 503 and close it, to free its socket for a newer one."""
        self.limits.cells[FULL] += 1
        self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections")
        self.transport.close()

    def _receive_head(self, data: bytes) -> None:
        head, rest = self._head.split(data)
        if self._head.size > MAX_HEAD_BYTES:
            line = f"the request has more than {MAX_HEAD_BYTES} bytes"
            self.limits.cells[BAD_HANDSHAKE] += 1
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, line)
            return
        self.protocol.receive_data(head)
        for event in self.protocol.events_received():
            self._end_handshake()
            self._receive = self._buffer_early
            self._buffer_early(rest or b"")
            self.process_event(event)
        if self.protocol.writes:  # websockets has rejected the request
            self._end_handshake()
            self._answer_bad_request()
            self.send_data()
            self.limits.cells[BAD_HANDSHAKE] += 1
            self._receive = self._discard
            self.abort_later()

    def _buffer_early(self, data: bytes) -> None:
        """Buffer input that a client sends before it has the answer to its handshake."""
        if data:
            self._unprocessed += data
            self.set_reading(False)

    def _discard(self, data: bytes) -> None:
        self.protocol.receive_data(data)  # the protocol only waits for EOF now
        if len(data) > MAX_BYTES_PER_ITERATION:
            self.wait_for_turn(functools.partial(self.set_reading, True))

    def _answer_bad_request(self) -> None:
        """Answer 400 to input that is not HTTP; websockets would only close."""
        exc = self.protocol.handshake_exc
        if isinstance(exc, InvalidMessage) and self.protocol.writes[0] == _EOF:
            response = responses.text(self.protocol, HTTPStatus.BAD_REQUEST, f"{exc}: {exc.__cause__}")
            responses.harden(response)
            self.protocol.writes.insert(0, response.serialize())

    def _on_handshake_timeout(self) -> None:
        self.limits.cells[HANDSHAKE_TIMEOUT] += 1
        seconds = self.limits.handshake_timeout_s
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"no complete request within {seconds:g} s")

    def _refuse(self, status: HTTPStatus, line: str) -> None:
        """Answer a request that is incomplete, and stop waiting for the rest of it."""
        self._end_handshake()
        response = responses.text(self.protocol, status, line)
        responses.harden(response)
        self.protocol.send_response(response)
        self.send_data()
        self._receive = self._discard
        self.abort_later(_LINGER_S)

    def _end_handshake(self) -> None:
        self.limits.handshaking.pop(self, None)
        if self._handshake_timer is not None:
            self._handshake_timer.cancel()
            self._handshake_timer = None
