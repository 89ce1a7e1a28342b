"""Schedule of an open loop: due instants as a pure function of the rate, the arrivals, and the connection's index.

Constant arrivals lie on one grid for all connections of a run: connection `i` of `n` sends every `n / rate` seconds,
shifted by `i / n` of that. The grid's origin is the clock's, so workers on one machine share it without communication.
A connection that opens later has its own slots, so the total rate grows with the number of connections.

Due instants never move, even when they are missed. They are ns of the caller's clock.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from numpy.random import default_rng

from wsbench.units import NS_PER_S

K = TypeVar("K")


class Slots(ABC):
    """Due instants of one connection, increasing, without end."""

    @abstractmethod
    def __iter__(self) -> Iterator[int]:
        """Iterate over the slots, from the first one on."""

    @abstractmethod
    def skip(self, due_ns: int, until_ns: int) -> tuple[int, Iterator[int]]:
        """Return the number of slots from `due_ns`, which is one, until before `until_ns`, and the slots from there on.

        It takes the same time for any number of slots.
        """


@dataclass(frozen=True)
class Constant(Slots):
    """`first_ns`, and another slot every `period_ns`."""

    period_ns: float
    first_ns: int

    def __iter__(self) -> Iterator[int]:
        return self._after(0)

    def skip(self, due_ns: int, until_ns: int) -> tuple[int, Iterator[int]]:
        passed = self._before(until_ns)
        return passed - self._before(due_ns), self._after(passed)

    def onwards(self, instant_ns: int) -> Iterator[int]:
        """Iterate over the slots at `instant_ns` and later."""
        return self._after(self._before(instant_ns))

    def _after(self, passed: int) -> Iterator[int]:
        """Iterate over the slots without the first `passed` ones."""
        first, period = self.first_ns, self.period_ns
        # Multiplied, not added up: rounding must not accumulate.
        return (first + int(count * period) for count in itertools.count(passed))

    def _before(self, instant_ns: int) -> int:
        """Return the number of slots before an instant."""
        # The quotient is rounded, as the slots are: begin below it.
        passed = max(0, math.floor((instant_ns - self.first_ns) / self.period_ns) - 1)
        return next(passed + n for n, due in enumerate(self._after(passed)) if due >= instant_ns)


@dataclass(frozen=True)
class Poisson(Slots):
    """Slots after `start_ns` with exponentially distributed gaps of `period_ns` on average."""

    period_ns: float
    start_ns: int
    rng: random.Random

    def __iter__(self) -> Iterator[int]:
        return self._after(self.start_ns)

    def skip(self, due_ns: int, until_ns: int) -> tuple[int, Iterator[int]]:
        # The process has no memory: a number is drawn in place of the slots.
        mean = (until_ns - due_ns) / self.period_ns
        return 1 + int(default_rng(self.rng.getrandbits(64)).poisson(mean)), self._after(until_ns)

    def _after(self, instant_ns: int) -> Iterator[int]:
        due, period, draw = instant_ns, self.period_ns, self.rng.expovariate
        while True:
            due += max(1, round(draw(1.0) * period))
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
        return Poisson(period, now_ns, random.Random(seed * 1_000_003 + index))
    grid = Constant(period, int(index % connections * period / connections))
    return Constant(period, next(grid.onwards(now_ns)))


class Schedule(Generic[K]):
    """The slots of many connections, merged in order of time."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, K, Iterator[int], Slots]] = []
        self._entries = 0
        self._gone: set[K] = set()

    def add(self, key: K, its_slots: Slots) -> None:
        """Add a connection."""
        self._entries += 1
        upcoming = iter(its_slots)
        heapq.heappush(self._heap, (next(upcoming), self._entries, key, upcoming, its_slots))

    def replace(self, slots_of: Mapping[K, Slots]) -> None:
        """Give connections other slots in place of all that they have."""
        self._heap[:] = [entry for entry in self._heap if entry[2] not in slots_of]
        heapq.heapify(self._heap)
        for key, its_slots in slots_of.items():
            self.add(key, its_slots)

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
            instant, entry, key, upcoming, its_slots = heap[0]
            if instant > now_ns:
                break
            if gone and key in gone:
                heapq.heappop(heap)
                gone.discard(key)
                continue
            due.append((instant, key))
            heapq.heapreplace(heap, (next(upcoming), entry, key, upcoming, its_slots))
        return due

    def skip(self, until_ns: int, end_of: Callable[[int], int]) -> Iterator[tuple[int, K, int]]:
        """Skip all slots before `until_ns`: yield the first of some of a connection, its key, and their number.

        They lie in one interval: `end_of` returns the end of the interval of an instant. The cost is that of intervals
        and connections, not of slots.
        """
        heap, gone = self._heap, self._gone
        while heap and heap[0][0] < until_ns:
            instant, entry, key, _, its_slots = heap[0]
            if key in gone:
                heapq.heappop(heap)
                gone.discard(key)
                continue
            count, upcoming = its_slots.skip(instant, min(until_ns, end_of(instant)))
            heapq.heapreplace(heap, (next(upcoming), entry, key, upcoming, its_slots))
            yield instant, key, count
