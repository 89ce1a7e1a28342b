"""One connection, looked at from its name to its close: every step timed, and what is wrong put into words."""

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

from wsbench.errors import ConnectError, ConnectionLost, HandshakeError, WsbenchError
from wsbench.probe import diagnosis
from wsbench.probe.certificate import utc_now
from wsbench.probe.document import SCHEMA, STEPS, Close, Echo, Ping, Probe, Problem, Step, Tcp, Tls, Upgrade
from wsbench.probe.probe_connection import Arrival, Conversation
from wsbench.probe.recheck import certificate_of, look_again, seen_in, with_certificate
from wsbench.source_addresses import spread
from wsbench.transport.connect import Attempt, Opened, Opener, Traffic
from wsbench.transport.timestamps import KeepStamping
from wsbench.websocket.credentials import hide_header, hide_in_target, hide_in_url
from wsbench.websocket.handshake import ConnectOptions, new_protocol
from wsbench.websocket.http_response import printable
from wsbench.websocket.tls import client_context

_NORMAL = 1000
_FIN_PATIENCE_NS = 2_000_000_000
_BODY = 1000
_EXCERPT = 100


@dataclass(frozen=True)
class Asked:
    """What to probe with.

    Attributes:
        payload: the message to be echoed, sent as binary or as text.
        same: whether a reply says the same as the payload, if maybe in other bytes.
        version: wsbench's.
        show_credentials: leave them in what is shown of the request and the answer.
    """

    connect: ConnectOptions
    payload: bytes
    binary: bool
    same: Callable[[bytes], bool]
    version: str
    show_credentials: bool = False


def probe(asked: Asked, on_step: Callable[[Probe], None] = lambda _: None) -> tuple[Probe, WsbenchError | None]:
    """Take all steps, as far as they go; `on_step` is told after each.

    Returns:
        What was found, and the error of the step that failed, None when none did.
    """
    prober = _Prober(asked, on_step)
    _warm_up(asked.connect)
    with contextlib.closing(KeepStamping()):
        try:
            prober.converse(prober.open())
        except (ConnectError, ConnectionLost) as error:
            return prober.found, error
    return prober.found, None


