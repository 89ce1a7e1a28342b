"""Opening a connection: name, TCP, TLS, upgrade, each step timed, each failure named.

Runs in the greenlet that wants the connection, and blocks only that one.
"""

from __future__ import annotations

import errno
import socket
import ssl
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gevent
from gevent import socket as green
from websockets.client import ClientProtocol
from websockets.http11 import Response
from websockets.protocol import OPEN

from wsbench.errors import ConnectError, Side
from wsbench.wire import timestamps
from wsbench.wire.handshake import HEAD_LIMIT, ConnectOptions, Negotiated, diagnose, new_protocol, tls_error
from wsbench.wire.sources import IP_BIND_ADDRESS_NO_PORT
from wsbench.wire.tls import TlsStream

_READ_SIZE = 65_536
_BODY_LIMIT = 512
_BODY_PATIENCE_S = 0.5


@dataclass
class Traffic:
    """Bytes on the wire, summed over the connections that share it."""

    received: int = 0
    sent: int = 0


@dataclass(frozen=True)
class OpenTimes:
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
                self._known[key] = green.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError) as error:
                raise ConnectError(
                    f"the host {host} is unknown ({getattr(error, 'strerror', None) or error})",
                    step="dns",
                    side=Side.NETWORK,
                    kind="unknown-host",
                    remedy="Check the spelling of the URL and this machine's name resolution.",
                ) from error
        return self._known[key]


@dataclass
class Opened:
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
    times: OpenTimes
    early: bytes
    resumed: bool = False


class Opener:
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

    def open(self, options: ConnectOptions | None = None) -> Opened:
        """One new connection, within the options' timeout; `options` of its own, if given.

        Raises:
            ConnectError: which step failed, on whose side, what to do.
        """
        options = options or self.options
        source = next(self._sources) if self._sources is not None else None
        context = self._context if options.uri.secure else None
        attempt = _Attempt(options, context, self.traffic, source, self._session)
        timer = gevent.Timeout(options.timeout_ns / 1e9)
        timer.start()
        try:
            opened = attempt.run(self._resolver.addresses(options.uri.host, options.uri.port))
        except gevent.Timeout as timeout:
            attempt.discard()
            if timeout is not timer:
                raise
            raise _timed_out(options, attempt.step, len(attempt.received)) from None
        except BaseException:
            attempt.discard()
            raise
        finally:
            timer.close()
        if options.resume_tls and opened.tls is not None:
            self._session = opened.tls.session or self._session
        return opened


