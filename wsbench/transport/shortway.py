"""The short way through a conversation of message, reply, next message: one reader for all connections that are on it.

With ten thousand connections nothing that belongs to one of them is in any cache when its reply comes, and whatever has
to be fetched costs 80 ns and more. So there is no function or object of a connection's own here but its socket: one
function serves them all, with tables by descriptor, in which neighbours share a cache line.
"""

from __future__ import annotations

import _socket
import time
from collections.abc import Callable
from typing import Any, Protocol

from wsbench.transport.poller import READ, Readable
from wsbench.transport.timestamps import ANCILLARY_SIZE, ns_to_timespec
from wsbench.transport.traffic import Traffic

READ_SIZE = 65_536
FIRST_READ_SIZE = 448
"""Until a read fills it: Python has a pool for so little; malloc takes 600 instructions a message more."""
_now = time.time_ns

Answer = Callable[[int, bytes, bytes, int], bytes | None]
"""Called with a connection's descriptor, plain bytes read at a frame boundary, the timespec of their arrival, and the
instant of the read (ns). If the bytes are exactly the expected reply, returns the bytes to send next, perhaps none.
Otherwise returns None and changes nothing."""


class Traveller(Protocol):
    """What a connection is to the short way: it is told of whatever is not short."""

    def strayed(self, data: bytes, timespec: bytes, handled_ns: int) -> None:
        """What was read is not just the reply that was expected."""

    def refused(self, data: bytes, error: OSError) -> None:
        """The socket took nothing of what was to be sent."""

    def keep(self, data: bytes) -> None:
        """The socket did not take this rest of what was to be sent."""

    def look_again(self, size: int, timespec: bytes, handled_ns: int) -> None:
        """A read of `size` bytes may not have got all there was, or it got the end of the stream."""

    def failed(self, error: Exception) -> None:
        """The socket broke, or we did."""


class _Gone:
    """Takes the place of whoever has ended, perhaps just now, in a call of ours."""

    def strayed(self, data: bytes, timespec: bytes, handled_ns: int) -> None:
        """See Traveller."""

    def refused(self, data: bytes, error: OSError) -> None:
        """See Traveller."""

    def keep(self, data: bytes) -> None:
        """See Traveller."""

    def look_again(self, size: int, timespec: bytes, handled_ns: int) -> None:
        """See Traveller."""

    def failed(self, error: Exception) -> None:
        """See Traveller."""


_GONE = _Gone()


class ShortWay:
    """Reads, has it answered, and sends.

    Attributes:
        readable: to be called in place of the reader of a connection that has joined.
    """

    def __init__(self, answer: Answer, traffic: Traffic) -> None:
        self._sockets: list[Any] = []
        self._travellers: list[Traveller] = []
        self.readable = self._reader(answer, traffic)

    def join(self, fd: int, raw: Any, traveller: Traveller) -> None:
        """One more connection, whose plain non-blocking socket is `raw`."""
        missing = fd + 1 - len(self._sockets)
        self._sockets += [None] * missing
        self._travellers += [_GONE] * missing
        self._sockets[fd], self._travellers[fd] = raw, traveller

    def leave(self, fd: int) -> None:
        """It has ended."""
        self._sockets[fd], self._travellers[fd] = None, _GONE

    def _reader(self, answer: Answer, traffic: Traffic) -> Readable:
        """What reads once. As defaults it has at hand whatever does not change."""
        read_size = FIRST_READ_SIZE

        def readable(
            fd: int,
            events: int,
            sockets: list[Any] = self._sockets,
            travellers: list[Traveller] = self._travellers,
            recvmsg: Any = _socket.socket.recvmsg,
            send: Callable[[Any, bytes], int] = _socket.socket.send,
            answer: Answer = answer,
            traffic: Traffic = traffic,
            now: Callable[[], int] = _now,
        ) -> None:
            nonlocal read_size
            try:
                try:
                    data, ancillary, _, _ = recvmsg(sockets[fd], read_size, ANCILLARY_SIZE)
                except BlockingIOError:
                    return
                handled = now()
                timespec = ancillary[0][2] if ancillary else ns_to_timespec(handled)
                size = len(data)
                traffic.received += size
                frame = answer(fd, data, timespec, handled)
                if frame is None:
                    travellers[fd].strayed(data, timespec, handled)
                elif frame:
                    try:
                        sent = send(sockets[fd], frame)
                    except OSError as error:
                        travellers[fd].refused(frame, error)
                    else:
                        traffic.sent += sent
                        if sent < len(frame):
                            travellers[fd].keep(frame[sent:])
                if size == read_size or events != READ:
                    read_size = READ_SIZE if size == read_size else read_size
                    travellers[fd].look_again(size, timespec, handled)
            except Exception as error:  # the callback's edge: gevent would print it and go on
                travellers[fd].failed(error)

        return readable