class _Prober:
    """One probe under way.

    Attributes:
        found: what is known so far; replaced as a whole, never changed.
    """

    def __init__(self, asked: Asked, on_step: Callable[[Probe], None]) -> None:
        self._asked = asked
        self._options = options = asked.connect
        self._on_step = on_step
        self.found = Probe(
            schema=SCHEMA,
            wsbench=asked.version,
            url=options.url if asked.show_credentials else hide_in_url(options.url),
            started=utc_now(),
            ok=False,
            problem=None,
            findings=[],
            steps=[Step(name) for name in STEPS if name != "tls" or options.uri.secure],
            addresses=[],
            tcp=None,
            tls=None,
            upgrade=None,
            echo=None,
            ping=None,
            close=None,
        )

    # -- opening -------------------------------------------------------------------------------------------------------

    def open(self) -> Opened:
        """All steps up to the upgrade.

        Raises:
            ConnectError: one failed; it has been noted.
        """
        options = self._options
        context = client_context(ca_file=options.ca_file, insecure=options.insecure) if options.uri.secure else None
        sources = spread(options.sources, start=0, step=1) if options.sources else None
        attempt = Opener(options, context=context, traffic=Traffic(), sources=sources).attempt()
        try:
            for step in attempt.steps():
                self._see(attempt, step)
                self._took(step, attempt.times_ns[step])
        except ConnectError as error:
            raise self._failed_to_open(attempt, error) from error
        assert attempt.opened is not None
        return attempt.opened

    def _see(self, attempt: Attempt, step: str) -> None:
        """Note what a step that went well brought."""
        if step == "dns":
            self._know(addresses=list(dict.fromkeys(address[4][0] for address in attempt.addresses)))
        elif step == "tcp":
            peer, local = (_address(name) for name in (attempt.socket.getpeername(), attempt.socket.getsockname()))
            self._know(tcp=Tcp(peer, local, [_refusal(each) for each in attempt.refused]))
        elif step == "tls" and attempt.tls is not None:
            tls, verified = attempt.tls, not self._options.insecure
            self._know(tls=Tls(tls.version, tls.cipher, tls.application_protocol, verified, seen_in(attempt)))
        elif step == "upgrade":
            self._know(upgrade=self._handshake(attempt, 101))
        self._know(findings=[*self.found.findings, *diagnosis.of_opening(self.found, step, self._options)])

    def _failed_to_open(self, attempt: Attempt, error: ConnectError) -> ConnectError:
        """Note what the step that failed brought, and the error, as sure as it can be made."""
        if error.step == "tcp" and attempt.refused:
            self._know(tcp=Tcp(None, None, [_refusal(each) for each in attempt.refused]))
        if error.kind.startswith("certificate"):
            certificate = certificate_of(self._options)
            self._know(tls=Tls(None, None, None, verified=False, certificate=certificate))
            error = with_certificate(error, self._options, certificate)
        elif error.step == "upgrade" and attempt.request:
            status = error.status if isinstance(error, HandshakeError) else None
            self._know(upgrade=self._handshake(attempt, status))
        error = look_again(error, self._options)
        self._fail(error, attempt.step, attempt.times_ns[attempt.step])
        return error

    def _handshake(self, attempt: Attempt, status: int | None) -> Upgrade:
        head, _, body = bytes(attempt.received).partition(b"\r\n\r\n")
        granted = attempt.opened.negotiated if attempt.opened is not None else None
        return Upgrade(
            request=self._lines(attempt.request.removesuffix(b"\r\n\r\n")),
            answer=self._lines(head) if status is not None else [_excerpt(head)] if head else [],
            status=status,
            body="" if status in (None, 101) else body[:_BODY].decode("utf-8", "replace"),
            extensions=granted.compression if granted else None,
            subprotocol=granted.subprotocol if granted else None,
        )

    def _lines(self, head: bytes) -> list[str]:
        first, *headers = head.decode("latin-1").split("\r\n")
        if self._asked.show_credentials:
            return [first, *headers]
        return [hide_in_target(first), *map(_without_credentials, headers)]

    # -- open ----------------------------------------------------------------------------------------------------------

    def converse(self, opened: Opened) -> None:
        """Echo, ping, close.

        Raises:
            ConnectionLost: the server ended the connection before we did; it has been noted.
        """
        conversation = Conversation(opened)
        try:
            for name, take in (("echo", self._echo), ("ping", self._ping), ("close", self._close)):
                began = time.monotonic_ns()
                try:
                    took_ns = take(conversation)
                except ConnectionLost as error:
                    self._fail(error, name, time.monotonic_ns() - began)
                    raise
                self._know(findings=[*self.found.findings, *diagnosis.of_conversation(self.found, name, self._options)])
                self._took(name, took_ns)
        finally:
            conversation.discard()
        self._know(ok=True)

    def _echo(self, conversation: Conversation) -> int:
        asked, protocol = self._asked, conversation.protocol
        send = protocol.send_binary if asked.binary else protocol.send_text
        kind = Opcode.BINARY if asked.binary else Opcode.TEXT
        echo = Echo(size=len(asked.payload), kind=kind.name.lower())
        self._know(echo=echo)
        began = time.monotonic_ns()
        sent_ns = conversation.say(lambda: send(asked.payload))
        for arrival in self._arrivals(conversation, began + self._options.timeout_ns, "our message"):
            if not arrival.is_message:
                continue
            if asked.same(arrival.payload):
                identical = (arrival.opcode, arrival.payload) == (kind, asked.payload)
                service_ns, read_lag_ns = arrival.arrived_ns - sent_ns, arrival.handled_ns - arrival.arrived_ns
                self._know(
                    echo=msgspec.structs.replace(
                        self.found.echo or echo,
                        echoed=True,
                        identical=identical,
                        service_ns=service_ns,
                        read_lag_ns=read_lag_ns,
                        timestamps=_clock(arrival),
                    )
                )
                break
            self._note_other(arrival)
        return time.monotonic_ns() - began

    def _ping(self, conversation: Conversation) -> int:
        data, protocol = os.urandom(8), conversation.protocol
        self._know(ping=Ping(None, None))
        began = time.monotonic_ns()
        sent_ns = conversation.say(lambda: protocol.send_ping(data))
        for arrival in self._arrivals(conversation, began + self._options.timeout_ns, "our ping"):
            if arrival.opcode is Opcode.PONG and arrival.payload == data:
                self._know(ping=Ping(arrival.arrived_ns - sent_ns, _clock(arrival)))
                break
            if arrival.is_message:
                self._note_other(arrival)
        return time.monotonic_ns() - began

    def _close(self, conversation: Conversation) -> int:
        protocol = conversation.protocol
        began = time.monotonic_ns()
        conversation.say(lambda: protocol.send_close(_NORMAL))
        while (arrival := conversation.next(began + self._options.timeout_ns)) is not None:
            if arrival.opcode is Opcode.CLOSE:
                break
        took_ns = time.monotonic_ns() - began
        fin_deadline_ns = time.monotonic_ns() + min(_FIN_PATIENCE_NS, self._options.timeout_ns)
        while conversation.next(fin_deadline_ns) is not None:
            pass
        received = protocol.close_rcvd
        self._know(
            close=Close(
                sent_code=_NORMAL,
                received_code=int(received.code) if received is not None else None,
                reason=received.reason if received is not None else "",
                tcp_ended=conversation.ended,
            )
        )
        return took_ns

    def _arrivals(self, conversation: Conversation, deadline_ns: int, after: str) -> Iterator[Arrival]:
        """What comes until the deadline.

        Raises:
            ConnectionLost: the server ended the connection.
        """
        while (arrival := conversation.next(deadline_ns)) is not None:
            if arrival.opcode is Opcode.CLOSE:
                raise _closed(conversation, after)
            yield arrival
        if conversation.ended:
            raise _closed(conversation, after)

    def _note_other(self, arrival: Arrival) -> None:
        echo = self.found.echo
        assert echo is not None
        first = echo.first_other if echo.first_other is not None else _excerpt(arrival.payload)
        self._know(echo=msgspec.structs.replace(echo, others=echo.others + 1, first_other=first))

    # -- notes ---------------------------------------------------------------------------------------------------------

    def _know(self, **changes: Any) -> None:
        self.found = msgspec.structs.replace(self.found, **changes)

    def _took(self, name: str, duration_ns: int) -> None:
        self._step(Step(name, ok=True, duration_ns=duration_ns))

    def _fail(self, error: ConnectError | ConnectionLost, name: str, duration_ns: int) -> None:
        problem = Problem(error.kind, str(error.side), name, error.what, error.remedy)
        self._know(problem=problem)
        self._step(Step(name, ok=False, duration_ns=duration_ns))

    def _step(self, step: Step) -> None:
        self._know(steps=[step if each.name == step.name else each for each in self.found.steps])
        self._on_step(self.found)


