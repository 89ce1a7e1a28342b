"""Overdue messages of all connections of a process: each connection is asked when its oldest message is overdue.

So a deadline is kept with one connection and with thousands. A message costs nothing, a connection one question per
timeout.
"""

from __future__ import annotations

import heapq
import itertools
import time

import gevent

from wsbench.units import NS_PER_S
from wsbench.worker.background import yield_control
from wsbench.worker.driver import Driver

_ASKED_AT_A_TIME = 200
"""More would keep the pacer from its work for too long."""
_SHORTEST_S, _LONGEST_S = 0.005, 0.1


class TimeoutSweep:
    """Lets drivers give up overdue messages, at most a twentieth of the timeout, or 0.1 s, after their deadline."""

    def __init__(self, timeout_ns: int) -> None:
        self._timeout_ns = timeout_ns
        self._pause_s = min(max(timeout_ns / NS_PER_S / 20, _SHORTEST_S), _LONGEST_S)
        self._asked_ns: dict[Driver, int] = {}
        """When each driver is asked next, of CLOCK_MONOTONIC: the clock of messages may be set."""
        self._heap: list[tuple[int, int, Driver]] = []
        """All of `_asked_ns`, and former values of it."""
        self._entries = itertools.count()
        self._sweep = gevent.spawn(self._run)

    def add(self, driver: Driver) -> None:
        """Add a driver: no message of it is overdue before a timeout has passed."""
        self._ask_in(driver, self._timeout_ns)

    def remove(self, driver: Driver) -> None:
        """Remove a driver."""
        self._asked_ns.pop(driver, None)

    def expect(self, driver: Driver, deadline_ns: int) -> None:
        """Note a deadline (of CLOCK_REALTIME) that may be earlier than a timeout from now."""
        delay_ns = deadline_ns - time.time_ns()
        if driver in self._asked_ns and time.monotonic_ns() + delay_ns < self._asked_ns[driver]:
            self._ask_in(driver, delay_ns)

    def stop(self) -> None:
        """Give up no more messages."""
        self._sweep.kill()

    def _ask_in(self, driver: Driver, delay_ns: int) -> None:
        instant = self._asked_ns[driver] = time.monotonic_ns() + min(delay_ns, self._timeout_ns)
        heapq.heappush(self._heap, (instant, next(self._entries), driver))

    def _run(self) -> None:
        while True:
            if self._ask_some():
                yield_control()
            else:
                gevent.sleep(self._pause_s)

    def _ask_some(self) -> bool:
        """Ask some of the drivers that may have overdue messages; return whether there are more."""
        heap, now = self._heap, time.monotonic_ns()
        for _ in range(_ASKED_AT_A_TIME):
            if not heap or heap[0][0] > now:
                return False
            instant, _, driver = heapq.heappop(heap)
            if self._asked_ns.get(driver) == instant:
                now_ns = time.time_ns()
                self._ask_in(driver, max(driver.expire(now_ns) - now_ns, 1))
        return True
