"""An open WebSocket connection on gevent, driven by hub callbacks.

Rules of this module:
- No greenlet switch per message: the hub calls `read`, which calls the receiver, which may send.
- gevent would print an exception in a hub callback and go on: every callback catches it and ends this connection.
- The protocol object (`websockets`' ClientProtocol) is the authority for everything but whole plain frames.
- Only `_fail` and `finish_close` end a connection, and both do it through `_shut`.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import Any

import gevent
from gevent.event import Event
from websockets.exceptions import InvalidState
from websockets.protocol import OPEN

from wsbench.errors import ConnectionLost
from wsbench.transport.buffered_socket import BufferedSocket
from wsbench.transport.connect_attempt import HandshakeResult
from wsbench.transport.poller import READ, Poller, hub_poller
from wsbench.transport.receiver import Receiver
from wsbench.transport.shortway import Way
from wsbench.transport.timestamps import ANCILLARY_SIZE, timespec_to_ns
from wsbench.transport.traffic import Traffic
from wsbench.websocket import drop_errors
from wsbench.websocket.frame_reader import FrameReader
from wsbench.websocket.frames import DeflatingFramer, Payloads, client_frame, deflate_of, echoed_frames
from wsbench.websocket.tls import TlsStream

READ_SIZE = 65_536
_FIRST_READ_SIZE = 448
"""Read size until a read fills it: Python's pool serves small objects; malloc costs 600 instructions more a message."""
_PONG = 0x8A
_FLOOD_WINDOW_NS = 1_000_000_000
_now = time.time_ns


class State(Enum):
    """Life of a connection. It only moves down this list; from OPEN it may move straight to CLOSED.

    Whether the server has asked for a close is the protocol object's state: we then close at once.
    """

    OPEN = auto()
    """Messages go both ways."""
    CLOSING = auto()
    """`close` was called: the end, when it comes, is no drop."""
    CLOSED = auto()
    """The socket is closed, and `close_code` is set or about to be set by `close`."""


