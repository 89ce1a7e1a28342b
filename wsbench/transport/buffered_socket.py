"""A non-blocking socket with an outgoing buffer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import Any

import gevent

from wsbench.transport.traffic import Traffic

_WRITE = 2
"""gevent's event mask for a writable socket."""


class BufferedSocket(ABC):
    """Sends bytes in order without blocking: the buffer holds what the socket does not accept at once.

    A base class, not a part: a message sent needs no second object.

    Attributes:
        full: bytes wait in the buffer, or sending has failed. Senders should wait for `_flushed`.
    """

    __slots__ = ("_fd", "_send", "_send_error", "_socket", "_traffic", "_unsent", "_write_watcher", "full")

    def __init__(self, sock: Any, traffic: Traffic) -> None:
        """Send through gevent's socket `sock`."""
        self._socket = sock
        # The plain non-blocking socket under gevent's: a hub callback must never switch greenlets.
        self._send = sock._sock.send
        self._fd: int = sock.fileno()
        self._traffic = traffic
        self._unsent: deque[bytes] = deque()
        self._send_error: OSError | None = None
        self._write_watcher: Any = None
        self.full = False

    def _write(self, data: bytes) -> None:
        if self.full:
            self._unsent.append(data)
            return
        try:
            sent = self._send(data)
        except OSError as error:
            self.refused(data, error)
            return
        self._traffic.sent += sent
        if sent < len(data):
            self.keep(data[sent:])

    def refused(self, data: bytes, error: OSError) -> None:
        """Keep `data` if the socket is only full; otherwise sending has failed."""
        if isinstance(error, BlockingIOError):
            self.keep(data)
        else:
            self._fail_to_send(error)

    def keep(self, data: bytes) -> None:
        """Buffer `data` until the socket accepts bytes again."""
        self._unsent.append(data)
        self.full = True
        self._fullness_changed()
        if self._write_watcher is None:  # created on demand: few connections need it, and it costs memory
            self._write_watcher = gevent.get_hub().loop.io(self._fd, _WRITE)
        self._write_watcher.start(self._writable)

    def _writable(self) -> None:
        try:
            sent_all = self._send_buffered()
        except OSError as error:
            self._fail_to_send(error)
            return
        if sent_all:
            self._write_watcher.stop()
            self.full = False
            self._fullness_changed()
            self._flushed()

    def _send_buffered(self) -> bool:
        """Send as much of the buffer as the socket accepts, and return whether that was all of it."""
        unsent = self._unsent
        while unsent:
            data = unsent[0]
            try:
                sent = self._send(data)
            except BlockingIOError:
                return False
            self._traffic.sent += sent
            if sent < len(data):
                unsent[0] = data[sent:]
                return False
            unsent.popleft()
        return True

    def _fail_to_send(self, error: OSError) -> None:
        self._send_error = error
        self.full = True  # for ever: nothing more is sent
        self._fullness_changed()
        if self._write_watcher is not None:
            self._write_watcher.stop()
        self._sending_failed(error)

    def _close_socket(self) -> None:
        """Close the socket after one last attempt to send the buffer, which may hold a close frame."""
        if self._write_watcher is not None:
            self._write_watcher.stop()
            self._write_watcher.close()
        try:
            self._send_buffered()
        except OSError:
            pass
        self._unsent.clear()
        self._socket.close()

    @abstractmethod
    def _fullness_changed(self) -> None:
        """React to a change of `full`."""

    @abstractmethod
    def _flushed(self) -> None:
        """React to an empty buffer."""

    @abstractmethod
    def _sending_failed(self, error: OSError) -> None:
        """React to a socket that accepts nothing more, but may still have bytes to read."""
