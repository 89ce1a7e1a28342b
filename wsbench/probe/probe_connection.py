"""An open connection for a probe, not for load: it sends and receives frame by frame and blocks its greenlet.

The protocol object (`websockets`' ClientProtocol) does all of RFC 6455; this module moves its bytes and records when
they left and arrived.
"""

from __future__ import annotations

import ssl
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import gevent
from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode

from wsbench.transport.connect_attempt import HandshakeResult
from wsbench.transport.timestamps import ANCILLARY_SIZE, timespec_to_ns
from wsbench.websocket import drop_errors

_READ_SIZE = 65_536


@dataclass(frozen=True)
class Arrival:
    """A whole message or a control frame, and when it arrived, on CLOCK_REALTIME in ns.

    Attributes:
        by_kernel: `arrived_ns` is the kernel's timestamp, not the time of the read.
    """

    opcode: Opcode
    payload: bytes
    arrived_ns: int
    handled_ns: int
    by_kernel: bool

    @property
    def is_message(self) -> bool:
        """Whether this is a text or binary message, not a control frame."""
        return self.opcode in (Opcode.TEXT, Opcode.BINARY)


class ProbeConnection:
    """An open connection: a caller sends a frame and waits for the next arrival. Both raise ConnectionLost at its end.

    Attributes:
        ended: the server has ended the stream.
    """

    def __init__(self, handshake: HandshakeResult) -> None:
        self._socket = handshake.socket
        self._tls = handshake.tls
        self.protocol = handshake.protocol
        self._arrivals: deque[Arrival] = deque()
        self._parts: list[bytes] = []
        self._opcode = Opcode.TEXT
        self.ended = False
        now = time.time_ns()
        self._feed(handshake.early, now, now, by_kernel=False)

    def send(self, enqueue: Callable[[], None]) -> int:
        """Send the frame that `enqueue` gives to the protocol object; return when, on the clock of `Arrival`."""
        try:
            enqueue()
            sent_ns = time.time_ns()
            self._flush()
        except (InvalidState, OSError) as error:
            raise drop_errors.reset(error) from error
        return sent_ns

    def receive(self, deadline_ns: int) -> Arrival | None:
        """Return the next arrival; None after the deadline (monotonic, ns) or the end of the stream."""
        while not self._arrivals and not self.ended:
            left_ns = deadline_ns - time.monotonic_ns()
            if left_ns <= 0:
                return None
            with gevent.Timeout(left_ns / 1e9, False):
                self._read()
        return self._arrivals.popleft() if self._arrivals else None

    def discard(self) -> None:
        """Close the socket, with TLS's close_notify."""
        if self._tls is not None:
            try:
                self._socket.send(self._tls.close())
            except OSError:
                pass
        self._socket.close()

    def _read(self) -> None:
        try:
            data, ancillary, _, _ = self._socket.recvmsg(_READ_SIZE, ANCILLARY_SIZE)
            handled = arrived = time.time_ns()
            if ancillary:
                arrived = timespec_to_ns(ancillary[0][2])
            ended = not data
            if self._tls is not None and data:
                data = self._tls.decrypt(data)
                ended = self._tls.closed
            if data:
                self._feed(data, arrived, handled, by_kernel=bool(ancillary))
            if ended and not self.ended:
                self.ended = True
                self.protocol.receive_eof()
        except ssl.SSLError as error:
            raise drop_errors.tls_failed(error) from error
        except OSError as error:
            raise drop_errors.reset(error) from error
        self._try_flush()

    def _feed(self, data: bytes, arrived_ns: int, handled_ns: int, *, by_kernel: bool) -> None:
        self.protocol.receive_data(data)
        for frame in self.protocol.events_received():
            if isinstance(frame, Frame) and (whole := self._whole(frame)) is not None:
                self._arrivals.append(Arrival(*whole, arrived_ns, handled_ns, by_kernel))
        error = self.protocol.parser_exc
        if error is not None and not isinstance(error, EOFError):
            self._try_flush()
            raise drop_errors.protocol_violated(error)

    def _whole(self, frame: Frame) -> tuple[Opcode, bytes] | None:
        if frame.opcode in (Opcode.CLOSE, Opcode.PING, Opcode.PONG):
            return frame.opcode, bytes(frame.data)
        if frame.opcode is not Opcode.CONT:
            self._opcode, self._parts = frame.opcode, []
        self._parts.append(bytes(frame.data))
        return (self._opcode, b"".join(self._parts)) if frame.fin else None

    def _try_flush(self) -> None:
        """Send a response (pong, close) to a server that may be gone; the next read reports that."""
        try:
            self._flush()
        except OSError:
            pass

    def _flush(self) -> None:
        """Send the protocol object's bytes; an empty piece asks to end TCP, which `discard` does."""
        for data in self.protocol.data_to_send():
            if data:
                self._socket.sendall(self._tls.encrypt(data) if self._tls is not None else data)
        if self._tls is not None and (reply := self._tls.outgoing()):
            self._socket.sendall(reply)
