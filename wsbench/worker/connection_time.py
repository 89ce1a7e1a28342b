"""The connection time of one process: how long its connections were open, and how long they were away.

A connection is wanted from the outcome of its first attempt until its user closes it or the drain begins. A wanted
connection that is not open is away: dropped and not open again, or never opened.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable

from wsbench.worker.driver import Driver

_OUTAGES_KEPT = 100
"""A report holds the longest ones: a server that drops everything ten times a second must not fill the memory."""


class ConnectionTime:
    """Sums of connection time, which change only where a connection opens or ends. Instants are of CLOCK_MONOTONIC."""

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self._counted_ns = clock()
        self._open = 0
        self._open_ns = 0
        self._away_ns = 0
        self._dropped: dict[Driver, int] = {}
        self._unopened: set[Driver] = set()
        self._outage_since: int | None = None
        self._outages: list[tuple[int, int, int]] = []
        self._began = False
        self._ended = False

    def totals(self) -> dict[str, int]:
        """Return running totals for the intervals; `connections_wanted` rises and falls."""
        self._count()
        return {
            "open_ns": self._open_ns,
            "away_ns": self._away_ns,
            "connections_wanted": self._open + self._away,
        }

    def outages(self) -> list[tuple[int, int]]:
        """Return the longest spans in which connections were away and none was open, the present one included."""
        spans = [(start, end) for _, start, end in self._outages]
        return sorted(spans if self._outage_since is None else [*spans, (self._outage_since, self._clock())])

    def opened(self, driver: Driver) -> int | None:
        """Record that a connection is open; return how long it was away if it had been dropped."""
        now = self._count()
        self._open += 1
        self._began = True
        dropped_ns = self._dropped.pop(driver, None)
        self._watch(now)
        return None if dropped_ns is None else now - dropped_ns

    def failed(self, driver: Driver) -> None:
        """Record that the first attempt to open a connection failed."""
        now = self._count()
        if not self._ended:
            self._unopened.add(driver)
            self._watch(now)

    def dropped(self, driver: Driver) -> None:
        """Record that a connection ended without our closing it."""
        now = self._count()
        self._open -= 1
        if not self._ended:
            self._dropped[driver] = now
            self._watch(now)

    def closed(self) -> None:
        """Record that an open connection was closed on purpose."""
        now = self._count()
        self._open -= 1
        self._watch(now)

    def released(self, driver: Driver) -> None:
        """Record that a connection which may be away is not wanted any more."""
        now = self._count()
        self._dropped.pop(driver, None)
        self._unopened.discard(driver)
        self._watch(now)

    def end(self) -> int:
        """Stop counting; return how many dropped connections have not come back."""
        now, never_back = self._count(), len(self._dropped)
        self._dropped.clear()
        self._unopened.clear()
        self._watch(now)
        self._ended = True
        return never_back

    @property
    def _away(self) -> int:
        return len(self._dropped) + len(self._unopened)

    def _count(self) -> int:
        """Add the time since the last change to the sums; return the present instant."""
        now = self._clock()
        if not self._ended:
            self._open_ns += self._open * (now - self._counted_ns)
            self._away_ns += self._away * (now - self._counted_ns)
            self._counted_ns = now
        return now

    def _watch(self, now: int) -> None:
        """Begin or end a span without any open connection. Before the first one is open, there is none."""
        out = self._began and self._open == 0 and self._away > 0
        if out and self._outage_since is None:
            self._outage_since = now
        elif not out and self._outage_since is not None:
            keep = heapq.heappush if len(self._outages) < _OUTAGES_KEPT else heapq.heappushpop
            keep(self._outages, (now - self._outage_since, self._outage_since, now))
            self._outage_since = None
