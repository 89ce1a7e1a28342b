"""Schedule of an open loop: due instants as a pure function of the rate, the arrivals, and the connection's index.

Constant arrivals lie on one grid for all connections of a run: connection `i` of `n` sends every `n / rate` seconds,
shifted by `i / n` of that. The grid's origin is the clock's, so workers on one machine share it without communication.
A connection that opens later has its own slots, so the total rate grows with the number of connections.

Due instants never move, even when they are missed. They are ns of the caller's clock.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Iterator
from typing import Generic, TypeVar

from wsbench.units import NS_PER_S

K = TypeVar("K")

Slots = Iterator[int]
"""Due instants of one connection, increasing, without end."""


def constant(period_ns: float, first_ns: int, passed: int = 0) -> Slots:
    """Yield `first_ns` and every `period_ns` another, without the first `passed` ones."""
    # Multiplied, not added up: rounding must not accumulate.
    return (first_ns + int(count * period_ns) for count in itertools.count(passed))


def poisson(period_ns: float, start_ns: int, rng: random.Random) -> Slots:
    """Yield instants after `start_ns` with exponentially distributed gaps of `period_ns` on average."""
    due = start_ns
    while True:
        due += max(1, round(rng.expovariate(1.0) * period_ns))
        yield due


def slots(
    *, rate: float, connections: int, index: int, now_ns: int, arrivals: str = "constant", seed: int = 0
) -> Slots:
    """Return the slots of connection `index` (0-based) out of `connections` that share `rate` messages a second.

    The first is at `now_ns` or later. It raises ValueError for less than a nanosecond between a connection's messages.
    """
    period = connections * NS_PER_S / rate
    if period < 1:
        raise ValueError(f"{rate:g} messages a second on {connections} connections cannot be scheduled in nanoseconds")
    if arrivals == "poisson":
        return poisson(period, now_ns, random.Random(seed * 1_000_003 + index))
    shift = int(index % connections * period / connections)
    passed = int(max(0, now_ns - shift) / period)
    return constant(period, next(due for due in constant(period, shift, passed) if due >= now_ns))


class Schedule(Generic[K]):
    """The slots of many connections, merged in order of time."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, K, Slots]] = []
        self._entries = 0
        self._gone: set[K] = set()

    def add(self, key: K, its_slots: Slots) -> None:
        """Add a connection."""
        self._entries += 1
        heapq.heappush(self._heap, (next(its_slots), self._entries, key, its_slots))

    def remove(self, key: K) -> None:
        """Remove a connection; its slots are dropped when they are due."""
        self._gone.add(key)

    def clear(self) -> None:
        """Remove all connections."""
        self._heap.clear()
        self._gone.clear()

    @property
    def next_due_ns(self) -> int | None:
        """The earliest instant not taken yet; None when there is none."""
        return self._heap[0][0] if self._heap else None

    def take(self, now_ns: int, limit: int) -> list[tuple[int, K]]:
        """Take up to `limit` slots due at `now_ns`, oldest first, and queue each connection's next slot."""
        heap, gone = self._heap, self._gone
        due: list[tuple[int, K]] = []
        while heap and len(due) < limit:
            instant, entry, key, its_slots = heap[0]
            if instant > now_ns:
                break
            if gone and key in gone:
                heapq.heappop(heap)
                gone.discard(key)
                continue
            due.append((instant, key))
            heapq.heapreplace(heap, (next(its_slots), entry, key, its_slots))
        return due
