"""Tally: the counts of one interval in one process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from wsbench.measure.bucket_arrays import SparseBuckets
from wsbench.measure.delta import COUNTER, LOST, REJECTED, Groups, IntervalDelta, merge_counts
from wsbench.measure.histogram import Buckets, merge, merged, record
from wsbench.measure.phases import Interval
from wsbench.measure.series import LATENCY_SERIES, TALLY_COUNTS, service_of

_OPEN_LOOP = ("read_lag", "service", "response", "send_lag")
"""Series in which replies are counted."""
_CLOSED_LOOP = _OPEN_LOOP[:2]
"""In a closed loop, the other series follow from these."""


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
        external: counts that are kept elsewhere and belong to this tally, of messages of `size` bytes.
    """

    __slots__ = (
        *TALLY_COUNTS,
        *LATENCY_SERIES,
        "_closed_loop",
        "_emitted",
        "_named",
        "_size",
        "external",
        "extra_counts",
        "groups",
        "interval",
        "values",
    )

    def __init__(self, interval: Interval, *, size: int = 0, closed_loop: bool = True) -> None:
        self.interval = interval
        self._size = size
        self._closed_loop = closed_loop
        self.external: ExternalCounts | None = None
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
        self.count_external()
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

    def count_sent(self, payload_size: int, count: int = 1) -> None:
        """Count messages that were sent."""
        self.sent += count
        self.payload_sent += count * payload_size

    def count_reply(self, payload_size: int, due_ns: int, sent_ns: int, arrived_ns: int, handled_ns: int) -> None:
        """Count a reply and its latencies; instants are ns of CLOCK_REALTIME."""
        self.received += 1
        self.payload_received += payload_size
        if arrived_ns == handled_ns:
            self.user_stamped += 1
        record(self.service, arrived_ns - sent_ns)
        record(self.read_lag, handled_ns - arrived_ns)
        if not self._closed_loop:
            record(self.response, arrived_ns - due_ns)
            record(self.send_lag, sent_ns - due_ns)

    def count_external(self) -> None:
        """Take over the counts of messages, but for their latencies, from `external`."""
        if self.external is not None:
            sent, received, user_stamped = self.external.take_counts()
            self.count_sent(self._size, sent)
            self.received += received
            self.payload_received += received * self._size
            self.user_stamped += user_stamped

    def snapshot(self) -> Callable[[Callable[[], None]], IntervalDelta | None]:
        """Take the gains since the last call; return a function that builds their delta (None if there are none).

        Building takes a millisecond and calls its argument between steps; counts that arrive meanwhile belong to the
        next snapshot. In a closed loop a message is due when it is sent: `response` is `service`, `send_lag` is zero.
        """
        self.count_external()
        counts = self._gained()
        series = {**self.values, **{name: getattr(self, name) for name in LATENCY_SERIES}}
        if self._closed_loop:
            # Echoes have no recorded `send_lag`, a scenario's messages have.
            lags = (self.send_lag, *(trips.send_lag for trips in self._named.values()))
            at_once = counts.get("sent", 0) - sum(sum(lag.values()) for lag in lags)
            series["send_lag"] = merged([{0: at_once} if at_once else {}, self.send_lag])
        named, groups = self._named, self.groups
        names = _CLOSED_LOOP if self._closed_loop else _OPEN_LOOP
        external: list[SparseBuckets] = []
        if self.external is not None:
            external = self.external.take_buckets()
            for place, value_ns in self.external.take_outside():
                record(series[names[place]], value_ns)
        self.values, self.groups = {}, {}
        self.response, self.service, self.read_lag, self.send_lag = {}, {}, {}, {}
        self._named = {}

        def build(yield_control: Callable[[], None]) -> IntervalDelta | None:
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
