"""Greenlets that open connections for drivers that have no greenlet of their own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import gevent


class Openers:
    """Calls functions that open a connection, in order, in at most `at_a_time` greenlets.

    A greenlet for each connection would take more memory while they wait than the connections do afterwards.
    """

    def __init__(self, at_a_time: int) -> None:
        self._at_a_time = at_a_time
        self._waiting: deque[Callable[[], None]] = deque()
        self._running = 0

    def append(self, opening: Callable[[], None]) -> None:
        """Call `opening` soon, after those that wait."""
        self._waiting.append(opening)
        self._start()

    def _start(self) -> None:
        if self._waiting and self._running < self._at_a_time:
            self._running += 1
            gevent.spawn(self._run)

    def _run(self) -> None:
        try:
            while self._waiting:
                self._waiting.popleft()()
        finally:  # an exception ends this greenlet, not the others' turn
            self._running -= 1
            self._start()
