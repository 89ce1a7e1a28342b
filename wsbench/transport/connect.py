"""Opening a connection: name, TCP, TLS, upgrade, each step timed, each failure named.

Runs in the greenlet that wants the connection, and blocks only that one.
"""

from __future__ import annotations

import functools
import re
import socket
import ssl
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gevent
from gevent import socket as green
from websockets.client import ClientProtocol
from websockets.http11 import Response
from websockets.protocol import OPEN

from wsbench.errors import ConnectError
from wsbench.source_addresses import IP_BIND_ADDRESS_NO_PORT
from wsbench.transport import timestamps
from wsbench.websocket.connect_errors import (
    broken,
    closed_during_tls,
    not_of_one_family,
    tcp_error,
    timed_out,
    tls_error,
    unknown_host,
)
from wsbench.websocket.handshake import ConnectOptions, Negotiated, new_protocol
from wsbench.websocket.handshake_errors import HEAD_LIMIT, diagnose
from wsbench.websocket.tls import TlsStream

_READ_SIZE = 65_536
_BODY_LIMIT = 512
_BODY_PATIENCE_S = 0.5
_HTTP_1 = b"HTTP/1."
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,9})[ \t]*\r\n", re.IGNORECASE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"


@dataclass
class Traffic:
    """Bytes on the wire, summed over the connections that share it."""

    received: int = 0
    sent: int = 0


@dataclass(frozen=True)
class ConnectTimings:
    """How long each step of opening took, in ns; `tls` is None without TLS."""

    tcp_ns: int
    tls_ns: int | None
    upgrade_ns: int

    @property
    def total_ns(self) -> int:
        """The steps together, name resolution apart."""
        return self.tcp_ns + (self.tls_ns or 0) + self.upgrade_ns


class Resolver:
    """Resolves each name once a process: a load test must not measure (or flood) the name server."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], Sequence[Any]] = {}

    def addresses(self, host: str, port: int) -> Sequence[Any]:
        """`getaddrinfo` for TCP.

        Raises:
            ConnectError: the name is unknown.
        """
        key = (host, port)
        if key not in self._known:
            try:
                self._known[key] = _numeric(host, port) or green.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError) as error:
                raise unknown_host(host, error) from error
        return self._known[key]


def _numeric(host: str, port: int) -> Sequence[Any]:
    """The address that `host` is already, for which no name server, and so no thread, is needed."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return ()


@dataclass
class HandshakeResult:
    """A connection right after its handshake.

    Attributes:
        socket: gevent's socket; nothing is left in its buffers but what the kernel holds.
        resumed: the TLS session of an earlier connection was resumed.
        early: bytes that came behind the handshake's answer: the server's first frames.
    """

    socket: Any
    protocol: ClientProtocol
    tls: TlsStream | None
    negotiated: Negotiated
    times: ConnectTimings
    early: bytes
    resumed: bool = False


class Connector:
    """Opens connections with the same options: shares their TLS context and session, names and byte counts."""

    def __init__(
        self,
        options: ConnectOptions,
        *,
        context: ssl.SSLContext | None,
        traffic: Traffic,
        sources: Iterator[str] | None = None,
    ) -> None:
        """`context`: for wss. `sources`: addresses to connect from, one a connection; None for the system's choice."""
        self.options = options
        self.traffic = traffic
        self._sources = sources
        self._session: ssl.SSLSession | None = None
        self._context = context
        self._resolver = Resolver()

    def attempt(self, options: ConnectOptions | None = None) -> ConnectAttempt:
        """The next connection, not begun yet; with `options` of its own, if given."""
        options = options or self.options
        source = next(self._sources) if self._sources is not None else None
        context = self._context if options.uri.secure else None
        return ConnectAttempt(options, context, self.traffic, self._resolver, source, self._session)

    def connect(self, options: ConnectOptions | None = None) -> HandshakeResult:
        """One new connection, within the options' timeout; with `options` of its own, if given.

        Raises:
            ConnectError: which step failed, on whose side, what to do.
        """
        options = options or self.options
        attempt = self.attempt(options)
        for _ in attempt.steps():
            pass
        handshake = attempt.result
        assert handshake is not None
        if options.resume_tls and handshake.tls is not None:
            self._session = handshake.tls.session or self._session
        return handshake