class _Attempt:
    """One attempt, with what is known of it when it fails half-way."""

    def __init__(
        self,
        options: ConnectOptions,
        context: ssl.SSLContext | None,
        traffic: Traffic,
        source: str | None,
        session: ssl.SSLSession | None,
    ) -> None:
        self._options = options
        self._context = context
        self._source = source
        self._session = session
        self._traffic = traffic
        self._socket: Any = None
        self._tls: TlsStream | None = None
        self.step = "tcp"
        self.received = bytearray()

    def run(self, addresses: Sequence[Any]) -> Opened:
        began = time.monotonic_ns()
        self._connect_tcp(addresses)
        tcp_done = time.monotonic_ns()
        if self._context is not None:
            self.step = "tls"
            self._connect_tls(self._context)
        tls_done = time.monotonic_ns()
        self.step = "upgrade"
        protocol, response, early = self._upgrade()
        done = time.monotonic_ns()
        tls = self._tls
        negotiated = Negotiated(
            compression=response.headers.get("Sec-WebSocket-Extensions") if protocol.extensions else None,
            subprotocol=protocol.subprotocol,
            tls_version=tls.version if tls else None,
            tls_cipher=tls.cipher if tls else None,
        )
        times = OpenTimes(tcp_done - began, tls_done - tcp_done if tls else None, done - tls_done)
        return Opened(self._socket, protocol, tls, negotiated, times, early, resumed=tls is not None and tls.resumed)

    def discard(self) -> None:
        if self._socket is not None:
            self._socket.close()

    def _connect_tcp(self, addresses: Sequence[Any]) -> None:
        problem: OSError | None = None
        for family, kind, proto, _, address in self._reachable(addresses):
            try:
                self._socket = green.socket(family, kind, proto)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                # Before the first packet, so that no read goes without its timestamp.
                timestamps.enable(self._socket)
                if self._source is not None:
                    if sys.platform == "linux":
                        self._socket.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
                    self._socket.bind((self._source, 0))
                self._socket.connect(address)
            except OSError as error:
                self.discard()
                problem = error
            else:
                return
        assert problem is not None
        raise _tcp_error(self._options, problem)

    def _reachable(self, addresses: Sequence[Any]) -> Sequence[Any]:
        """Those of our own address's family."""
        if self._source is None:
            return addresses
        family = socket.AF_INET6 if ":" in self._source else socket.AF_INET
        reachable = [address for address in addresses if address[0] == family]
        if not reachable:
            raise ConnectError(
                f"{self._options.where} cannot be reached from {self._source}: one is IPv4, the other IPv6",
                step="tcp",
                side=Side.GENERATOR,
                kind="source-ip",
                remedy="Give a --source-ip of the server's kind, or none.",
            )
        return reachable

    def _connect_tls(self, context: ssl.SSLContext) -> None:
        tls = self._tls = TlsStream(context, self._options.uri.host, self._session)
        received = b""
        try:
            while True:
                done, outgoing = tls.handshake(received)
                self._send(outgoing)
                if done:
                    return
                received = self._receive()
                if not received:
                    raise ConnectError(
                        f"{self._options.where} closed the connection during the TLS handshake",
                        step="tls",
                        side=Side.TARGET,
                        kind="tls",
                        remedy="Does the port speak TLS? If not, use ws:// instead of wss://.",
                    )
        except ssl.SSLError as error:
            self._send(tls.outgoing())
            raise tls_error(error, self._options) from error
        except OSError as error:
            raise _broken(self._options, "the TLS handshake", self.step, error) from error

    def _upgrade(self) -> tuple[ClientProtocol, Response, bytes]:
        protocol, request = new_protocol(self._options)
        protocol.send_request(request)
        try:
            asked = b"".join(protocol.data_to_send())
            self._send(self._tls.encrypt(asked) if self._tls is not None else asked)
            head, early = self._answer()
        except OSError as error:
            raise _broken(self._options, "the upgrade", self.step, error) from error
        protocol.receive_data(head)
        if protocol.state is not OPEN:
            raise diagnose(protocol.handshake_exc, bytes(self.received), self._options)
        response = protocol.events_received()[0]
        assert isinstance(response, Response)
        return protocol, response, early

    def _answer(self) -> tuple[bytes, bytes]:
        """The head of a 101 answer, and what came behind it. Any other answer is an error."""
        received = self.received
        while (end := received.find(b"\r\n\r\n")) < 0:
            data = self._receive_plain()
            received += data
            plausible = b"HTTP/1.1".startswith(bytes(received[:8])) or received[:8] == b"HTTP/1.1"
            if not data or not plausible or len(received) > HEAD_LIMIT:
                raise diagnose(None, bytes(received), self._options)
        head, rest = bytes(received[: end + 4]), bytes(received[end + 4 :])
        if head.split(b" ", 2)[1:2] == [b"101"]:
            return head, rest
        # Its body may be long or never end: a little of it tells enough.
        with gevent.Timeout(_BODY_PATIENCE_S, False):
            while len(received) - end - 4 < _BODY_LIMIT and (data := self._receive_plain()):
                received += data
        raise diagnose(None, bytes(received), self._options)

    def _send(self, data: bytes) -> None:
        if data:
            self._socket.sendall(data)
            self._traffic.sent += len(data)

    def _receive(self) -> bytes:
        data: bytes = self._socket.recv(_READ_SIZE)
        self._traffic.received += len(data)
        return data

    def _receive_plain(self) -> bytes:
        """Decrypted bytes; empty at the end of the stream."""
        while data := self._receive():
            if self._tls is None:
                return data
            try:
                plain = self._tls.decrypt(data)
            except ssl.SSLError as error:
                raise tls_error(error, self._options) from error
            if plain or self._tls.closed:
                return plain
        return b""


def _tcp_error(options: ConnectOptions, error: OSError) -> ConnectError:
    where = options.where
    if error.errno == errno.ECONNREFUSED:
        return ConnectError(
            f"nothing listens on {where} (connection refused)",
            step="tcp",
            side=Side.TARGET,
            kind="refused",
            remedy="Is the server running, and is this its port?",
        )
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return ConnectError(
            "this process may open no more files",
            step="tcp",
            side=Side.GENERATOR,
            kind="descriptors",
            remedy="Raise the limit (ulimit -n), or use more --processes.",
        )
    if error.errno in (errno.EADDRNOTAVAIL, errno.EADDRINUSE):
        return ConnectError(
            f"this machine has no source port left towards {where}",
            step="tcp",
            side=Side.GENERATOR,
            kind="ports",
            remedy="Spread over several addresses of this machine (--source-ip), or use fewer connections.",
        )
    reason = error.strerror or str(error)
    return ConnectError(f"no connection to {where}: {reason}", step="tcp", side=Side.NETWORK, kind="unreachable")


def _broken(options: ConnectOptions, during: str, step: str, error: OSError) -> ConnectError:
    reason = error.strerror or str(error)
    return ConnectError(
        f"{options.where} broke the connection during {during}: {reason}",
        step=step,
        side=Side.TARGET,
        kind="handshake-reset",
        remedy="The server, or a firewall or proxy in between, broke off: see its log.",
    )


def _timed_out(options: ConnectOptions, step: str, received: int) -> ConnectError:
    waited = f"{options.timeout_ns / 1e9:g} s"
    if step == "tcp":
        return ConnectError(
            f"{options.where} did not accept the connection within {waited}",
            step=step,
            side=Side.NETWORK,
            kind="connect-timeout",
            remedy="A firewall that drops packets, a wrong address, or a full listen queue.",
        )
    if step == "tls":
        what, kind = "accepted the connection, but did not complete the TLS handshake", "tls-timeout"
    elif received:
        what, kind = f"sent {received} bytes of an answer, but not all of it", "handshake-timeout"
    else:
        what, kind = "accepted the connection, but never answered the upgrade request", "handshake-timeout"
    return ConnectError(
        f"{options.where} {what} within {waited}",
        step=step,
        side=Side.TARGET,
        kind=kind,
        remedy="Is it a WebSocket server, and is it alive?",
    )
