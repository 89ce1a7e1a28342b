"""How many connections are opened at a time, and what makes way for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
from gevent.lock import BoundedSemaphore

_PATIENCE_S = 1.0


class Handshakes:
    """Lets so many handshakes be under way at a time, and says when others wait for their turn.

    More would stall the pacer and overflow the server's listen queue. But a server that is kept busy by messages takes
    seconds for a handshake, and so the few that may be under way would make a ramp of thousands last for minutes.

    Args:
        crowded: called with True when some have to wait, and with False when nobody waits any more, or when for a
            second none that was under way has succeeded: then it is not messages that they wait for.
    """

    def __init__(self, at_a_time: int, crowded: Callable[[bool], object], *, patience_s: float = _PATIENCE_S) -> None:
        self._slots = BoundedSemaphore(at_a_time)
        self._crowded = crowded
        self._patience_s = patience_s
        self._waiting = 0
        self._succeeded = 0
        self._told = False
        self._watching: gevent.Greenlet | None = None

    @contextmanager
    def turn(self) -> Iterator[None]:
        """For one handshake; it blocks until there is room for it."""
        if self._slots.locked():
            self._wait()
        else:
            self._slots.acquire()
        try:
            yield
            self._succeeded += 1
        finally:
            self._slots.release()

    def _wait(self) -> None:
        self._waiting += 1
        if self._waiting == 1:
            self._tell(True)
            self._watching = gevent.spawn(self._watch)
        try:
            self._slots.acquire()
        finally:
            self._waiting -= 1
            if not self._waiting:
                # Those who wait next have their own patience.
                assert self._watching is not None
                self._watching.kill(block=False)
                self._watching = None
                self._tell(False)

    def _watch(self) -> None:
        while True:
            before = self._succeeded
            gevent.sleep(self._patience_s)
            self._tell(self._succeeded > before)

    def _tell(self, crowded: bool) -> None:
        if crowded is not self._told:
            self._told = crowded
            self._crowded(crowded)
