"""Counting what happens: per interval and phase in one process, and the sum of that over processes.

A `Tally` is one interval in one process. Every message remembers the tally of the interval in which it was due, so
what becomes of it (a reply, a loss) is counted there, whenever it happens. A `Recorder` opens tallies as time goes on
and hands out what they gained since it was last asked (`IntervalDelta`). Deltas only ever add up: the order in which
they arrive, and who adds them, makes no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from wsbench.measure.histogram import Buckets, merge, record
from wsbench.measure.phases import Interval, Phase, Plan

MESSAGE_COUNTS = (
    "sent",
    "received",
    "lost",
    "missed",
    "late",
    "duplicated",
    "reordered",
    "corrupted",
    "unexpected",
)
TALLY_COUNTS = (*MESSAGE_COUNTS, "payload_sent", "payload_received", "user_stamped")
LATENCY_SERIES = ("response", "service", "send_lag", "read_lag")
CONNECT_SERIES = ("connect", "tcp", "tls", "upgrade")
SERIES = (*LATENCY_SERIES, *CONNECT_SERIES)


class IntervalDelta(msgspec.Struct):
    """What one interval of one phase gained. `series` maps a name to bucket counts."""

    phase: str
    start_ns: int
    counts: dict[str, int] = {}
    series: dict[str, Buckets] = {}

    def add(self, other: IntervalDelta) -> None:
        """Add another delta of the same interval."""
        merge_counts(self.counts, other.counts)
        for name, buckets in other.series.items():
            known = self.series.get(name, {})
            # Copying takes a hundredth of the time that adding takes: what is added is the smaller one.
            larger, smaller = (dict(buckets), known) if len(buckets) > len(known) else (known, buckets)
            merge(larger, smaller)
            self.series[name] = larger


def merge_counts(into: dict[str, int], other: Mapping[str, int]) -> None:
    """Add `other` to `into`, name by name."""
    for name, count in other.items():
        into[name] = into.get(name, 0) + count


class Tally:
    """Counts of one interval in one process. Hot paths add to its attributes directly."""

    __slots__ = (
        "_emitted",
        "connect",
        "corrupted",
        "duplicated",
        "extra",
        "interval",
        "late",
        "lost",
        "missed",
        "payload_received",
        "payload_sent",
        "read_lag",
        "received",
        "reordered",
        "response",
        "send_lag",
        "sent",
        "service",
        "unexpected",
        "user_stamped",
    )

    def __init__(self, interval: Interval) -> None:
        self.interval = interval
        self.sent = self.received = self.lost = self.missed = self.late = 0
        self.duplicated = self.reordered = self.corrupted = self.unexpected = 0
        self.payload_sent = self.payload_received = self.user_stamped = 0
        self.response: Buckets = {}
        self.service: Buckets = {}
        self.send_lag: Buckets = {}
        self.read_lag: Buckets = {}
        self.connect: dict[str, Buckets] = {}
        self.extra: dict[str, int] = {}
        self._emitted = dict.fromkeys(TALLY_COUNTS, 0)

    @property
    def settled(self) -> bool:
        """Whether nothing that was sent in it is still under way."""
        return self.sent == self.received + self.lost

    def take(self, *, closed_loop: bool) -> IntervalDelta | None:
        """What it gained since the last call; None for nothing.

        In a closed loop a message is due when it is sent: `response` is `service`, and `send_lag` is zero.
        """
        counts = {}
        for name in TALLY_COUNTS:
            value = getattr(self, name)
            gained = value - self._emitted[name]
            if gained:
                counts[name] = gained
                self._emitted[name] = value
        for name, value in self.extra.items():
            counts[name] = counts.get(name, 0) + value
        series = {**self.connect, "service": self.service, "read_lag": self.read_lag}
        if closed_loop:
            series["response"] = dict(self.service)
            series["send_lag"] = {0: counts["sent"]} if "sent" in counts else {}
        else:
            series["response"], series["send_lag"] = self.response, self.send_lag
        self.extra, self.connect = {}, {}
        self.response, self.service, self.send_lag, self.read_lag = {}, {}, {}, {}
        series = {name: buckets for name, buckets in series.items() if buckets}
        if not counts and not series:
            return None
        return IntervalDelta(str(self.interval.phase), self.interval.start_ns, counts, series)


class Recorder:
    """The tallies of one process.

    Attributes:
        current: the tally of now; whoever sends must `turn` first when its message is due at `boundary_ns` or later.
        sending: whether messages are sent at all: not in the drain phase.
    """

    def __init__(self, plan: Plan, now_ns: int, *, closed_loop: bool, sample: Callable[[], Mapping[str, int]]) -> None:
        """`sample` returns running totals of the process (CPU, bytes on the wire); each interval gets its share."""
        self._plan = plan
        self._closed_loop = closed_loop
        self._sample = sample
        self._last_sample = {**sample(), "replied": 0}
        self._live: list[Tally] = []
        self._retired_received = 0
        self.current = self._open(plan.interval_at(now_ns))
        self.boundary_ns = self.current.interval.end_ns
        self.sending = self.current.interval.phase is not Phase.DRAIN

    @property
    def plan(self) -> Plan:
        """The phases as known."""
        return self._plan

    def set_plan(self, plan: Plan, now_ns: int) -> None:
        """The phases as known now."""
        self._plan = plan
        self.turn(now_ns)

    def turn(self, now_ns: int) -> Tally:
        """Close the current interval if `now_ns` lies behind it; the tally of `now_ns`."""
        interval = self._plan.interval_at(now_ns)
        self.boundary_ns = interval.end_ns
        if interval[:2] != self.current.interval[:2]:
            self._share_sample()
            self.current = self._open(interval)
            self.sending = interval.phase is not Phase.DRAIN
        return self.current

    def at(self, due_ns: int) -> Tally:
        """The tally of an instant that may lie in an interval already closed."""
        key = self._plan.interval_at(due_ns)[:2]
        for tally in reversed(self._live):
            if tally.interval[:2] == key:
                return tally
        return self._open(self._plan.interval_at(due_ns))

    def connected(self, durations_ns: Mapping[str, int]) -> None:
        """Count an opened connection's durations, by series."""
        for name, value in durations_ns.items():
            record(self.current.connect.setdefault(name, {}), value)

    def take(self) -> list[IntervalDelta]:
        """What was gained since the last call, and forget intervals that can gain no more."""
        self._share_sample()
        deltas = [delta for tally in self._live if (delta := tally.take(closed_loop=self._closed_loop))]
        finished = [tally for tally in self._live if tally.settled and tally is not self.current]
        self._retired_received += sum(tally.received for tally in finished)
        self._live = [tally for tally in self._live if tally not in finished]
        return deltas

    def _open(self, interval: Interval) -> Tally:
        tally = Tally(interval)
        self._live.append(tally)
        return tally

    def _share_sample(self) -> None:
        # `replied`: by when a reply was handled. The tallies count it by when its message was due.
        replied = self._retired_received + sum(tally.received for tally in self._live)
        sample = {**self._sample(), "replied": replied}
        extra = self.current.extra
        for name, value in sample.items():
            extra[name] = extra.get(name, 0) + value - self._last_sample.get(name, 0)
        self._last_sample = sample


