"""An open WebSocket connection on gevent, driven by hub callbacks.

Rules that everything below keeps:
- No greenlet switch a message: the hub calls `_readable`, which calls the receiver, which may send.
- A full socket never blocks the hub and loses nothing: what does not fit waits in `_unsent`, in order.
- An exception in a hub callback would be printed by gevent and lost: each is caught at the callback's edge and fails
  this connection with it.
- The protocol object (`websockets`' ClientProtocol) is the authority for everything but whole plain frames.
"""

from __future__ import annotations

import ssl
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import gevent
from gevent.event import Event
from websockets.exceptions import InvalidState, PayloadTooBig
from websockets.protocol import OPEN

from wsbench.errors import ConnectionLost, Side, WsbenchError
from wsbench.transport.connect_attempt import HandshakeResult
from wsbench.transport.poller import READ, poller
from wsbench.transport.shortway import FIRST_READ_SIZE, READ_SIZE, ShortWay
from wsbench.transport.timestamps import ANCILLARY_SIZE, ns_to_timespec, timespec_to_ns
from wsbench.transport.traffic import Traffic
from wsbench.websocket.frames import (
    DeflatingFramer,
    Flood,
    FrameReader,
    Payloads,
    client_frame,
    deflate_of,
    echoed_frames,
)
from wsbench.websocket.tls import TlsStream

_WRITE = 2
_PONG = 0x8A
_FLOOD_WINDOW_NS = 1_000_000_000
_now = time.time_ns


class Receiver(Protocol):
    """What a connection tells its owner. All calls come from hub callbacks: they must not block."""

    def short_way(self, fd: int) -> ShortWay | None:
        """The way for the conversation on this descriptor, if there is a short one. It is asked for once."""

    def predicted(self, data: bytes, timespec: bytes, handled_ns: int) -> int:
        """Plain bytes at a frame boundary: how many of them were whole replies known beforehand.

        `timespec` is the instant of their arrival as the kernel wrote it, and best decoded with many others.
        """

    def message(self, payload: bytes, text: bool, arrived_ns: int, handled_ns: int) -> None:
        """Any other whole message."""

    def pong(self, payload: bytes, arrived_ns: int, handled_ns: int) -> None:
        """The answer to a ping, or a pong that nobody asked for."""

    def drained(self) -> None:
        """A socket that was full takes data again, and nothing is left unsent."""

    def dropped(self, error: ConnectionLost) -> None:
        """The connection ended without our asking; called once."""