class Connection(BufferedSocket):
    """An open client connection. All methods but `close` may be called from hub callbacks.

    Attributes:
        state: see State.
        full: the socket accepts no more for now: send nothing until `Receiver.drained`.
        plain: messages go both ways without an extension, so the bytes of a reply can be predicted.
        on_short_way: the short way reads this connection.
        frame: builds the bytes of a message to the server, from the payload and TEXT or BINARY.
        close_code: why it ended (RFC 6455, 7.4); None while it is open.
        unanswered: what was wrong with the server's response to our close, if anything.
    """

    __slots__ = (
        "_early",
        "_ended",
        "_flood_since_ns",
        "_max_read_size",
        "_poller",
        "_pong",
        "_protocol",
        "_read_size",
        "_reader",
        "_receiver",
        "_recvmsg",
        "_tls",
        "_usual",
        "_way",
        "close_code",
        "frame",
        "on_short_way",
        "plain",
        "state",
        "unanswered",
    )

    def __init__(
        self,
        handshake: HandshakeResult,
        receiver: Receiver,
        traffic: Traffic,
        *,
        poller: Poller | None = None,
        read_size: int = READ_SIZE,
    ) -> None:
        """Take over an open connection; nothing is read before `start`, and at most `read_size` bytes at once."""
        super().__init__(handshake.socket, traffic)
        self._receiver = receiver
        self._protocol = handshake.protocol
        self._reader = FrameReader(handshake.protocol)
        self._tls = handshake.tls
        self._recvmsg = handshake.socket._sock.recvmsg
        self._max_read_size = read_size
        self._read_size = min(_FIRST_READ_SIZE, read_size)
        self._poller = poller or hub_poller()
        self._pong = b""
        self._flood_since_ns = 0
        self._early = handshake.early
        self._ended = Event()
        self.state = State.OPEN
        self.plain = not handshake.protocol.extensions
        self._way: Way | None = None
        self.on_short_way = False
        self._usual = False
        deflate = deflate_of(handshake.protocol)
        self.frame: Callable[[bytes, int], bytes] = client_frame if deflate is None else DeflatingFramer(deflate).frame
        self.close_code: int | None = None
        self.unanswered: ConnectionLost | None = None

    def start(self) -> None:
        """Begin to read."""
        self._way = self._receiver.short_way(self._fd)
        self._poller.add(self._fd, self.read)
        if self._early:
            early, self._early = self._early, b""
            now = _now()
            self._guarded(self._incoming, early, now, now)
        self._choose_way()

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self.state is State.OPEN and self._protocol.state is OPEN

    # -- sending ---------------------------------------------------------------------------------------------------

    def frames(self, payloads: Payloads, size: int, first_byte: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield for each payload of `size` bytes: the bytes that its echo is compared with, and its frame."""
        if self.plain:
            return echoed_frames(payloads, size, first_byte)
        frame = self.frame
        whole = (prefix + suffix for prefix, suffixes in payloads for suffix in suffixes)
        return ((payload, frame(payload, first_byte)) for payload in whole)

    def write(self, data: bytes) -> None:
        """Send whole frames, at once or as soon as the socket accepts them."""
        self._write(data if self._tls is None else self._tls.encrypt(data))

    def ping(self, payload: bytes) -> None:
        """Send a ping (at most 125 bytes), whose pong goes to the receiver; raise InvalidState if it is not open."""
        self._protocol.send_ping(payload)
        self._after_protocol()

    def _flushed(self) -> None:
        if self._pong:
            pong, self._pong = self._pong, b""
            self.write(pong)
        if not self.full:
            self._receiver.drained()

    def _sending_failed(self, error: OSError) -> None:
        # Later: the caller may be counting replies read before, and more of them may be in the kernel.
        gevent.get_hub().loop.run_callback(self._read_the_rest, error)

    # -- reading ---------------------------------------------------------------------------------------------------

    def _choose_way(self) -> None:
        """Choose the reader: the short way between frames, without TLS and extensions, while nothing is buffered."""
        self._usual = self.plain and self._tls is None and self._reader.idle
        if self._way is not None and self.on_short_way is not (self._usual and not self.full):
            self.on_short_way = not self.on_short_way
            self._poller.set_callback(self._fd, self._way.readable if self.on_short_way else self.read)
            (self._way.on if self.on_short_way else self._way.off)(self._fd)

    _fullness_changed = _choose_way

    def read(self, _fd: int, events: int) -> None:
        """Read once. `events` other than `READ` mean that there may be more to read."""
        try:
            try:
                data, ancillary, _, _ = self._recvmsg(self._read_size, ANCILLARY_SIZE)
            except BlockingIOError:
                return
            handled = _now()
            arrived = timespec_to_ns(ancillary[0][2]) if ancillary else handled
            size = len(data)
            self._traffic.received += size
            if self._usual:
                self.strayed(data, arrived, handled)
            else:
                if self._tls is None:
                    self._incoming(data, arrived, handled)
                else:
                    self._incoming_tls(self._tls, data, arrived, handled)
                self._choose_way()
            if size == self._read_size or events != READ:
                self._read_size = self._max_read_size if size == self._read_size else self._read_size
                self.look_again(size, arrived, handled)
        except Exception as error:  # see the rules above
            self.failed(error)

    def strayed(self, data: bytes, arrived: int, handled: int) -> None:
        """Handle plain bytes at a frame boundary; expected replies may be among them."""
        consumed = self._receiver.predicted(data, arrived, handled)
        if consumed != len(data):
            self._parse(data, consumed, arrived, handled)
            self._choose_way()

    def failed(self, error: Exception) -> None:
        """End the connection because its socket, or our code, failed."""
        self._fail(drop_errors.reset(error) if isinstance(error, OSError) else drop_errors.internal(error))

    def look_again(self, size: int, arrived: int, handled: int) -> None:
        """Handle the end of the stream (`size` 0), or have the rest of a partial read reported again."""
        if self.state is State.CLOSED:
            return
        if size:
            self._poller.rearm(self._fd)
        else:
            self._eof(arrived, handled)

    def _read_the_rest(self, error: OSError) -> None:
        """Read what arrived before sending failed: replies among it count. Then end the connection."""
        read_before = -1
        while self.state is not State.CLOSED and self._traffic.received > read_before:
            read_before = self._traffic.received
            self.read(self._fd, 0)
        self._fail(drop_errors.reset(error))

    def _incoming_tls(self, tls: TlsStream, data: bytes, arrived: int, handled: int) -> None:
        try:
            plain = tls.decrypt(data)
        except ssl.SSLError as error:
            self._fail(drop_errors.tls_failed(error))
            return
        reply = tls.outgoing()
        if reply:  # TLS's own, such as the answer to a key update
            self._write(reply)
        if plain:
            self._incoming(plain, arrived, handled)
        if tls.closed and self.state is not State.CLOSED:
            self._eof(arrived, handled)

    def _incoming(self, data: bytes, arrived: int, handled: int) -> None:
        """Handle plain bytes that may begin anywhere in a frame."""
        reader = self._reader
        if not reader.idle:
            data = reader.join(data)
        if not data:
            return
        consumed = 0
        if self.plain and self._protocol.current_size is None:  # between fragments no whole message may come
            consumed = self._receiver.predicted(data, arrived, handled)
        if consumed != len(data):
            self._parse(data, consumed, arrived, handled)

    def _parse(self, data: bytes, consumed: int, arrived: int, handled: int) -> None:
        """Parse `data` after the first `consumed` bytes, which matched predicted replies."""
        receiver, reader = self._receiver, self._reader
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

    def _after_protocol(self) -> None:
        """Send what the protocol object wants to send (pongs, its half of a close), and end a closed connection."""
        protocol = self._protocol
        for data in protocol.data_to_send():
            if data and self.full and data[0] == _PONG:
                # A server that pings and does not read would fill our memory: answer the last ping only (5.5.3).
                self._pong = data
            elif data and self.state is not State.CLOSED:  # dropped meanwhile
                self.write(data)
        # When we asked for the close, the server is to end TCP first (RFC 6455, 7.1.1), so that the port's TIME_WAIT
        # is not ours. When the server asked, its FIN may never come.
        if protocol.parser_exc is not None or (protocol.close_rcvd is not None and self.state is State.OPEN):
            self._end()

    def _eof(self, arrived: int, handled: int) -> None:
        for payload, text in self._reader.feed_eof():
            self._receiver.message(payload, text, arrived, handled)
        self._protocol.data_to_send()
        self._end()

    # -- ending ----------------------------------------------------------------------------------------------------

    def close(self, code: int = 1000, reason: str = "", *, timeout_s: float = 2.0) -> None:
        """Run the closing handshake from a greenlet, for at most `timeout_s`; then close the socket regardless."""
        self.begin_close(code, reason)
        try:
            self._ended.wait(timeout_s)
        finally:  # the greenlet may be killed meanwhile
            self.finish_close(timeout_s)

    def begin_close(self, code: int = 1000, reason: str = "") -> None:
        """Send a close frame, unless the connection has ended."""
        if self.state is State.OPEN:
            self._enter(State.CLOSING)
            try:
                self._protocol.send_close(code, reason)
            except InvalidState:
                pass
            else:
                self._guarded(self._after_protocol)

    @property
    def has_ended(self) -> bool:
        """Whether the socket is closed: after `begin_close`, whether the server has answered."""
        return self.state is State.CLOSED

    def finish_close(self, waited_s: float) -> None:
        """Close the socket; an answer that did not arrive in `waited_s` is `unanswered`."""
        if self.close_code is None:
            received = self._protocol.close_rcvd
            self.close_code = int(received.code) if received else 1006
            if received is None:
                self.unanswered = drop_errors.close_unanswered(waited_s)
        self._shut()

    def drop(self, error: ConnectionLost) -> None:
        """End the connection at once, with a close frame: a protocol on top of WebSocket has ended."""
        if self.is_open:
            self._protocol.send_close(error.code)
            for data in filter(None, self._protocol.data_to_send()):
                self.write(data)
        self._fail(error)

    def _end(self) -> None:
        """End the connection after the stream's end: by a close frame, a violation, a failed send, or nothing."""
        received, error = self._protocol.close_rcvd, self._protocol.parser_exc
        if received is not None:
            self._fail(drop_errors.closed(received))
        elif error is not None and not isinstance(error, EOFError):
            self._fail(drop_errors.protocol_violated(error))
        elif self._send_error is not None:
            self._fail(drop_errors.reset(self._send_error))
        else:
            self._fail(drop_errors.closed(None))

    def _fail(self, error: ConnectionLost) -> None:
        """End the connection. The first call counts; it is a drop unless we are closing."""
        before = self.state
        if before is State.CLOSED:
            return
        self.close_code = error.code
        self._shut()
        if before is State.OPEN:
            self._receiver.dropped(error)
        elif error.kind != "closed":
            self.unanswered = error

    def _shut(self) -> None:
        """Stop reading and close the socket, with TLS's close_notify: without it the end might be an attacker's cut."""
        if self.state is State.CLOSED:
            return
        self._enter(State.CLOSED)
        self._poller.remove(self._fd)
        if self._way is not None:
            self._way.leave(self._fd)
        if self._tls is not None:
            self._unsent.append(self._tls.close())
        self._close_socket()
        self._ended.set()

    def _enter(self, state: State) -> None:
        self.state = state
        self.plain = False
        self._choose_way()

    def _guarded(self, work: Callable[..., Any], *args: Any) -> None:
        try:
            work(*args)
        except Exception as error:  # see the rules above
            self._fail(drop_errors.internal(error))

    def _writable(self) -> None:
        self._guarded(super()._writable)
