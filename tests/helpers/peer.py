"""The server's end of a connection, in the test's own hub: it does what the test orders, byte by byte, and no more.

Both ends live in one thread, so that nothing happens between two steps of a test but what it waits for.
"""

from __future__ import annotations

import os
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable
from typing import Any

import gevent
import trustme
from gevent import socket as green
from gevent import ssl as green_ssl

from helpers import frames
from helpers.frames import FrameParser, Incoming, Request
from helpers.plain_way import Answer, PlainWay
from helpers.process import scaled
from wsbench.errors import ConnectionLost
from wsbench.transport.connect import Connector
from wsbench.transport.connect_attempt import HandshakeResult
from wsbench.transport.connection import READ_SIZE, Connection
from wsbench.transport.poller import Poller
from wsbench.transport.traffic import Traffic
from wsbench.websocket.connect_options import ConnectOptions
from wsbench.websocket.frames import BINARY, TEXT
from wsbench.websocket.tls import client_context

PATIENCE_S = scaled(20)
NARROW = 8192


def until(condition: Callable[[], object]) -> None:
    """Wait while the hub runs; raise AssertionError when the condition does not become true."""
    with gevent.Timeout(PATIENCE_S, AssertionError("the condition did not become true")):
        while not condition():
            gevent.sleep(0.001)


def over_tls() -> dict[str, Any]:
    """Return a pair's options for TLS."""
    authority = trustme.CA()
    server = green_ssl.SSLContext(green_ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = client_context(ca_file=None, insecure=False)
    authority.configure_trust(client)
    return {"tls": server, "context": client}


def granting(*headers: str) -> Callable[[Request], bytes]:
    """Return an answer that upgrades, with more headers."""

    def answer(request: Request) -> bytes:
        head = frames.upgrade_answer(request).removesuffix(b"\r\n")
        return head + "".join(f"{header}\r\n" for header in headers).encode() + b"\r\n"

    return answer


def fill(sock: Any, data: bytes) -> bytes:
    """Write until the kernel accepts nothing more for a while; return the rest of `data`, which must be long."""
    refusals = 0
    while refusals < 20:
        try:
            data = data[sock.send(data) :]
            refusals = 0
        except BlockingIOError:
            refusals += 1
            gevent.sleep(0.005)
    return data


class Peer:
    """Server for one client; it answers the handshake, sends and reads only when a method is called.

    Attributes:
        request: the client's upgrade request, once there was one.
    """

    def __init__(self, *, narrow: bool = False, tls: green_ssl.SSLContext | None = None) -> None:
        self._listener = green.socket()
        if narrow:  # inherited by the accepted socket; switches off the kernel's own sizing
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, NARROW)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self._tls = tls
        self._socket: Any = None
        self._parser = FrameParser()
        self._incoming: deque[Incoming] = deque()
        self.request: Request | None = None
        self.url = f"{'wss' if tls else 'ws'}://127.0.0.1:{self._listener.getsockname()[1]}/"

    def accept(self, answer: Callable[[Request], bytes] = frames.upgrade_answer) -> None:
        """Receive the client's request and send `answer` to it."""
        with gevent.Timeout(PATIENCE_S):
            client, _ = self._listener.accept()
            self._socket = self._tls.wrap_socket(client, server_side=True) if self._tls else client
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                data = self._socket.recv(65_536)
                assert data, "the client went before it had asked"
                head += data
            self.request = frames.parse_request(head[:-4])
            self._socket.sendall(answer(self.request))

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def send_urgent(self, data: bytes) -> None:
        self._socket.send(data, socket.MSG_OOB)

    def send_beneath_tls(self, data: bytes) -> None:
        os.write(self._socket.fileno(), data)

    def message(self, payload: bytes, opcode: int = frames.TEXT) -> None:
        self.send(frames.encode(opcode, payload))

    def receive(self) -> Incoming:
        """Return the client's next message or control frame; raise EOFError at the end of the stream."""
        with gevent.Timeout(PATIENCE_S):
            while not self._incoming:
                data = self._socket.recv(65_536)
                if not data:
                    raise EOFError
                self._incoming += self._parser.feed(data)
        return self._incoming.popleft()

    def at_eof(self) -> bool:
        """Wait for the end of the stream; return whether nothing came before it."""
        try:
            self.receive()
        except EOFError:
            return True
        return False

    def close(self) -> None:
        """Close TCP without a close frame."""
        if self._socket is not None:
            self._socket.close()

    def end(self) -> None:
        """Half-close: send the end of the stream, and continue to read."""
        self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def stop(self) -> None:
        self.close()
        self._listener.close()


