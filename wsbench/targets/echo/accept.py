"""A connection until it is open: from its first byte to the answer to its request, and what happens when none comes."""

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
from wsbench.targets.echo.fair_queue import MOST_A_ROUND
from wsbench.targets.echo.limits import Quota
from wsbench.targets.echo.request_head import MAX_HEAD_BYTES, Head

_EOF = b""
_COUNTED_ELSEWHERE = (HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE)
_LINGER_S = 1.0
"""For a client that was turned away to go by itself, so that it can read why."""


class OpeningConnection(ServerConnection):
    """A connection of which the request's head is read within limits of size and time.

    Args:
        quota: the worker's.
    """

    def __init__(self, protocol: ServerProtocol, server: Server, *, quota: Quota, **limits: Any) -> None:
        super().__init__(protocol, server, **limits)
        self.quota = quota
        self._receive: Callable[[bytes], None] = self._receive_head
        self._rest: bytes = b""
        """What has come in and is not worked off yet."""
        self._reads = True
        self._waits_for_turn = False
        self._head = Head()
        self._handshake_timer: asyncio.TimerHandle | None = None
        self._reaper: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.quota.live.add(self)
        self.quota.opening[self] = None
        self._handshake_timer = self.loop.call_later(self.quota.handshake_timeout_s, self._took_too_long)
        crowded_out = self.quota.crowded_out()
        if crowded_out is not None:
            crowded_out.give_way()

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self.quota.opening and self._head.size:
            self.quota.cells[BAD_HANDSHAKE] += (
                1  # cut off; who connects and says nothing may just want to know the port
            )
        self._request_is_over()
        if self._reaper is not None:
            self._reaper.cancel()
        super().connection_lost(exc)
        self.quota.live.discard(self)

    def data_received(self, data: bytes) -> None:
        self._receive(data)

    def rejected(self, response: Response) -> Response:
        """The same answer, hardened; what else the client sends is read and forgotten, so that it can read this."""
        responses.harden(response)
        if response.status_code >= HTTPStatus.BAD_REQUEST and response.status_code not in _COUNTED_ELSEWHERE:
            self.quota.cells[BAD_HANDSHAKE] += 1
        self._rest = b""
        self._receive = self._discard
        self.read(True)
        return response

    def read(self, on: bool) -> None:
        """Read from the socket, or leave what comes to the kernel, and the client to wait."""
        if on is not self._reads and not self.transport.is_closing():
            self._reads = on
            if on:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def wait_for_turn(self, turn: Callable[[], None]) -> None:
        """Read no more until it is this connection's turn."""
        self.read(False)
        if not self._waits_for_turn:
            self._waits_for_turn = True
            self.quota.turns.ask(functools.partial(self._take_turn, turn))

    def _take_turn(self, turn: Callable[[], None]) -> None:
        self._waits_for_turn = False
        turn()

    def expect_end(self, within_s: float | None = None) -> None:
        """The client has been told that this is the end: its socket is not kept for ever if it does not go."""
        if self._reaper is None:
            self._reaper = self.loop.call_later(within_s or self.close_timeout or 0, self.transport.abort)

    def give_way(self) -> None:
        """Make room for a newer socket."""
        self.quota.cells[FULL] += 1
        self._turn_away(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections")
        self.transport.close()

    def _receive_head(self, data: bytes) -> None:
        head, rest = self._head.split(data)
        if self._head.size > MAX_HEAD_BYTES:
            line = f"the request has more than {MAX_HEAD_BYTES} bytes"
            self.quota.cells[BAD_HANDSHAKE] += 1
            self._turn_away(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, line)
            return
        self.protocol.receive_data(head)
        for event in self.protocol.events_received():
            self._request_is_over()
            self._receive = self._keep
            self._keep(rest or b"")
            self.process_event(event)
        if self.protocol.writes:  # the library has found it wrong
            self._request_is_over()
            self._explain()
            self.send_data()
            self.quota.cells[BAD_HANDSHAKE] += 1
            self._receive = self._discard
            self.expect_end()

    def _keep(self, data: bytes) -> None:
        """Of a client that does not wait for the answer."""
        if data:
            self._rest += data
            self.read(False)

    def _discard(self, data: bytes) -> None:
        self.protocol.receive_data(data)  # which does nothing with it but wait for its end
        if len(data) > MOST_A_ROUND:
            self.wait_for_turn(functools.partial(self.read, True))

    def _explain(self) -> None:
        """Say 400 to what is no request; the library just closes."""
        exc = self.protocol.handshake_exc
        if isinstance(exc, InvalidMessage) and self.protocol.writes[0] == _EOF:
            response = responses.text(self.protocol, HTTPStatus.BAD_REQUEST, f"{exc}: {exc.__cause__}")
            responses.harden(response)
            self.protocol.writes.insert(0, response.serialize())

    def _took_too_long(self) -> None:
        self.quota.cells[HANDSHAKE_TIMEOUT] += 1
        seconds = self.quota.handshake_timeout_s
        self._turn_away(HTTPStatus.REQUEST_TIMEOUT, f"no whole request within {seconds:g} s")

    def _turn_away(self, status: HTTPStatus, line: str) -> None:
        """Answer a request that is not here in whole, and is not waited for any longer."""
        self._request_is_over()
        response = responses.text(self.protocol, status, line)
        responses.harden(response)
        self.protocol.send_response(response)
        self.send_data()
        self._receive = self._discard
        self.expect_end(_LINGER_S)

    def _request_is_over(self) -> None:
        self.quota.opening.pop(self, None)
        if self._handshake_timer is not None:
            self._handshake_timer.cancel()
            self._handshake_timer = None
