"""Counting what happens: per interval and phase in one process, and the sum of that over processes.

A `Tally` is one interval in one process. Every message remembers the tally of the interval in which it was due, so
what becomes of it (a reply, a loss) is counted there, whenever it happens. A `Recorder` opens tallies as time goes on
and hands out what they gained since it was last asked (`IntervalDelta`). Deltas only ever add up: the order in which
they arrive, and who adds them, makes no difference.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from struct import Struct

import msgspec
import numpy as np

from wsbench.measure.histogram import Buckets, DenseBuckets, merge, merged, percentile, record
from wsbench.measure.phases import Interval, Phase, Plan
from wsbench.units import NS_PER_S

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
    "one_way",
    "pushed",
)
TALLY_COUNTS = (*MESSAGE_COUNTS, "payload_sent", "payload_received", "user_stamped")
LATENCY_SERIES = ("response", "service", "send_lag", "read_lag")
CONNECT_SERIES = ("connect", "tcp", "tls", "upgrade")
SERIES = (*LATENCY_SERIES, *CONNECT_SERIES)
"""Every run has these. Any other series is one that its scenario named."""

Groups = dict[int, Buckets]
"""Values that belong together, by what they have in common: the deliveries of one message to many receivers, say."""

_OF_GROUP = {"first": 0.0, "median": 50.0, "last": 100.0}
"""Which of a group's values make a series, by percentile."""
_LOST, _COUNTER = "lost:", "counter:"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}")


@functools.cache
def check_name(name: str) -> str:
    """The name of a series or counter of a scenario's own: part of a file's name, and of a tag in latency.hlog.

    Raises:
        ValueError: it cannot be one, or it is taken.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot name what is measured: use letters, digits and _.+-, at most 64 of them")
    if name in SERIES:
        raise ValueError(f"{name!r} is the name of a series that every run has: use another")
    return name


def _place(name: str) -> tuple[str, int]:
    stem, dot, part = name.rpartition(".")
    return (stem, list(_OF_GROUP).index(part)) if dot and part in _OF_GROUP else (name, -1)


class IntervalDelta(msgspec.Struct):
    """What one interval of one phase gained. `series` maps a name to bucket counts.

    `groups` holds values that make sense only together, and only when those of all processes are there.
    """

    phase: str
    start_ns: int
    counts: dict[str, int] = {}
    series: dict[str, Buckets] = {}
    groups: dict[str, Groups] = {}

    def add(self, other: IntervalDelta) -> None:
        """Add another delta of the same interval."""
        merge_counts(self.counts, other.counts)
        for name, buckets in other.series.items():
            known = self.series.get(name, {})
            # Copying takes a hundredth of the time that adding takes: what is added is the smaller one.
            larger, smaller = (dict(buckets), known) if len(buckets) > len(known) else (known, buckets)
            merge(larger, smaller)
            self.series[name] = larger
        for name, groups in other.groups.items():
            known_groups = self.groups.setdefault(name, {})
            for key, buckets in groups.items():
                merge(known_groups.setdefault(key, {}), buckets)

    def names_lost(self) -> list[str]:
        """The series of which something was lost."""
        return [name.removeprefix(_LOST) for name in self.counts if name.startswith(_LOST)]

    def settle_groups(self) -> None:
        """Of each group its first, median and last value, as three series; the groups are forgotten."""
        for name, groups in self.groups.items():
            parts = [self.series.setdefault(f"{name}.{part}", {}) for part in _OF_GROUP]
            for buckets in groups.values():
                for part, percent in zip(parts, _OF_GROUP.values(), strict=True):
                    value = percentile(buckets, percent)
                    assert value is not None
                    record(part, value)
        self.groups = {}


def lost_under(name: str, counts: Mapping[str, int]) -> int:
    """How many values a series of the scenario's own lacks, because what was waited for did not come."""
    return counts.get(_LOST + name, 0)


def merge_counts(into: dict[str, int], other: Mapping[str, int]) -> None:
    """Add `other` to `into`, name by name."""
    for name, count in other.items():
        into[name] = into.get(name, 0) + count