class Log:
    """A receiver that records its calls.

    Attributes:
        predictions: replies known beforehand, in order; a whole one at the front of what came is taken.
    """

    def __init__(self) -> None:
        self.predictions: deque[bytes] = deque()
        self.way: PlainWay | None = None
        self.messages: list[tuple[bytes, bool]] = []
        self.pongs: list[bytes] = []
        self.instants: list[tuple[int, int]] = []
        self.offered: list[bytes] = []
        self.drops: list[ConnectionLost] = []
        self.drains = 0
        self.after_drop: list[str] = []
        self.on_message: Callable[[], None] = lambda: None
        self.on_drained: Callable[[], None] = lambda: None

    def short_way(self, fd: int) -> PlainWay | None:
        return self.way

    def predicted(self, data: bytes, arrived_ns: int, handled_ns: int) -> int:
        self._note("predicted", arrived_ns, handled_ns)
        self.offered.append(data)
        offset = 0
        while self.predictions and data.startswith(self.predictions[0], offset):
            offset += len(self.predictions.popleft())
        return offset

    def message(self, payload: bytes, text: bool, arrived_ns: int, handled_ns: int) -> None:
        self._note("message", arrived_ns, handled_ns)
        self.messages.append((payload, text))
        self.on_message()

    def pong(self, payload: bytes, arrived_ns: int, handled_ns: int) -> None:
        self._note("pong", arrived_ns, handled_ns)
        self.pongs.append(payload)

    def drained(self) -> None:
        self._note("drained", 0, 0)
        self.drains += 1
        self.on_drained()

    def dropped(self, error: ConnectionLost) -> None:
        self._note("dropped", 0, 0)
        self.drops.append(error)

    @property
    def drop(self) -> ConnectionLost:
        """Wait for the drop and return its error; there must be one only."""
        until(lambda: self.drops)
        (error,) = self.drops
        return error

    def _note(self, what: str, arrived_ns: int, handled_ns: int) -> None:
        if handled_ns:
            self.instants.append((arrived_ns, handled_ns))
        if self.drops:
            self.after_drop.append(what)


class Pair:
    """A client's open connection and its peer. Not started: nothing is read before `start`.

    A narrow one has little room in its sockets, so that a message of a megabyte fills them.
    """

    def __init__(
        self,
        *,
        answer: Callable[[Request], bytes] = frames.upgrade_answer,
        narrow: bool = False,
        tls: green_ssl.SSLContext | None = None,
        context: ssl.SSLContext | None = None,
        poller: Poller | None = None,
        read_size: int = READ_SIZE,
        **options: Any,
    ) -> None:
        self.peer, self.log, self.traffic = Peer(narrow=narrow, tls=tls), Log(), Traffic()
        accepting = gevent.spawn(self.peer.accept, answer)
        connector = Connector(ConnectOptions(self.peer.url, **options), context=context, traffic=self.traffic)
        try:
            self.handshake: HandshakeResult = connector.connect()
            accepting.get(timeout=PATIENCE_S)
        except BaseException:
            accepting.kill()
            self.peer.stop()
            raise
        if narrow:
            self.handshake.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, NARROW)
        self.connection = Connection(self.handshake, self.log, self.traffic, poller=poller, read_size=read_size)

    def start(self, answer: Answer | None = None) -> Pair:
        """Start the connection; with `answer` there is a short way."""
        if answer is not None:
            self.log.way = PlainWay(self.connection, answer, self.traffic)
        self.connection.start()
        return self

    def send(self, payload: bytes, *, text: bool = True) -> None:
        self.connection.write(self.connection.frame(payload, TEXT if text else BINARY))

    def stop(self) -> None:
        self.peer.stop()
        self.connection.close(timeout_s=0)
