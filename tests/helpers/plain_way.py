"""A short way for tests of `Connection`: reads, asks a function for the answer, and sends it."""

from __future__ import annotations

import time
from collections.abc import Callable

from wsbench.transport.connection import Connection
from wsbench.transport.poller import READ
from wsbench.transport.shortway import GONE, Traveller
from wsbench.transport.traffic import Traffic

Answer = Callable[[bytes], bytes | None]
"""Called with the bytes of a read at a frame boundary. If they are the expected reply, returns the bytes to send next.
Otherwise returns None."""

_READ_SIZE = 65_536


class PlainWay:
    """Serves one connection."""

    def __init__(self, connection: Connection, answer: Answer, traffic: Traffic) -> None:
        self._answer = answer
        self._traffic = traffic
        self._socket = connection._socket._sock
        self._traveller: Traveller = connection

    def leave(self, fd: int) -> None:
        self._traveller = GONE

    def on(self, fd: int) -> None:
        """Do nothing: it reads when the poller calls `readable`."""

    off = on

    def readable(self, fd: int, events: int) -> None:
        """Read once, and send the answer."""
        try:
            try:
                data = self._socket.recv(_READ_SIZE)
            except BlockingIOError:
                return
            handled = time.time_ns()
            self._traffic.received += len(data)
            frame = self._answer(data)
            if frame is None:
                self._traveller.strayed(data, handled, handled)
            else:
                self._send(frame)
            if events != READ:
                self._traveller.look_again(len(data), handled, handled)
        except Exception as error:  # the callback's edge: gevent would print it and go on
            self._traveller.failed(error)

    def _send(self, frame: bytes) -> None:
        try:
            sent = self._socket.send(frame)
        except OSError as error:
            self._traveller.refused(frame, error)
            return
        self._traffic.sent += sent
        if sent < len(frame):
            self._traveller.keep(frame[sent:])