class RoundTrips:
    """Round trips of one name in one interval and process. They are in the run's own series too."""

    __slots__ = ("lost", "paced", "response", "send_lag", "service")

    def __init__(self) -> None:
        self.response: Buckets = {}
        self.service: Buckets = {}
        self.send_lag: Buckets = {}
        self.lost = 0
        self.paced = False

    def sent(self, due_ns: int, sent_ns: int) -> None:
        """One was sent."""
        self.paced |= due_ns != sent_ns
        record(self.send_lag, sent_ns - due_ns)

    def replied(self, due_ns: int, sent_ns: int, arrived_ns: int) -> None:
        """One was answered."""
        record(self.response, arrived_ns - due_ns)
        record(self.service, arrived_ns - sent_ns)


pack_reply = Struct("=16sqqq").pack
"""A reply as it should be: its arrival (the kernel's struct timespec), when its message was due and sent, and when it
was handled (ns). All of CLOCK_REALTIME."""

_REPLY = np.dtype([(name, "=i8") for name in ("seconds", "nanoseconds", "due", "sent", "handled")])
_OPEN_LOOP = ("read_lag", "service", "response", "send_lag")
"""The series that replies are counted in."""
_CLOSED_LOOP = _OPEN_LOOP[:2]
"""In a closed loop the others follow from these."""
LOOSE_MOST = 512
"""Replies as objects of their own: more would crowd everything else out of the processor's cache."""
_LOTS_MOST = 8
"""In a closed loop so many lots of them are counted at once: in 0.1 ms, where one by one would take several times that,
because the counters are cold each time. In an open loop a message may be due meanwhile: there it is one."""


