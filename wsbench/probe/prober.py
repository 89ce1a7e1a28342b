"""One connection from name resolution to close: every step is timed, and faults are diagnosed."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gevent
import msgspec
from gevent import socket as green
from websockets.frames import Opcode

from wsbench.errors import ConnectError, ConnectionLost, HandshakeError, WsbenchError, excerpt
from wsbench.measure.reply_difference import Payload, describe
from wsbench.probe import diagnosis
from wsbench.probe.certificate import utc_now
from wsbench.probe.document import SCHEMA, STEPS, Close, EchoResult, Ping, Probe, ProbeStep, Problem, Tcp, Tls, Upgrade
from wsbench.probe.probe_connection import Arrival, ProbeConnection
from wsbench.probe.recheck import add_certificate_faults, certificate_from, fetch_certificate, recheck
from wsbench.source_addresses import round_robin
from wsbench.transport.connect import Connector
from wsbench.transport.connect_attempt import ConnectAttempt, HandshakeResult
from wsbench.transport.timestamps import TimestampingKeepalive
from wsbench.transport.traffic import Traffic
from wsbench.websocket import drop_errors
from wsbench.websocket.connect_options import ConnectOptions
from wsbench.websocket.handshake import new_protocol
from wsbench.websocket.http_response import head_faults, split_head
from wsbench.websocket.tls import client_context

_NORMAL = 1000
_FIN_TIMEOUT_NS = 2_000_000_000
_BODY = 1000
_EXCERPT, _SEARCHED = 100, 2000


@dataclass(frozen=True)
class ProbeOptions:
    """Options of a probe.

    Attributes:
        payload: the message to be echoed, sent as binary or as text.
        matches: whether a reply means the same as the payload, perhaps in other bytes.
        version: wsbench's version.
        timeout_ns: the timeout of each of echo, pong and close.
    """

    connect: ConnectOptions
    payload: bytes
    binary: bool
    matches: Callable[[bytes], bool]
    version: str
    timeout_ns: int


def probe(
    options: ProbeOptions, on_step: Callable[[Probe], None] = lambda _: None
) -> tuple[Probe, WsbenchError | None]:
    """Take all steps until one fails; call `on_step` after each.

    Returns:
        The result, and the error of the step that failed (None when none did).
    """
    prober = _Prober(options, on_step)
    _warm_up(options.connect)
    with contextlib.closing(TimestampingKeepalive()):
        try:
            prober.exchange(prober.connect())
        except (ConnectError, ConnectionLost) as error:
            return prober.result, error
    return prober.result, None


class _Prober:
    """One running probe.

    Attributes:
        result: the result so far; replaced as a whole, never changed.
    """

    def __init__(self, options: ProbeOptions, on_step: Callable[[Probe], None]) -> None:
        self._options = options
        self._connect = connect = options.connect
        self._timeout_ns = options.timeout_ns
        self._on_step = on_step
        self.result = Probe(
            schema=SCHEMA,
            wsbench=options.version,
            url=connect.secrets.url(connect.url),
            started=utc_now(),
            steps=[ProbeStep(name) for name in STEPS if name != "tls" or connect.uri.secure],
        )

    # -- opening -------------------------------------------------------------------------------------------------------

    def connect(self) -> HandshakeResult:
        """Take all steps up to the upgrade; raise the ConnectError of one that failed."""
        options = self._connect
        context = client_context(ca_file=options.ca_file, insecure=options.insecure) if options.uri.secure else None
        sources = round_robin(options.sources, start=0, step=1) if options.sources else None
        attempt = Connector(options, context=context, traffic=Traffic(), sources=sources).attempt()
        try:
            for step in attempt.steps():
                self._record_step(attempt, step)
                self._succeed(step, attempt.times_ns[step])
        except ConnectError as error:
            raise self._record_failure(attempt, error) from error
        assert attempt.result is not None
        return attempt.result

    def _record_step(self, attempt: ConnectAttempt, step: str) -> None:
        """Add a successful step to the result."""
        if step == "dns":
            self._update(addresses=list(dict.fromkeys(address[4][0] for address in attempt.addresses)))
        elif step == "tcp":
            peer, local = (_address(name) for name in (attempt.socket.getpeername(), attempt.socket.getsockname()))
            self._update(tcp=Tcp(peer, local, [_refusal(each) for each in attempt.refused]))
        elif step == "tls" and attempt.tls is not None:
            tls, session = attempt.tls, attempt.tls.ssl_object
            alpn, verified = session.selected_alpn_protocol(), not self._connect.insecure
            self._update(tls=Tls(session.version(), tls.cipher, alpn, verified, certificate_from(attempt)))
        elif step == "upgrade":
            self._update(upgrade=self._handshake(attempt, 101))

    def _record_failure(self, attempt: ConnectAttempt, error: ConnectError) -> ConnectError:
        """Add the failed step to the result, and its error after a recheck; return that error."""
        if error.step == "tcp" and attempt.refused:
            self._update(tcp=Tcp(None, None, [_refusal(each) for each in attempt.refused]))
        if error.kind.startswith("certificate"):
            certificate = fetch_certificate(self._connect)
            self._update(tls=Tls(None, None, None, verified=False, certificate=certificate))
            error = add_certificate_faults(error, self._connect, certificate)
        elif error.step == "upgrade" and attempt.request:
            status = error.status if isinstance(error, HandshakeError) else None
            self._update(upgrade=self._handshake(attempt, status))
        error = recheck(error, self._connect)
        self._fail(error, attempt.step, attempt.times_ns[attempt.step])
        return error

    def _handshake(self, attempt: ConnectAttempt, status: int | None) -> Upgrade:
        received = bytes(attempt.received)
        _, body = split_head(received)
        granted = attempt.result.negotiated if attempt.result is not None else None
        return Upgrade(
            request=self._lines(split_head(attempt.request)[0]),
            answer=self._answer(received, status),
            status=status,
            body="" if status in (None, 101) else self._shown(body or b"")[:_BODY].decode("utf-8", "replace"),
            faults=head_faults(received) if status is not None else [],
            extensions=granted.compression if granted else None,
            subprotocol=granted.subprotocol if granted else None,
        )

    def _answer(self, received: bytes, status: int | None) -> list[str]:
        """Return the lines of the response, or how it begins if it is not HTTP."""
        if status is not None:
            return self._lines(split_head(received)[0])
        return [excerpt(self._shown(received), _EXCERPT)] if received else []

    def _lines(self, head: list[bytes]) -> list[str]:
        first, *headers = (line.decode("latin-1") for line in head)
        return [self._connect.secrets.url(first), *map(self._header, headers)]

    def _header(self, line: str) -> str:
        name, colon, value = line.partition(": ")
        return f"{name}{colon}{self._connect.secrets.header(name, value)}"

    def _shown(self, data: bytes) -> bytes:
        """Return the start of the server's data without secrets."""
        text = data[:_SEARCHED].decode(errors="surrogateescape")
        return self._connect.secrets.text(text).encode(errors="surrogateescape")

    # -- open ----------------------------------------------------------------------------------------------------------

    def exchange(self, handshake: HandshakeResult) -> None:
        """Send a message, a ping and a close; raise ConnectionLost if the server drops the connection."""
        connection = ProbeConnection(handshake)
        try:
            for name, run in (("echo", self._echo), ("ping", self._ping), ("close", self._close)):
                began = time.monotonic_ns()
                try:
                    took_ns = run(connection)
                except ConnectionLost as error:
                    self._fail(error, name, time.monotonic_ns() - began)
                    raise
                self._succeed(name, took_ns)
        finally:
            connection.discard()
        self._update(ok=True)

    def _echo(self, connection: ProbeConnection) -> int:
        options, protocol = self._options, connection.protocol
        send = protocol.send_binary if options.binary else protocol.send_text
        kind = Opcode.BINARY if options.binary else Opcode.TEXT
        self._update(echo=EchoResult(size=len(options.payload), kind=kind.name.lower()))
        began = time.monotonic_ns()
        sent_ns = connection.send(lambda: send(options.payload))
        for arrival in self._arrivals(connection, began + self._timeout_ns, "our message"):
            if not arrival.is_message:
                continue
            if options.matches(arrival.payload):
                sent, echo = (
                    Payload(options.payload, not options.binary),
                    Payload(arrival.payload, arrival.opcode is Opcode.TEXT),
                )
                service_ns, read_lag_ns = arrival.arrived_ns - sent_ns, arrival.handled_ns - arrival.arrived_ns
                self._update_echo(
                    echoed=True,
                    identical=echo == sent,
                    difference="" if echo == sent else self._connect.secrets.text(describe(sent, echo)),
                    service_ns=service_ns,
                    read_lag_ns=read_lag_ns,
                    timestamps=_clock(arrival),
                )
                break
            self._record_other(arrival)
        return time.monotonic_ns() - began

    def _ping(self, connection: ProbeConnection) -> int:
        data, protocol = os.urandom(8), connection.protocol
        self._update(ping=Ping(None, None))
        began = time.monotonic_ns()
        sent_ns = connection.send(lambda: protocol.send_ping(data))
        for arrival in self._arrivals(connection, began + self._timeout_ns, "our ping"):
            if arrival.opcode is Opcode.PONG and arrival.payload == data:
                self._update(ping=Ping(arrival.arrived_ns - sent_ns, _clock(arrival)))
                break
            if arrival.is_message:
                self._record_other(arrival)
        return time.monotonic_ns() - began

    def _close(self, connection: ProbeConnection) -> int:
        protocol = connection.protocol
        began = time.monotonic_ns()
        connection.send(lambda: protocol.send_close(_NORMAL))
        while (arrival := connection.receive(began + self._timeout_ns)) is not None:
            if arrival.opcode is Opcode.CLOSE:
                break
        took_ns = time.monotonic_ns() - began
        fin_deadline_ns = time.monotonic_ns() + min(_FIN_TIMEOUT_NS, self._timeout_ns)
        while connection.receive(fin_deadline_ns) is not None:
            pass
        received = protocol.close_rcvd
        code, reason = (
            (int(received.code), self._connect.secrets.text(received.reason)) if received is not None else (None, "")
        )
        self._update(close=Close(_NORMAL, code, reason, connection.ended))
        return took_ns

    def _arrivals(self, connection: ProbeConnection, deadline_ns: int, after: str) -> Iterator[Arrival]:
        """Yield arrivals until the deadline; raise ConnectionLost if the server drops the connection."""
        while (arrival := connection.receive(deadline_ns)) is not None:
            if arrival.opcode is Opcode.CLOSE:
                raise _closed(connection, after)
            yield arrival
        if connection.ended:
            raise _closed(connection, after)

    def _record_other(self, arrival: Arrival) -> None:
        echo = self.result.echo
        assert echo is not None
        first = echo.first_other if echo.first_other is not None else excerpt(self._shown(arrival.payload), _EXCERPT)
        self._update_echo(others=echo.others + 1, first_other=first)

    # -- the result ----------------------------------------------------------------------------------------------------

    def _update(self, **changes: Any) -> None:
        self.result = msgspec.structs.replace(self.result, **changes)

    def _update_echo(self, **changes: Any) -> None:
        assert self.result.echo is not None
        self._update(echo=msgspec.structs.replace(self.result.echo, **changes))

    def _succeed(self, name: str, duration_ns: int) -> None:
        findings = diagnosis.findings_of(self.result, name, self._connect, self._timeout_ns)
        self._finish(ProbeStep(name, True, duration_ns), findings=[*self.result.findings, *findings])

    def _fail(self, error: ConnectError | ConnectionLost, name: str, duration_ns: int) -> None:
        hide = self._connect.secrets.text
        error.what, error.remedy = hide(error.what), hide(error.remedy)
        problem = Problem(error.kind, str(error.side), name, error.what, error.remedy)
        self._finish(ProbeStep(name, False, duration_ns), problem=problem)

    def _finish(self, step: ProbeStep, **changes: Any) -> None:
        steps = [step if each.name == step.name else each for each in self.result.steps]
        self._update(steps=steps, **changes)
        self._on_step(self.result)


def _warm_up(options: ConnectOptions) -> None:
    """Do once what the first step would otherwise include, such as the start of gevent's threads."""
    hub = gevent.get_hub()
    hub.NOT_ERROR = (*hub.NOT_ERROR, KeyboardInterrupt)  # gevent must not print Ctrl-C
    green.getaddrinfo("127.0.0.1", 0)
    client, server = green.socketpair()
    with client, server:
        server.sendall(b" ")
        client.recv(1)
    new_protocol(options)


def _closed(connection: ProbeConnection, after: str) -> ConnectionLost:
    error = drop_errors.closed(connection.protocol.close_rcvd, f" after {after}")
    error.remedy = diagnosis.close_remedy(error.code)
    return error


def _clock(arrival: Arrival) -> str:
    return "kernel" if arrival.by_kernel else "user"


def _address(name: tuple[Any, ...]) -> str:
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _refusal(refused: tuple[str, OSError]) -> str:
    address, error = refused
    return f"{address}: {error.strerror or error}"