class Totals:
    """Deltas of any number of processes, added up by interval."""

    def __init__(self) -> None:
        self._intervals: dict[tuple[str, int], IntervalDelta] = {}
        self._counts: dict[str, dict[str, int]] = {}

    def add(self, deltas: Iterable[IntervalDelta]) -> None:
        """Add deltas. Each must be added once; in which order does not matter."""
        for delta in deltas:
            key = (delta.phase, delta.start_ns)
            known = self._intervals.get(key)
            if known is None:
                known = self._intervals[key] = IntervalDelta(*key, {}, {})
            known.add(delta)
            # Kept along, because progress asks for them every second of a run that may last a day.
            merge_counts(self._counts.setdefault(delta.phase, {}), delta.counts)

    def intervals(self, phase: Phase | None = None) -> list[IntervalDelta]:
        """The intervals of one phase, or of all, in order of time."""
        chosen = (i for i in self._intervals.values() if phase is None or i.phase == phase)
        return sorted(chosen, key=lambda interval: interval.start_ns)

    def counts(self, phase: Phase | None = None) -> dict[str, int]:
        """Counts summed over one phase, or over all."""
        total: dict[str, int] = dict.fromkeys(TALLY_COUNTS, 0)
        for name, counts in self._counts.items():
            if phase is None or name == phase:
                merge_counts(total, counts)
        return total

    def series(self, name: str, phase: Phase | None = None) -> Buckets:
        """One series summed over one phase, or over all."""
        total: Buckets = {}
        for interval in self.intervals(phase):
            merge(total, interval.series.get(name, {}))
        return total