class Tally:
    """Counts of one interval in one process. Hot paths add to its attributes directly.

    Attributes:
        replies: those still to be counted, of `size` bytes each, as `pack_reply` makes them; whoever adds to them is
            to call `gather_replies` when there are `LOOSE_MOST`. What is counted with them includes the `send_lag` of
            an open loop: whoever takes a message for lost counts that himself.
        echoes: messages of `size` bytes that were sent and are still to be counted.
    """

    __slots__ = (
        "_closed_loop",
        "_counted",
        "_emitted",
        "_lots",
        "_named",
        "_size",
        "corrupted",
        "duplicated",
        "echoes",
        "extra",
        "groups",
        "interval",
        "late",
        "lost",
        "missed",
        "one_way",
        "payload_received",
        "payload_sent",
        "pushed",
        "read_lag",
        "received",
        "reordered",
        "replies",
        "response",
        "send_lag",
        "sent",
        "service",
        "unexpected",
        "user_stamped",
        "values",
    )

    def __init__(self, interval: Interval, *, size: int = 0, closed_loop: bool = True) -> None:
        self.interval = interval
        self._size = size
        self._closed_loop = closed_loop
        self.replies: list[bytes] = []
        self._lots: list[bytes] = []
        self._counted: DenseBuckets | None = None
        self.echoes = 0
        self.sent = self.received = self.lost = self.missed = self.late = self.one_way = self.pushed = 0
        self.duplicated = self.reordered = self.corrupted = self.unexpected = 0
        self.payload_sent = self.payload_received = self.user_stamped = 0
        self.send_lag: Buckets = {}
        self.response: Buckets = {}
        self.service: Buckets = {}
        self.read_lag: Buckets = {}
        self.values: dict[str, Buckets] = {}
        self.groups: dict[str, Groups] = {}
        self.extra: dict[str, int] = {}
        self._named: dict[str, RoundTrips] = {}
        self._emitted = dict.fromkeys(TALLY_COUNTS, 0)

    @property
    def settled(self) -> bool:
        """Whether nothing that was sent in it is still under way."""
        self.count_replies()
        return self.sent - self.one_way == self.received - self.pushed + self.lost

    def round_trips(self, name: str) -> RoundTrips:
        """Those of a scenario's own name."""
        named = self._named.get(name)
        if named is None:
            named = self._named[name] = RoundTrips()
        return named

    def value(self, name: str, value_ns: int) -> None:
        """Count a duration that is no round trip, in a series of its own."""
        record(self.values.setdefault(name, {}), value_ns)

    def unanswered(self, name: str) -> None:
        """Count something that was waited for under a name of a scenario's own, and did not come."""
        self.extra[_LOST + name] = self.extra.get(_LOST + name, 0) + 1

    def grouped(self, name: str, key: int, value_ns: int) -> None:
        """Count a duration that belongs with others of the same key, here and in other processes."""
        record(self.groups.setdefault(name, {}).setdefault(key, {}), value_ns)

    def count(self, name: str, count: int) -> None:
        """Add to a counter of a scenario's own."""
        self.extra[_COUNTER + name] = self.extra.get(_COUNTER + name, 0) + count

    def gather_replies(self) -> None:
        """Make a lot of `replies`, and count them if there are lots enough.

        Many at a time: one by one, in Python, this took a fifth of a round trip.
        """
        self._lots.append(b"".join(self.replies))
        self.replies.clear()
        if not self._closed_loop or len(self._lots) >= _LOTS_MOST:
            self.count_replies()

    def count_replies(self) -> None:
        """Count `replies` and `echoes`, and forget them."""
        self.sent += self.echoes
        self.payload_sent += self.echoes * self._size
        self.echoes = 0
        if not self.replies and not self._lots:
            return
        replies = np.frombuffer(b"".join([*self._lots, *self.replies]), _REPLY)
        self._lots.clear()
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

    def cut(self) -> Callable[[Callable[[], None]], IntervalDelta | None]:
        """What it gained until now and since the last call, still to be put together (to None, if that is nothing).

        That takes a millisecond in all: what it is called with is called in between, and what is counted meanwhile
        belongs to the next. In a closed loop a message is due when it is sent: `response` is `service`, and `send_lag`
        is zero.
        """
        self.count_replies()
        counts = self._gained()
        series = {**self.values, **{name: getattr(self, name) for name in LATENCY_SERIES}}
        if self._closed_loop:
            at_once = counts.get("sent", 0) - self._lags_counted()
            series["send_lag"] = merged([{0: at_once} if at_once else {}, self.send_lag])
        counted, named, groups = self._counted, self._named, self.groups
        self.values, self.groups = {}, {}
        self.response, self.service, self.read_lag, self.send_lag = {}, {}, {}, {}
        self._counted, self._named = None, {}

        def put_together(breathe: Callable[[], None]) -> IntervalDelta | None:
            if counted is not None:
                for place, name in enumerate(_CLOSED_LOOP if self._closed_loop else _OPEN_LOOP):
                    merge(series[name], counted.buckets(place))
                    breathe()
            if self._closed_loop:
                series["response"] = dict(series["service"])
            _add_named(named, series, counts)
            filled = {name: buckets for name, buckets in series.items() if buckets}
            if not counts and not filled and not groups:
                return None
            return IntervalDelta(str(self.interval.phase), self.interval.start_ns, counts, filled, groups)

        return put_together

    def _gained(self) -> dict[str, int]:
        counts = {}
        for name in TALLY_COUNTS:
            value = getattr(self, name)
            gained = value - self._emitted[name]
            if gained:
                counts[name] = gained
                self._emitted[name] = value
        merge_counts(counts, self.extra)
        self.extra = {}
        return counts

    def _lags_counted(self) -> int:
        """How many messages have had their `send_lag` counted one by one, as those of a closed loop need not."""
        return sum(sum(lags.values()) for lags in (self.send_lag, *(n.send_lag for n in self._named.values())))


def _add_named(named: Mapping[str, RoundTrips], series: dict[str, Buckets], counts: dict[str, int]) -> None:
    for name, trips in named.items():
        merge(series["response"], trips.response)
        merge(series["service"], trips.service)
        merge(series["send_lag"], trips.send_lag)
        series[name] = trips.response
        if trips.paced:
            series[f"{name}.service"] = trips.service
        if trips.lost:
            counts[_LOST + name] = trips.lost