def _warm_up(options: ConnectOptions) -> None:
    """What happens once a process, such as the start of gevent's threads, is no part of any step."""
    hub = gevent.get_hub()
    hub.NOT_ERROR = (*hub.NOT_ERROR, KeyboardInterrupt)  # Ctrl-C is none that gevent should print
    green.getaddrinfo("127.0.0.1", 0)
    client, server = green.socketpair()
    with client, server:
        server.sendall(b" ")
        client.recv(1)
    new_protocol(options)


def _closed(conversation: Conversation, after: str) -> ConnectionLost:
    received = conversation.protocol.close_rcvd
    if received is None:
        what = f"the server ended the connection after {after}, without a close frame"
        return ConnectionLost(what, code=1006, kind="closed-abruptly", remedy=diagnosis.close_remedy(1006))
    return ConnectionLost(
        printable(f"the server closed the connection after {after} with {received}"),
        code=int(received.code),
        reason=received.reason,
        kind="closed",
        remedy=diagnosis.close_remedy(int(received.code)),
    )


def _clock(arrival: Arrival) -> str:
    return "kernel" if arrival.by_kernel else "user"


def _address(name: tuple[Any, ...]) -> str:
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _refusal(refused: tuple[str, OSError]) -> str:
    address, error = refused
    return f"{address}: {error.strerror or error}"


def _without_credentials(line: str) -> str:
    name, colon, value = line.partition(": ")
    return f"{name}{colon}{hide_header(name, value)}"


def _excerpt(data: bytes) -> str:
    return printable(data[:_EXCERPT].decode("utf-8", "replace"))
