"""Tally: the counts of one interval in one process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import Struct
from typing import Protocol

import numpy as np

from wsbench.measure.bucket_arrays import DenseBuckets, SparseBuckets
from wsbench.measure.delta import COUNTER, LOST, REJECTED, Groups, IntervalDelta, merge_counts
from wsbench.measure.histogram import Buckets, merge, merged, record
from wsbench.measure.phases import Interval
from wsbench.measure.series import LATENCY_SERIES, TALLY_COUNTS, service_of
from wsbench.units import NS_PER_S

pack_reply = Struct("=16sqqq").pack
"""Pack an expected reply: arrival (the kernel's struct timespec), and when its message was due and sent and the reply
handled (ns of CLOCK_REALTIME)."""

_REPLY = np.dtype([(name, "=i8") for name in ("seconds", "nanoseconds", "due", "sent", "handled")])
_OPEN_LOOP = ("read_lag", "service", "response", "send_lag")
"""Series in which replies are counted."""
_CLOSED_LOOP = _OPEN_LOOP[:2]
"""In a closed loop, the other series follow from these."""
REPLY_BATCH = 512
"""Maximum of replies kept as separate objects: more would displace everything else from the processor's cache."""
_BATCHES_PER_COUNT = 8
"""Batches counted at once in a closed loop: in 0.1 ms; one by one they take several times that, because the counters
are cold each time. In an open loop a message may be due meanwhile: there, each batch is counted at once."""


class ExternalCounts(Protocol):
    """Counts of a tally that are kept elsewhere, of messages of the tally's size."""

    def take_counts(self) -> tuple[int, int, int]:
        """Return how many messages were sent, received, and received with a user timestamp since the last call."""

    def take_buckets(self) -> list[SparseBuckets]:
        """Return the distributions since the last call: all series of the loop, or none."""

    def take_outside(self) -> list[tuple[int, int]]:
        """Return values since the last call that a HdrHistogram cannot hold, each after the place of its series."""

    def close(self) -> None:
        """Release what is kept; nothing is counted any more."""


class RoundTrips:
    """Round trips of one name in one interval and process. They also count in the series of every run."""

    __slots__ = ("lost", "paced", "response", "send_lag", "service")

    def __init__(self) -> None:
        self.response: Buckets = {}
        self.service: Buckets = {}
        self.send_lag: Buckets = {}
        self.lost = 0
        self.paced = False

    def sent(self, due_ns: int, sent_ns: int) -> None:
        """Count a sent message."""
        self.paced |= due_ns != sent_ns
        record(self.send_lag, sent_ns - due_ns)

    def replied(self, due_ns: int, sent_ns: int, arrived_ns: int) -> None:
        """Count a reply."""
        record(self.response, arrived_ns - due_ns)
        record(self.service, arrived_ns - sent_ns)


class Tally:
    """Counts of one interval in one process. Hot paths add to its attributes directly.

    Attributes:
        replies: uncounted replies of `size` bytes each, packed by `pack_reply`. Call `flush_batch` when there are
            `REPLY_BATCH`. They include the `send_lag` of an open loop; for a lost message, record it separately.
        uncounted_sends: messages of `size` bytes that were sent and are not counted yet.
        external: counts that are kept elsewhere and belong to this tally.
    """

    __slots__ = (
        *TALLY_COUNTS,
        *LATENCY_SERIES,
        "_batches",
        "_closed_loop",
        "_counted",
        "_emitted",
        "_named",
        "_size",
        "external",
        "extra_counts",
        "groups",
        "interval",
        "replies",
        "uncounted_sends",
        "values",
    )

    def __init__(self, interval: Interval, *, size: int = 0, closed_loop: bool = True) -> None:
        self.interval = interval
        self._size = size
        self._closed_loop = closed_loop
        self.replies: list[bytes] = []
        self._batches: list[bytes] = []
        self._counted: DenseBuckets | None = None
        self.external: ExternalCounts | None = None
        self.uncounted_sends = 0
        self.sent = self.received = self.lost = self.missed = self.late = self.one_way = self.pushed = 0
        self.duplicated = self.reordered = self.corrupted = self.rejected = self.unexpected = 0
        self.payload_sent = self.payload_received = self.user_stamped = 0
        self.send_lag: Buckets = {}
        self.response: Buckets = {}
        self.service: Buckets = {}
        self.read_lag: Buckets = {}
        self.values: dict[str, Buckets] = {}
        self.groups: dict[str, Groups] = {}
        self.extra_counts: dict[str, int] = {}
        self._named: dict[str, RoundTrips] = {}
        self._emitted = dict.fromkeys(TALLY_COUNTS, 0)

    @property
    def settled(self) -> bool:
        """Whether no message of the interval is in flight."""
        self.count_replies()
        return self.sent - self.one_way == self.received - self.pushed + self.lost

    def round_trips(self, name: str) -> RoundTrips:
        """Return the round trips of a name that the scenario chose."""
        if name not in self._named:
            self._named[name] = RoundTrips()
        return self._named[name]

    def value(self, name: str, value_ns: int) -> None:
        """Record a duration that is no round trip in the series `name`."""
        record(self.values.setdefault(name, {}), value_ns)

    def unanswered(self, name: str) -> None:
        """Count an awaited message that did not arrive, in the custom series `name`."""
        self.extra_counts[LOST + name] = self.extra_counts.get(LOST + name, 0) + 1

    def reject(self, name: str) -> None:
        """Count a reply in the custom series `name` that the scenario found wrong."""
        self.corrupted += 1
        self.rejected += 1
        self.extra_counts[REJECTED + name] = self.extra_counts.get(REJECTED + name, 0) + 1

    def grouped(self, name: str, key: int | str, value_ns: int) -> None:
        """Record a duration in the group `key`, which may have values in other processes too."""
        record(self.groups.setdefault(name, {}).setdefault(key, {}), value_ns)

    def count(self, name: str, count: int) -> None:
        """Add to a counter of the scenario."""
        self.extra_counts[COUNTER + name] = self.extra_counts.get(COUNTER + name, 0) + count

    def flush_batch(self) -> None:
        """Move `replies` to a batch, and count the batches if there are enough.

        Counting replies one by one, in Python, took a fifth of a round trip.
        """
        self._batches.append(b"".join(self.replies))
        self.replies.clear()
        if not self._closed_loop or len(self._batches) >= _BATCHES_PER_COUNT:
            self.count_replies()

    def count_replies(self) -> None:
        """Count `replies`, batches and `uncounted_sends`, and clear them; take over `external` counts."""
        if self.external is not None:
            sent, received, user_stamped = self.external.take_counts()
            self.uncounted_sends += sent
            self.received += received
            self.payload_received += received * self._size
            self.user_stamped += user_stamped
        self.sent += self.uncounted_sends
        self.payload_sent += self.uncounted_sends * self._size
        self.uncounted_sends = 0
        if not self.replies and not self._batches:
            return
        replies = np.frombuffer(b"".join([*self._batches, *self.replies]), _REPLY)
        self._batches.clear()
        self.replies.clear()
        arrived = replies["seconds"] * NS_PER_S + replies["nanoseconds"]
        series = _CLOSED_LOOP if self._closed_loop else _OPEN_LOOP
        values = np.empty((len(series), replies.size), np.int64)
        np.subtract(replies["handled"], arrived, out=values[0])
        np.subtract(arrived, replies["sent"], out=values[1])
        if not self._closed_loop:
            np.subtract(arrived, replies["due"], out=values[2])
            np.subtract(replies["sent"], replies["due"], out=values[3])
        if self._counted is None:
            self._counted = DenseBuckets(len(series))
        self._counted.record(values)
        self.received += replies.size
        self.payload_received += replies.size * self._size
        self.user_stamped += replies.size - int(np.count_nonzero(values[0]))

    def snapshot(self) -> Callable[[Callable[[], None]], IntervalDelta | None]:
        """Take the gains since the last call; return a function that builds their delta (None if there are none).

        Building takes a millisecond and calls its argument between steps; counts that arrive meanwhile belong to the
        next snapshot. In a closed loop a message is due when it is sent: `response` is `service`, `send_lag` is zero.
        """
        self.count_replies()
        counts = self._gained()
        series = {**self.values, **{name: getattr(self, name) for name in LATENCY_SERIES}}
        if self._closed_loop:
            # Echoes have no recorded `send_lag`, a scenario's messages have.
            lags = (self.send_lag, *(trips.send_lag for trips in self._named.values()))
            at_once = counts.get("sent", 0) - sum(sum(lag.values()) for lag in lags)
            series["send_lag"] = merged([{0: at_once} if at_once else {}, self.send_lag])
        counted, named, groups = self._counted, self._named, self.groups
        names = _CLOSED_LOOP if self._closed_loop else _OPEN_LOOP
        external: list[SparseBuckets] = []
        if self.external is not None:
            external = self.external.take_buckets()
            for place, value_ns in self.external.take_outside():
                record(series[names[place]], value_ns)
        self.values, self.groups = {}, {}
        self.response, self.service, self.read_lag, self.send_lag = {}, {}, {}, {}
        self._counted, self._named = None, {}

        def build(yield_control: Callable[[], None]) -> IntervalDelta | None:
            if counted is not None:
                for place, name in enumerate(names):
                    merge(series[name], counted.buckets(place))
                    yield_control()
            for name, distribution in zip(names, external, strict=False):
                merge(series[name], distribution.buckets())
                yield_control()
            if self._closed_loop:
                series["response"] = dict(series["service"])
            _add_named(named, series, counts)
            filled = {name: buckets for name, buckets in series.items() if buckets}
            if not counts and not filled and not groups:
                return None
            return IntervalDelta(str(self.interval.phase), self.interval.start_ns, counts, filled, groups)

        return build

    def close(self) -> None:
        """Release external counts, of which a snapshot has been taken: the tally gains no more."""
        if self.external is not None:
            self.external.close()
            self.external = None

    def _gained(self) -> dict[str, int]:
        total = {name: getattr(self, name) for name in TALLY_COUNTS}
        counts = {name: count - self._emitted[name] for name, count in total.items() if count != self._emitted[name]}
        merge_counts(counts, self.extra_counts)
        self._emitted, self.extra_counts = total, {}
        return counts


def _add_named(named: Mapping[str, RoundTrips], series: dict[str, Buckets], counts: dict[str, int]) -> None:
    for name, trips in named.items():
        merge(series["response"], trips.response)
        merge(series["service"], trips.service)
        merge(series["send_lag"], trips.send_lag)
        series[name] = trips.response
        if trips.paced:
            series[service_of(name)] = trips.service
        if trips.lost:
            counts[LOST + name] = trips.lost