class Recorder:
    """The tallies of one process.

    Attributes:
        current: the tally of now; whoever sends must `turn` first when its message is due at `boundary_ns` or later.
        sending: whether messages are sent at all: not in the drain phase.
    """

    def __init__(
        self,
        plan: Plan,
        now_ns: int,
        *,
        closed_loop: bool,
        sample: Callable[[], Mapping[str, int]],
        reply_size: int = 0,
    ) -> None:
        """`sample` returns running totals of the process (CPU, bytes on the wire); each interval gets its share.

        `reply_size`: bytes of every one of a tally's `replies`.
        """
        self._plan = plan
        self._closed_loop = closed_loop
        self._reply_size = reply_size
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
            self.current.value(name, value)

    def take(self, breathe: Callable[[], None] = lambda: None) -> list[IntervalDelta]:
        """What was gained until now and since the last call, and forget intervals that can gain no more.

        `breathe` is called every now and then: it may let others count. Whoever stops the caller then loses something.
        """
        self._share_sample()
        finished = [tally for tally in self._live if tally.settled and tally is not self.current]
        self._retired_received += sum(tally.received for tally in finished)
        tallies, self._live = self._live, [tally for tally in self._live if tally not in finished]
        cuts = [tally.cut() for tally in tallies]
        return [delta for put_together in cuts if (delta := put_together(breathe))]

    def _open(self, interval: Interval) -> Tally:
        tally = Tally(interval, size=self._reply_size, closed_loop=self._closed_loop)
        self._live.append(tally)
        return tally

    def _share_sample(self) -> None:
        for tally in self._live:
            tally.count_replies()
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
        self._ungrouped: set[tuple[str, int]] = set()
        self._named: dict[str, set[str]] = {}
        self._handed_over: dict[str, Buckets] = {}

    def add(self, deltas: Iterable[IntervalDelta]) -> None:
        """Add deltas. Each must be added once; in which order does not matter."""
        for delta in deltas:
            key = (delta.phase, delta.start_ns)
            known = self._intervals.get(key)
            if known is None:
                known = self._intervals[key] = IntervalDelta(*key, {}, {}, {})
            if delta.groups and key in self._ungrouped:  # as late as a reply that is lost
                delta.groups = {}
            known.add(delta)
            # Kept along, because progress asks for them every second of a run that may last a day.
            merge_counts(self._counts.setdefault(delta.phase, {}), delta.counts)
            self._named.setdefault(delta.phase, set()).update(delta.series)

    def settle_groups(self, before_ns: int) -> None:
        """Make series of the groups of all intervals before an instant: what belongs to them has come, or will not."""
        for key, interval in self._intervals.items():
            if interval.groups and interval.start_ns < before_ns:
                interval.settle_groups()
                self._ungrouped.add(key)
                self._named.setdefault(interval.phase, set()).update(interval.series)

    def names(self) -> list[str]:
        """The series that the scenario named, those that only lost included, in alphabetical order; parts of a group in
        theirs."""
        found = {name.removeprefix(_LOST) for name in self.counts() if name.startswith(_LOST)}
        return sorted(found.union(*self._named.values()) - set(SERIES), key=_place)

    def names_in(self, phase: Phase) -> set[str]:
        """The series that have a value in a phase."""
        return self._named.get(phase, set())

    def counters(self) -> dict[str, int]:
        """The scenario's own counters, over all phases."""
        counts = self.counts()
        return {name.removeprefix(_COUNTER): counts[name] for name in sorted(counts) if name.startswith(_COUNTER)}

    def settled(self, before_ns: int) -> Iterator[IntervalDelta]:
        """Hand over the intervals of the measure phase that began before an instant, the oldest first.

        What still comes for one of them is handed over later. Whoever keeps one says so with `handed_over`, or gives
        it back with `restore`.
        """
        keys = [
            key
            for key, interval in self._intervals.items()
            if key[0] == Phase.MEASURE and key[1] < before_ns and not interval.groups
        ]
        for key in sorted(keys):
            yield self._intervals.pop(key)

    def handed_over(self, interval: IntervalDelta, breathe: Callable[[], None]) -> None:
        """An interval is kept elsewhere: it is in the sums of here all the same. In pieces, breathing in between."""
        for name, buckets in interval.series.items():
            merge(self._handed_over.setdefault(name, {}), buckets)
            breathe()

    def restore(self, interval: IntervalDelta) -> None:
        """Take back what was to be handed over."""
        self._intervals[interval.phase, interval.start_ns] = interval

    def intervals(self, phase: Phase | None = None) -> list[IntervalDelta]:
        """The intervals of one phase, or of all, in order of time, but for those that were handed over."""
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
        total = dict(self._handed_over.get(name, {})) if phase in (None, Phase.MEASURE) else {}
        for interval in self.intervals(phase):
            merge(total, interval.series.get(name, {}))
        return total
