"""Readable sockets: one epoll for all connections of a process, nested in gevent's.

A gevent watcher for each socket costs 1,500 instructions a round trip: libev's bookkeeping, the interpreter's lock, a
check for signals, a call built from nothing. Here the hub is called once a batch, and a loop in Python calls the
readers, for about half of that.

The sockets are watched edge-triggered, which saves the kernel a second look at each. The kernel then reports a socket
when bytes arrive, not while bytes are left. So a reader that filled its buffer, or that got other events than `READ`,
must call `rearm`.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import gevent
from gevent.monkey import get_original

Readable = Callable[[int, int], None]
"""Called on the hub with the descriptor and the events: `READ`, or others if there may be more than data. It must not
block or raise."""

Server = Callable[[int, int, int, list[Readable]], bool]
"""Called with an epoll's descriptor, the events that it reports, a number of sockets, and the callbacks by descriptor.
Serves up to that number of ready sockets, calls the callbacks of those that are not its own, and returns whether there
were any."""

READ = 1
"""EPOLLIN, which is also gevent's event mask for a readable socket."""
_ANYTHING = 0
_BATCH = 64
"""Sockets read in one hub callback; others, such as the pacer's timer, run between batches."""


class Poller(Protocol):
    """Calls a callback on the hub for each readable socket.

    Attributes:
        poll_once: calls the callbacks of the sockets that are readable now, without an iteration of the event loop, and
            returns whether there were any; None if only the hub can poll.
        can_serve: whether `serve` has an effect.
    """

    poll_once: Callable[[], bool] | None
    can_serve: bool

    def add(self, fd: int, readable: Readable) -> None:
        """Watch a socket. Bytes that have arrived already are reported too."""

    def set_callback(self, fd: int, readable: Readable) -> None:
        """Replace the callback of a watched socket."""

    def rearm(self, fd: int) -> None:
        """Report a socket once more, after the others, if bytes are left."""

    def remove(self, fd: int) -> None:
        """Stop to watch a socket. Call this before closing it."""

    def serve(self, server: Server) -> None:
        """Let `server` read the sockets that it knows, instead of their callbacks."""


def _ignore(fd: int, events: int) -> None:
    """Do nothing: the callback of a removed socket, which may still be reported in the current batch."""


class EpollPoller:
    """Poller for Linux, edge-triggered."""

    can_serve = True

    def __init__(self) -> None:
        # Locust has gevent remove epoll from the module because its `poll` blocks. This one never does.
        self._epoll: select.epoll = get_original("select", "epoll")()
        # A hang-up and urgent data are named: either may end a read early, and no new edge may follow.
        self._events = select.EPOLLIN | select.EPOLLPRI | select.EPOLLRDHUP | select.EPOLLET
        self._callbacks: list[Readable] = []
        """Callbacks by descriptor, in a list: with thousands of sockets, a dict's entries are in no CPU cache."""
        self._watcher = gevent.get_hub().loop.io(self._epoll.fileno(), READ)
        self._watcher.start(self._poll)
        self._server: Server | None = None
        self.poll_once: Callable[[], bool] | None = self._poll

    def add(self, fd: int, readable: Readable) -> None:
        self._callbacks += [_ignore] * (fd + 1 - len(self._callbacks))
        self._callbacks[fd] = readable
        self._epoll.register(fd, self._events)

    def set_callback(self, fd: int, readable: Readable) -> None:
        self._callbacks[fd] = readable

    def rearm(self, fd: int) -> None:
        self._epoll.modify(fd, self._events)

    def remove(self, fd: int) -> None:
        if fd < len(self._callbacks) and self._callbacks[fd] is not _ignore:
            self._epoll.unregister(fd)
            self._callbacks[fd] = _ignore

    def serve(self, server: Server) -> None:
        self._server = server

    def _poll(self) -> bool:
        # Ready sockets beyond the batch stay ready: the hub calls this again after its other work.
        callbacks = self._callbacks
        if self._server is not None:
            return self._server(self._epoll.fileno(), self._events, _BATCH, callbacks)
        ready = self._epoll.poll(0, _BATCH)
        for fd, events in ready:
            callbacks[fd](fd, events)
        return bool(ready)


class HubPoller:
    """Poller for systems without epoll: a gevent watcher for each socket, level-triggered."""

    can_serve = False

    def __init__(self) -> None:
        self.poll_once: Callable[[], bool] | None = None
        self._watchers: dict[int, Any] = {}

    def add(self, fd: int, readable: Readable) -> None:
        watcher = self._watchers[fd] = gevent.get_hub().loop.io(fd, READ)
        watcher.start(readable, fd, _ANYTHING)

    def set_callback(self, fd: int, readable: Readable) -> None:
        self._watchers[fd].callback = readable

    def rearm(self, fd: int) -> None:
        pass

    def remove(self, fd: int) -> None:
        watcher = self._watchers.pop(fd, None)
        if watcher is not None:
            watcher.stop()
            watcher.close()

    def serve(self, server: Server) -> None:
        pass


_pollers: WeakKeyDictionary[Any, tuple[int, Poller]] = WeakKeyDictionary()


def hub_poller() -> Poller:
    """Return this hub's poller. A forked process gets a new one: otherwise it would share an epoll with its parent."""
    hub, pid = gevent.get_hub(), os.getpid()
    entry = _pollers.get(hub)
    if entry is None or entry[0] != pid:
        entry = _pollers[hub] = (pid, EpollPoller() if hasattr(select, "EPOLLET") else HubPoller())
    return entry[1]
