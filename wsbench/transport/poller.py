"""Which sockets can be read: one epoll for all connections of a process, nested in gevent's.

A watcher of gevent's own costs 1,500 instructions a round trip in user space: libev's bookkeeping, the interpreter's
lock, a look for signals, a call built from nothing. Here the hub is called once for a batch, and a loop in Python calls
whoever waits, which costs about half of that again. The sockets are watched edge-triggered: otherwise the kernel would
look at each of them once more, in vain, when it is next asked.

Edge-triggered, a socket is reported when something comes, not while something is left. So whoever reads all that it
asked for, or was told of more than data, must ask to be told `again`.
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
"""Called on the hub with the descriptor, and with READ, or anything else when there may be more than data. It must not
block or raise."""

READ = 1
"""EPOLLIN, and gevent's own word for it."""
_ANYTHING = 0
_BATCH = 64
"""Sockets read before everybody else on the hub gets a turn: the pacer's timer above all."""


class Poller(Protocol):
    """Tells of sockets that can be read, on the hub.

    Attributes:
        poll_once: tells of those of now, to somebody on the hub who does not want to go round for it, and returns
            whether there were any; None where only the hub knows.
    """

    poll_once: Callable[[], bool] | None

    def add(self, fd: int, readable: Readable) -> None:
        """Watch a socket from now on; what has come already counts."""

    def set_callback(self, fd: int, readable: Readable) -> None:
        """Somebody else is told of it from now on."""

    def rearm(self, fd: int) -> None:
        """Something may be left: tell of it once more, after the others."""

    def remove(self, fd: int) -> None:
        """Watch it no more; to be called before it is closed."""


def _ignore(fd: int, events: int) -> None:
    """Takes the place of whoever is gone, perhaps through one that was called just before in the same batch."""


class EpollPoller:
    """The one for Linux."""

    def __init__(self) -> None:
        # Locust has gevent take epoll out of the module, because its `poll` blocks. This one never does.
        self._epoll: select.epoll = get_original("select", "epoll")()
        # A hang-up and urgent data are asked for by name: either may end a read early, and no new edge may follow.
        self._events = select.EPOLLIN | select.EPOLLPRI | select.EPOLLRDHUP | select.EPOLLET
        self._callbacks: list[Readable] = []
        """By descriptor. A list, since with thousands of them a dict's entries are in no cache."""
        self._watcher = gevent.get_hub().loop.io(self._epoll.fileno(), READ)
        self._watcher.start(self._poll)
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

    def _poll(self) -> bool:
        # What is ready but did not fit stays ready: the hub calls again after whatever else it has to do.
        callbacks = self._callbacks
        ready = self._epoll.poll(0, _BATCH)
        for fd, events in ready:
            callbacks[fd](fd, events)
        return bool(ready)


class HubPoller:
    """The same with a watcher of the hub's for every socket, where there is no epoll. Level-triggered."""

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


_pollers: WeakKeyDictionary[Any, tuple[int, Poller]] = WeakKeyDictionary()


def hub_poller() -> Poller:
    """The poller of this hub. A forked process has its own: it would share an epoll with its parent."""
    hub, pid = gevent.get_hub(), os.getpid()
    known = _pollers.get(hub)
    if known is None or known[0] != pid:
        known = _pollers[hub] = (pid, EpollPoller() if hasattr(select, "EPOLLET") else HubPoller())
    return known[1]
