"""The short way from a reply to the next message: one reader function for all connections that are on it.

With ten thousand connections, nothing of a connection is in a CPU cache when its reply arrives, and each fetch costs
80 ns and more. So one function serves all connections with tables by descriptor, in which neighbours share a cache
line. The socket is a connection's only object here.
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
"""Read size until a read fills it: Python's pool serves small objects; malloc costs 600 instructions more a message."""
_now = time.time_ns

Answer = Callable[[int, bytes, bytes, int], bytes | None]
"""Called with a connection's descriptor, plain bytes read at a frame boundary, the timespec of their arrival, and the
instant of the read (ns). If the bytes are exactly the expected reply, returns the bytes to send next, perhaps none.
Otherwise returns None and changes nothing."""


class Traveller(Protocol):
    """A connection on the short way, which handles all that the short way does not."""

    def strayed(self, data: bytes, timespec: bytes, handled_ns: int) -> None:
        """Handle bytes that are not exactly the expected reply."""

    def refused(self, data: bytes, error: OSError) -> None:
        """Handle a send that failed: the socket accepted none of `data`."""

    def keep(self, data: bytes) -> None:
        """Buffer the rest of a partial send."""

    def read(self, fd: int, events: int) -> None:
        """Read once, as the connection does when it is not on the short way."""

    def look_again(self, size: int, timespec: bytes, handled_ns: int) -> None:
        """Handle a read of `size` bytes that may have left some, or that got the end of the stream (0)."""

    def failed(self, error: Exception) -> None:
        """Handle an exception: the socket or our code failed."""


class _Gone:
    """Placeholder of a connection that has ended, perhaps in a call made by the reader."""

    def strayed(self, *_args: Any, **_kwargs: Any) -> None:
        """Do nothing."""

    refused = keep = read = look_again = failed = strayed


GONE = _Gone()


class Way(Protocol):
    """A faster reader for connections between frames, without TLS and extensions.

    Attributes:
        readable: the poller's callback for connections on it.
    """

    @property
    def readable(self) -> Readable: ...

    def join(self, fd: int, raw: Any, traveller: Traveller) -> None:
        """Add a connection, whose plain non-blocking socket is `raw`."""

    def leave(self, fd: int) -> None:
        """Remove a connection that has ended."""

    def on(self, fd: int) -> None:
        """Begin to read a connection."""

    def off(self, fd: int) -> None:
        """Stop to read a connection, which reads itself from now on."""


class ShortWay:
    """Reads, gets the answer, and sends it.

    Attributes:
        readable: the poller's callback for connections on the short way.
    """

    def __init__(self, answer: Answer, traffic: Traffic) -> None:
        self._sockets: list[Any] = []
        self._travellers: list[Traveller] = []
        self.readable = self._reader(answer, traffic)

    def join(self, fd: int, raw: Any, traveller: Traveller) -> None:
        """Add a connection, whose plain non-blocking socket is `raw`."""
        missing = fd + 1 - len(self._sockets)
        self._sockets += [None] * missing
        self._travellers += [GONE] * missing
        self._sockets[fd], self._travellers[fd] = raw, traveller

    def leave(self, fd: int) -> None:
        """Remove a connection that has ended."""
        self._sockets[fd], self._travellers[fd] = None, GONE

    def on(self, fd: int) -> None:
        """Do nothing: this way reads only when the poller calls it."""

    off = on

    def _reader(self, answer: Answer, traffic: Traffic) -> Readable:
        """Return the reader. Its default arguments are constants, which are faster than closures."""
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