class ConnectAttempt:
    """One attempt to open a connection, step by step. What is known of it stays readable when it fails half-way.

    Attributes:
        step: the one that is under way, or failed: "dns", "tcp", "tls" or "upgrade".
        times_ns: how long each finished step took; of the one that failed, until it did.
        addresses: what the name resolved to.
        refused: addresses that took no connection, and why, before one did.
        socket: gevent's, as soon as it is connected.
        tls: as soon as its handshake has begun; None without TLS.
        request: the upgrade request as it was sent.
        received: the answer to it, as far as it came.
        result: the connection, when the last step is done.
    """

    def __init__(
        self,
        options: ConnectOptions,
        context: ssl.SSLContext | None,
        traffic: Traffic,
        resolver: Resolver,
        source: str | None,
        session: ssl.SSLSession | None,
    ) -> None:
        self._options = options
        self._context = context
        self._resolver = resolver
        self._source = source
        self._session = session
        self._traffic = traffic
        self.step = "dns"
        self.times_ns: dict[str, int] = {}
        self.addresses: Sequence[Any] = ()
        self.refused: list[tuple[str, OSError]] = []
        self.socket: Any = None
        self.tls: TlsStream | None = None
        self.request = b""
        self.received = bytearray()
        self.result: HandshakeResult | None = None
        self._agreed: tuple[ClientProtocol, Negotiated, bytes] | None = None

    def steps(self) -> Generator[str]:
        """Take them one by one, within the options' timeout; each is named when it is done.

        Who stops before the last one closes the generator, and with it what is open.

        Raises:
            ConnectError: which step failed, on whose side, what to do. Nothing is left open.
        """
        timer = gevent.Timeout(self._options.timeout_ns / 1e9)
        timer.start()
        began = time.monotonic_ns()
        try:
            for step, take in self._plan():
                self.step = step
                began = time.monotonic_ns()
                take()
                self.times_ns[self.step] = time.monotonic_ns() - began
                if self._agreed is not None:
                    self.result = self._handshake_result(*self._agreed)
                yield step
        except gevent.Timeout as timeout:
            self.times_ns[self.step] = time.monotonic_ns() - began
            self.discard()
            if timeout is not timer:
                raise
            raise self._too_late() from None
        except BaseException:
            self.times_ns.setdefault(self.step, time.monotonic_ns() - began)
            self.discard()
            raise
        finally:
            timer.close()

    def _plan(self) -> Iterator[tuple[str, Callable[[], None]]]:
        yield "dns", self._resolve
        yield "tcp", self._connect
        if self._context is not None:
            yield "tls", functools.partial(self._secure, self._context)
        yield "upgrade", self._upgrade

    def _too_late(self) -> ConnectError:
        """Time is over; maybe it was a refusal's body that was waited for."""
        if b"\r\n\r\n" in self.received:
            return diagnose(None, bytes(self.received), self._options)
        return timed_out(self._options, self.step, len(self.received))

    def _handshake_result(self, protocol: ClientProtocol, negotiated: Negotiated, early: bytes) -> HandshakeResult:
        times = ConnectTimings(self.times_ns["tcp"], self.times_ns.get("tls"), self.times_ns["upgrade"])
        resumed = self.tls is not None and self.tls.resumed
        return HandshakeResult(self.socket, protocol, self.tls, negotiated, times, early, resumed)

    def discard(self) -> None:
        """Close what is open."""
        if self.socket is not None:
            self.socket.close()

    def _resolve(self) -> None:
        self.addresses = self._resolver.addresses(self._options.uri.host, self._options.uri.port)

    def _connect(self) -> None:
        for family, kind, proto, _, address in self._reachable():
            try:
                self.socket = green.socket(family, kind, proto)
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                # Before the first packet, so that no read goes without its timestamp.
                timestamps.enable(self.socket)
                if self._source is not None:
                    if sys.platform == "linux":
                        self.socket.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
                    self.socket.bind((self._source, 0))
                self.socket.connect(address)
            except OSError as error:
                self.discard()
                self.refused.append((address[0], error))
            else:
                return
        raise tcp_error(self._options, self.refused[-1][1])

    def _reachable(self) -> Sequence[Any]:
        """Those of our own address's family."""
        if self._source is None:
            return self.addresses
        family = socket.AF_INET6 if ":" in self._source else socket.AF_INET
        reachable = [address for address in self.addresses if address[0] == family]
        if not reachable:
            raise not_of_one_family(self._options, self._source)
        return reachable

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
                    raise closed_during_tls(self._options)
        except ssl.SSLError as error:
            self._send_alert(tls)
            raise tls_error(error, self._options, first) from error
        except OSError as error:
            raise broken(self._options, self.step, error) from error

    def _send_alert(self, tls: TlsStream) -> None:
        """What TLS has to say of a failure, to a server that may be gone."""
        try:
            self._send(tls.outgoing())
        except OSError:
            pass

    def _upgrade(self) -> None:
        protocol, request = new_protocol(self._options)
        protocol.send_request(request)
        try:
            self.request = b"".join(protocol.data_to_send())
            self._send(self.tls.encrypt(self.request) if self.tls is not None else self.request)
            head, early = self._answer()
        except OSError as error:
            raise broken(self._options, self.step, error) from error
        protocol.receive_data(head)
        if protocol.state is not OPEN:
            raise diagnose(protocol.handshake_exc, bytes(self.received), self._options)
        response = protocol.events_received()[0]
        assert isinstance(response, Response)
        tls = self.tls
        negotiated = Negotiated(
            compression=response.headers.get("Sec-WebSocket-Extensions") if protocol.extensions else None,
            subprotocol=protocol.subprotocol,
            tls_version=tls.version if tls else None,
            tls_cipher=tls.cipher if tls else None,
        )
        self._agreed = protocol, negotiated, early

    def _answer(self) -> tuple[bytes, bytes]:
        """The head of a 101 answer, and what came behind it. Any other answer is an error."""
        received = self.received
        while (end := received.find(b"\r\n\r\n")) < 0:
            data = self._receive_plain()
            received += data
            plausible = received.startswith(_HTTP_1[: len(received)])
            if not data or not plausible or len(received) > HEAD_LIMIT:
                raise diagnose(None, bytes(received), self._options)
        head, rest = bytes(received[: end + 4]), bytes(received[end + 4 :])
        if head.startswith(b"HTTP/1.1 101"):
            return head, rest
        if b" 101 " not in head[:13]:
            self._receive_body(head)
        raise diagnose(None, bytes(received), self._options)

    def _receive_body(self, head: bytes) -> None:
        """Of a refusal. It may be long, never end, or break off: a little of it tells enough."""
        received = self.received
        length = _CONTENT_LENGTH.search(head)
        enough = len(head) + min(int(length[1]) if length else _BODY_LIMIT, _BODY_LIMIT)
        try:
            with gevent.Timeout(_BODY_PATIENCE_S, False):
                while len(received) < enough and not received.endswith(_LAST_CHUNK):
                    if not (data := self._receive_plain()):
                        break
                    received += data
        except OSError:
            pass

    def _send(self, data: bytes) -> None:
        if data:
            self.socket.sendall(data)
            self._traffic.sent += len(data)

    def _receive(self) -> bytes:
        data: bytes = self.socket.recv(_READ_SIZE)
        self._traffic.received += len(data)
        return data

    def _receive_plain(self) -> bytes:
        """Decrypted bytes; empty at the end of the stream."""
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
