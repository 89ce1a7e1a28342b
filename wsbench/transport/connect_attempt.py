"""One attempt to open a connection: name, TCP, TLS, upgrade. Each step is timed, each failure named.

It runs in the caller's greenlet and blocks only that one.
"""

from __future__ import annotations

import functools
import ssl
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gevent
from websockets.client import ClientProtocol
from websockets.http11 import Response
from websockets.protocol import OPEN

from wsbench.errors import ConnectError
from wsbench.results.run_result import NegotiatedWith
from wsbench.transport.resolver import Address
from wsbench.transport.server_addresses import ServerAddresses
from wsbench.transport.tcp_attempt import TcpAttempt
from wsbench.transport.traffic import Traffic
from wsbench.transport.upgrade_response import read_upgrade_response
from wsbench.websocket.connect_errors import (
    broken,
    closed_during_tls,
    timed_out,
    tls_error,
)
from wsbench.websocket.connect_options import ConnectOptions
from wsbench.websocket.handshake import new_protocol
from wsbench.websocket.handshake_errors import diagnose
from wsbench.websocket.http_response import HEAD_END
from wsbench.websocket.tls import TlsStream

_READ_SIZE = 65_536


@dataclass
class HandshakeResult:
    """A connection right after its handshake.

    Attributes:
        socket: gevent's socket; unread bytes are in the kernel or in `early`.
        times_ns: duration of each step, by its name.
        early: bytes after the handshake's response: the server's first frames.
        peers: the server's addresses: 1 for the one that accepted, 0 for the others.
    """

    socket: Any
    protocol: ClientProtocol
    tls: TlsStream | None
    negotiated: NegotiatedWith
    times_ns: Mapping[str, int]
    early: bytes
    peers: Mapping[str, int]


class ConnectAttempt:
    """One attempt to open a connection, step by step. Its attributes stay readable after a failure.

    Attributes:
        step: the current or failed step: "dns", "tcp", "tls" or "upgrade".
        times_ns: duration of each step, the failed one included.
        addresses: the result of name resolution.
        socket: gevent's, once it is created.
        tls: once its handshake has begun; None without TLS.
        request: the upgrade request as it was sent.
        received: the response to it, as far as it came.
        result: the connection, after the last step.
    """

    def __init__(
        self,
        options: ConnectOptions,
        context: ssl.SSLContext | None,
        traffic: Traffic,
        server: ServerAddresses,
        source: str | None,
        session: ssl.SSLSession | None,
    ) -> None:
        self._options = options
        self._context = context
        self._server = server
        self._tcp = TcpAttempt(options, server, source)
        self._session = session
        self._traffic = traffic
        self.step = "dns"
        self.times_ns: dict[str, int] = {}
        self.addresses: Sequence[Address] = ()
        self.socket: Any = None
        self.tls: TlsStream | None = None
        self.request = b""
        self.received = bytearray()
        self.result: HandshakeResult | None = None

    @property
    def refused(self) -> list[tuple[str, OSError]]:
        """Addresses that did not accept the connection before another one did, and why."""
        return self._tcp.refused

    def steps(self) -> Generator[str]:
        """Run the steps within the options' timeout, and yield the name of each when it is done.

        A caller that stops before the last step must close the generator, which closes the socket. If a step fails, it
        closes the socket and raises ConnectError.
        """
        timer = gevent.Timeout(self._options.connect_timeout_ns / 1e9)
        timer.start()
        began = time.monotonic_ns()
        try:
            for step, take in self._plan():
                self.step = step
                began = time.monotonic_ns()
                take()
                self.times_ns[step] = time.monotonic_ns() - began
                yield step
        except BaseException as error:
            self.times_ns.setdefault(self.step, time.monotonic_ns() - began)
            self.discard()
            if error is timer:
                raise self._timeout_error() from None
            raise
        finally:
            timer.close()

    def _plan(self) -> Iterator[tuple[str, Callable[[], None]]]:
        yield "dns", self._resolve
        yield "tcp", self._connect
        if self._context is not None:
            yield "tls", functools.partial(self._secure, self._context)
        yield "upgrade", self._upgrade

    def _timeout_error(self) -> ConnectError:
        """Return the error of a timeout, or the refusal's own if only its body was still to come."""
        if self.step == "tcp":
            return self._tcp.give_up()
        if HEAD_END.search(self.received):
            return diagnose(None, bytes(self.received), self._options)
        return timed_out(self._options, self.step, len(self.received))

    def discard(self) -> None:
        """Close the socket, if there is one."""
        if self.socket is not None:
            self.socket.close()

    def _resolve(self) -> None:
        self.addresses = self._server.resolve()

    def _connect(self) -> None:
        self.socket = self._tcp.open()

    def _secure(self, context: ssl.SSLContext) -> None:
        tls = self.tls = TlsStream(context, self._options.uri.host, self._session)
        received = first = b""
        try:
            while True:
                done, outgoing = tls.handshake(received)
                self._send(outgoing)
                if done:
                    return
                received = self._receive()
                first = first or received
                if not received:
                    raise closed_during_tls(self._options, first)
        except ssl.SSLError as error:
            try:
                self._send(tls.outgoing())  # an alert
            except OSError:  # the server has closed already
                pass
            raise tls_error(error, self._options, first) from error
        except OSError as error:
            raise broken(self._options, self.step, error) from error

    def _upgrade(self) -> None:
        protocol, request = new_protocol(self._options)
        protocol.send_request(request)
        try:
            self.request = b"".join(protocol.data_to_send())
            self._send(self.tls.encrypt(self.request) if self.tls is not None else self.request)
            head, early = read_upgrade_response(self._receive_plain, self.received, self._options)
        except OSError as error:
            raise broken(self._options, self.step, error) from error
        protocol.receive_data(head)
        if protocol.state is not OPEN:
            raise diagnose(protocol.handshake_exc, bytes(self.received), self._options)
        response = protocol.events_received()[0]
        assert isinstance(response, Response)
        tls = self.tls
        negotiated = NegotiatedWith(
            compression=response.headers.get("Sec-WebSocket-Extensions") if protocol.extensions else None,
            subprotocol=protocol.subprotocol and self._options.secrets.text(protocol.subprotocol),
            tls_version=tls.ssl_object.version() if tls else None,
            tls_cipher=tls.cipher if tls else None,
        )
        self.result = HandshakeResult(self.socket, protocol, tls, negotiated, self.times_ns, early, self._tcp.peers)

    def _send(self, data: bytes) -> None:
        if data:
            self.socket.sendall(data)
            self._traffic.sent += len(data)

    def _receive(self) -> bytes:
        data: bytes = self.socket.recv(_READ_SIZE)
        self._traffic.received += len(data)
        return data

    def _receive_plain(self) -> bytes:
        """Return decrypted bytes, none at the end of the stream."""
        while data := self._receive():
            if self.tls is None:
                return data
            try:
                plain = self.tls.decrypt(data)
            except ssl.SSLError as error:
                raise tls_error(error, self._options) from error
            if plain or self.tls.closed:
                return plain
        return b""