class Connection:
    """An open client connection. All methods but `close` may be called from hub callbacks.

    Attributes:
        on_short_way: the next reply, if it is what the way's answer expects, is answered there.
        full: the socket took less than was given to it: send nothing more until `drained`.
        frame: builds the bytes that carry a payload to the server, from the payload and TEXT or BINARY.
        plain: no extension was negotiated and nothing has ended, so that a reply's bytes can be predicted.
        close_code: why it ended (RFC 6455, 7.4), None while it is open.
        unanswered: what was wrong with the server's answer to our close, if anything.
    """

    __slots__ = (
        "_closing",
        "_early",
        "_ended",
        "_fd",
        "_flood_since_ns",
        "_poller",
        "_pong",
        "_protocol",
        "_read_size",
        "_reader",
        "_receiver",
        "_recvmsg",
        "_send",
        "_send_error",
        "_socket",
        "_tls",
        "_traffic",
        "_unsent",
        "_usual",
        "_way",
        "_write_watcher",
        "close_code",
        "frame",
        "full",
        "on_short_way",
        "plain",
        "unanswered",
    )

    def __init__(self, handshake: HandshakeResult, receiver: Receiver, traffic: Traffic) -> None:
        self._receiver = receiver
        self._traffic = traffic
        self._protocol = handshake.protocol
        self._reader = FrameReader(handshake.protocol)
        self._tls = handshake.tls
        self._socket = handshake.socket
        # The plain non-blocking socket under gevent's: what the hub calls must never switch greenlets.
        raw = handshake.socket._sock
        self._recvmsg, self._send = raw.recvmsg, raw.send
        self._read_size = min(FIRST_READ_SIZE, READ_SIZE)
        self._fd: int = raw.fileno()
        self._poller = poller()
        self._write_watcher: Any = None
        self._unsent: deque[bytes] = deque()
        self._pong = b""
        self._flood_since_ns = 0
        self._early = handshake.early
        self._ended = Event()
        self._closing = False
        self._send_error: OSError | None = None
        self.full = False
        self.plain = not handshake.protocol.extensions
        self._way: ShortWay | None = None
        self.on_short_way = False
        self._usual = False
        deflate = deflate_of(handshake.protocol)
        self.frame: Callable[[bytes, int], bytes] = client_frame if deflate is None else DeflatingFramer(deflate).frame
        self.close_code: int | None = None
        self.unanswered: ConnectionLost | None = None

    def start(self) -> None:
        """Begin to read."""
        self._way = self._receiver.short_way(self._fd)
        if self._way is not None:
            self._way.join(self._fd, self._socket._sock, self)
        self._poller.add(self._fd, self._read)
        if self._early:
            early, self._early = self._early, b""
            now = _now()
            self._guarded(self._incoming, early, ns_to_timespec(now), now)
        self._choose_way()

    def frames(self, payloads: Payloads, size: int, first_byte: int) -> Iterator[tuple[bytes, bytes]]:
        """For each payload of `size` bytes: what of its echo is compared, and the bytes that carry it to the server."""
        if self.plain:
            return echoed_frames(payloads, size, first_byte)
        frame = self.frame
        whole = (head + rest for head, rests in payloads for rest in rests)
        return ((payload, frame(payload, first_byte)) for payload in whole)

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._protocol.state is OPEN and not self._ended.is_set()

    def write(self, data: bytes) -> None:
        """Send bytes (whole frames). What the socket does not take at once is sent when it does."""
        if self._tls is not None:
            data = self._tls.encrypt(data)
        if self.full:
            self._unsent.append(data)
        else:
            self._transmit(data)

    def _transmit(self, data: bytes) -> None:
        try:
            sent = self._send(data)
        except OSError as error:
            self.refused(data, error)
            return
        self._traffic.sent += sent
        if sent < len(data):
            self.keep(data[sent:])

    def refused(self, data: bytes, error: OSError) -> None:
        """See Traveller."""
        if isinstance(error, BlockingIOError):
            self.keep(data)
        else:
            self._send_failed(error)

    def ping(self, payload: bytes) -> None:
        """Send a ping (at most 125 bytes); the receiver is told of the pong.

        Raises:
            InvalidState: the connection is not open.
        """
        self._protocol.send_ping(payload)
        self._after_protocol()

    def _choose_way(self) -> None:
        """The short way is open between frames, without TLS and extensions, while nothing waits to be sent."""
        self._usual = self.plain and self._tls is None and self._reader.idle
        if self._way is not None and self.on_short_way is not (self._usual and not self.full):
            self.on_short_way = not self.on_short_way
            self._poller.set_callback(self._fd, self._way.readable if self.on_short_way else self._read)

    def keep(self, data: bytes) -> None:
        """See Traveller. What is kept is sent, in order, when the socket takes data again."""
        self._unsent.append(data)
        self.full = True
        self._choose_way()
        if self._write_watcher is None:  # seldom needed, and it costs memory
            self._write_watcher = gevent.get_hub().loop.io(self._fd, _WRITE)
        self._write_watcher.start(self._writable)

    def _writable(self) -> None:
        self._guarded(self._flush)

    def _flush(self) -> None:
        unsent = self._unsent
        while unsent:
            data = unsent[0]
            try:
                sent = self._send(data)
            except BlockingIOError:
                return
            except OSError as error:
                self._send_failed(error)
                return
            self._traffic.sent += sent
            if sent < len(data):
                unsent[0] = data[sent:]
                return
            unsent.popleft()
        self.full = False
        self._write_watcher.stop()
        if self._pong:
            pong, self._pong = self._pong, b""
            self.write(pong)
        self._choose_way()
        if not self.full:
            self._receiver.drained()

    def _send_failed(self, error: OSError) -> None:
        """The connection is gone, but replies that came before that may still lie in the kernel: they count."""
        self._send_error = error
        self.full = True  # nothing more is sent
        self._choose_way()
        if self._write_watcher is not None:
            self._write_watcher.stop()
        # Later: whoever sends may be in the middle of counting what was read before.
        gevent.get_hub().loop.run_callback(self._read_the_rest, error)

    def _read_the_rest(self, error: OSError) -> None:
        read_before = -1
        while not self._ended.is_set() and self._traffic.received > read_before:
            read_before = self._traffic.received
            self._read(self._fd, 0)
        self._fail(self._reset_error(error))

    def _read(self, _fd: int, events: int) -> None:
        """Read once. `READ` says that there is no more to it."""
        try:
            try:
                data, ancillary, _, _ = self._recvmsg(self._read_size, ANCILLARY_SIZE)
            except BlockingIOError:
                return
            handled = _now()
            timespec = ancillary[0][2] if ancillary else ns_to_timespec(handled)
            size = len(data)
            self._traffic.received += size
            if self._usual:
                self.strayed(data, timespec, handled)
            else:
                self._received(data, timespec, handled)
            if size == self._read_size or events != READ:
                self._read_size = READ_SIZE if size == self._read_size else self._read_size
                self.look_again(size, timespec, handled)
        except Exception as error:  # the callback's edge: gevent would print it and go on
            self.failed(error)

    def strayed(self, data: bytes, timespec: bytes, handled: int) -> None:
        """See Traveller: plain bytes at a frame boundary, among which there may be replies that were expected."""
        consumed = self._receiver.predicted(data, timespec, handled)
        if consumed != len(data):
            self._parse(data, consumed, timespec, handled)
            self._choose_way()

    def failed(self, error: Exception) -> None:
        """See Traveller."""
        self._fail(self._reset_error(error) if isinstance(error, OSError) else _internal(error))

    def _received(self, data: bytes, timespec: bytes, handled: int) -> None:
        if self._tls is None:
            self._incoming(data, timespec, handled)
        else:
            self._incoming_tls(self._tls, data, timespec, handled)
        self._choose_way()

    def look_again(self, size: int, timespec: bytes, handled: int) -> None:
        """See Traveller."""
        if self._socket is None:
            return
        if not size:
            self._eof(timespec, handled)
            return
        self._poller.rearm(self._fd)

    def _incoming_tls(self, tls: TlsStream, data: bytes, timespec: bytes, handled: int) -> None:
        try:
            plain = tls.decrypt(data)
        except ssl.SSLError as error:
            self._fail(ConnectionLost(f"TLS broke: {error.reason or error}", code=1006, kind="tls"))
            return
        reply = tls.outgoing()
        if reply:
            self._write_raw(reply)
        if plain:
            self._incoming(plain, timespec, handled)
        if tls.closed and not self._ended.is_set():
            self._eof(timespec, handled)

    def _incoming(self, data: bytes, timespec: bytes, handled: int) -> None:
        """Bytes of the WebSocket, from anywhere in a frame."""
        reader = self._reader
        if not reader.idle:
            data = reader.join(data)
        if not data:
            return
        consumed = 0
        if self.plain and self._protocol.current_size is None:  # amid fragments no whole message may come
            consumed = self._receiver.predicted(data, timespec, handled)
        if consumed != len(data):
            self._parse(data, consumed, timespec, handled)

    def _parse(self, data: bytes, consumed: int, timespec: bytes, handled: int) -> None:
        """What nobody predicted, behind as many bytes as somebody did."""
        receiver, reader, arrived = self._receiver, self._reader, timespec_to_ns(timespec)
        if consumed:
            data = data[consumed:]
            reader.small_frames = 0
        if handled - self._flood_since_ns > _FLOOD_WINDOW_NS:
            self._flood_since_ns, reader.small_frames = handled, 0
        for payload, text in reader.feed(data):
            receiver.message(payload, text, arrived, handled)
        if reader.pongs:
            pongs, reader.pongs = reader.pongs, []
            for payload in pongs:
                receiver.pong(payload, arrived, handled)
        self._after_protocol()

    def _eof(self, timespec: bytes, handled: int) -> None:
        for payload, text in self._reader.feed_eof():
            self._receiver.message(payload, text, timespec_to_ns(timespec), handled)
        self._protocol.data_to_send()
        self._end()

    def _after_protocol(self) -> None:
        """Send what the protocol object wants to send (pongs, its half of a close), and note an end."""
        protocol = self._protocol
        for data in protocol.data_to_send():
            if data and self.full and data[0] == _PONG:
                # Whoever pings and does not read would fill our memory: the last ping alone is answered (5.5.3).
                self._pong = data
            elif data:
                self.write(data)
        if protocol.state is not OPEN:
            self.plain = False
            self._choose_way()
            # When we asked for the close, the server is to end TCP first (RFC 6455, 7.1.1): wait for its FIN, so that
            # the port's TIME_WAIT is not ours. When it asked, a FIN that may never come is not worth waiting for.
            if protocol.parser_exc is not None or (protocol.close_rcvd is not None and not self._closing):
                self._end()

    # -- ending ----------------------------------------------------------------------------------------------------

    def close(self, code: int = 1000, reason: str = "", *, timeout_s: float = 2.0) -> None:
        """The closing handshake, from a greenlet: at most `timeout_s`, then the socket is closed regardless."""
        self._closing = True
        if not self._ended.is_set():
            try:
                self._protocol.send_close(code, reason)
            except InvalidState:
                pass
            else:
                self._guarded(self._after_protocol)
            self._ended.wait(timeout_s)
        if self.close_code is None:
            received = self._protocol.close_rcvd
            self.close_code = int(received.code) if received else 1006
            if received is None:
                what = f"the server did not answer the close frame within {timeout_s:g} s"
                self.unanswered = ConnectionLost(what, code=1006, kind="close-unanswered")
        self._discard()

    def _end(self) -> None:
        """The stream is over: by a close, by an error of the protocol, or without a word."""
        protocol = self._protocol
        received, error = protocol.close_rcvd, protocol.parser_exc
        if received is not None:
            lost = ConnectionLost(
                f"the server closed the connection with {received}",
                code=int(received.code),
                reason=received.reason,
                kind="closed",
            )
        elif error is not None and not isinstance(error, EOFError):
            lost = _broken(error)
        elif self._send_error is not None:
            lost = self._reset_error(self._send_error)
        else:
            what = "the server ended the connection without a close frame"
            lost = ConnectionLost(what, code=1006, kind="closed-abruptly")
        self._fail(lost)

    def _fail(self, error: ConnectionLost) -> None:
        if self._ended.is_set():
            return
        self.close_code = error.code
        self._flush_last()
        self._discard()
        if not self._closing:
            self._receiver.dropped(error)
        elif error.kind != "closed":
            self.unanswered = error

    def _flush_last(self) -> None:
        """One attempt to get a last close frame out, for the server's sake."""
        try:
            while self._unsent:
                data = self._unsent.popleft()
                if self._send(data) < len(data):
                    break  # what follows would land inside a frame
        except OSError:
            self._unsent.clear()

    def _discard(self) -> None:
        if self._socket is None:
            return
        self._poller.remove(self._fd)
        if self._way is not None:
            self._way.leave(self._fd)
            self.on_short_way = False
        if self._write_watcher is not None:
            self._write_watcher.stop()
            self._write_watcher.close()
        self._unsent.clear()
        if self._tls is not None:
            self._say_goodbye(self._tls)
        self._socket.close()
        self._socket = None
        self.plain = self._usual = False
        self._ended.set()

    def _say_goodbye(self, tls: TlsStream) -> None:
        """TLS's close_notify, if the socket takes it: without it a server must suspect that the end was cut off."""
        try:
            self._send(tls.close())
        except OSError:
            pass

    def _write_raw(self, data: bytes) -> None:
        """Ciphertext of TLS's own (a key update's answer), in order with everything else."""
        self.keep(data)

    def _guarded(self, work: Any, *args: Any) -> None:
        try:
            work(*args)
        except Exception as error:  # the callback's edge: see the rules above
            self._fail(_internal(error))

    @staticmethod
    def _reset_error(error: OSError) -> ConnectionLost:
        return ConnectionLost(f"the connection broke: {error.strerror or error}", code=1006, kind="reset")


def _broken(error: Exception) -> ConnectionLost:
    """The protocol was broken: with the code that says how (RFC 6455, 7.4.1), whether or not it could still be sent."""
    if isinstance(error, Flood):
        return ConnectionLost(f"the server flooded the connection: {error}", code=1008, kind="flood")
    code = 1007 if isinstance(error, UnicodeDecodeError) else 1009 if isinstance(error, PayloadTooBig) else 1002
    return ConnectionLost(f"the server broke the protocol: {error}", code=code, kind="protocol-error")


def _internal(error: Exception) -> ConnectionLost:
    what = error.what if isinstance(error, WsbenchError) else f"{type(error).__name__}: {error}"
    lost = ConnectionLost(f"wsbench failed: {what}", code=1006, side=Side.GENERATOR, kind="internal")
    lost.__cause__ = error
    return lost
