"""Totals of all processes of a run, by interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from wsbench.measure.delta import COUNTER, LOST, OF_GROUP, IntervalDelta, merge_counts
from wsbench.measure.histogram import Buckets, merge
from wsbench.measure.phases import Phase
from wsbench.measure.series import AWAY, CONNECT_SERIES, SERIES, TALLY_COUNTS


class Totals:
    """Deltas of any number of processes, added up by interval."""

    def __init__(self) -> None:
        self._intervals: dict[tuple[str, int], IntervalDelta] = {}
        self._counts: dict[str, dict[str, int]] = {}
        self._ungrouped: set[tuple[str, int]] = set()
        self._named: dict[str, set[str]] = {}
        self._spilled: dict[str, Buckets] = {}

    def add(self, deltas: Iterable[IntervalDelta]) -> None:
        """Add deltas, each once, in any order."""
        for delta in deltas:
            key = (delta.phase, delta.start_ns)
            if delta.groups and key in self._ungrouped:  # too late, like a lost reply
                delta.groups = {}
            self._intervals.setdefault(key, IntervalDelta(*key)).add(delta)
            # Kept up to date, because progress needs them every second of a run that may last a day.
            merge_counts(self._counts.setdefault(delta.phase, {}), delta.counts)
            self._named.setdefault(delta.phase, set()).update(delta.series)

    def settle_groups(self, before_ns: int) -> None:
        """Turn the groups of all intervals before an instant into series: their values have arrived, or will not."""
        for key, interval in self._intervals.items():
            if interval.groups and interval.start_ns < before_ns:
                interval.settle_groups()
                self._ungrouped.add(key)
                self._named.setdefault(interval.phase, set()).update(interval.series)

    def names(self) -> list[str]:
        """Return the scenario's series in alphabetical order, the parts of a group in theirs. Series in which every
        value was lost are included."""
        found = {name.removeprefix(LOST) for name in self.counts() if name.startswith(LOST)}
        return sorted(found.union(*self._named.values()) - set(SERIES), key=_place)

    def names_in(self, phase: Phase) -> set[str]:
        """Return the series that have a value in a phase."""
        return self._named.get(phase, set())

    def whole_run_series(self) -> set[str]:
        """Return the series of all phases: of connections, and those without a value in the measure phase."""
        measured = self.names_in(Phase.MEASURE)
        return {*CONNECT_SERIES, AWAY, *(name for name in self.names() if name not in measured)}

    def counters(self) -> dict[str, int]:
        """Return the scenario's counters, summed over all phases."""
        counts = self.counts()
        return {name.removeprefix(COUNTER): counts[name] for name in sorted(counts) if name.startswith(COUNTER)}

    def pop_settled(self, before_ns: int) -> Iterator[IntervalDelta]:
        """Remove and yield the intervals of the measure phase that began before an instant, the oldest first.

        The caller stores each and calls `add_spilled`, or returns it with `restore`. Later deltas of one of them are
        yielded by a later call.
        """
        for interval in self.intervals(Phase.MEASURE):
            if interval.start_ns < before_ns and not interval.groups:
                yield self._intervals.pop((interval.phase, interval.start_ns))

    def add_spilled(self, interval: IntervalDelta, yield_control: Callable[[], None]) -> None:
        """Keep an interval that the caller has stored in the sums; calls `yield_control` between steps."""
        for name, buckets in interval.series.items():
            merge(self._spilled.setdefault(name, {}), buckets)
            yield_control()

    def restore(self, interval: IntervalDelta) -> None:
        """Take back an interval that the caller could not store."""
        self._intervals[interval.phase, interval.start_ns] = interval

    def intervals(self, phase: Phase | None = None) -> list[IntervalDelta]:
        """Return the intervals of one phase or of all, in order of time, without those that are stored elsewhere."""
        chosen = (i for i in self._intervals.values() if phase is None or i.phase == phase)
        return sorted(chosen, key=lambda interval: interval.start_ns)

    def counts(self, phase: Phase | None = None) -> dict[str, int]:
        """Return the counts summed over one phase, or over all."""
        total: dict[str, int] = dict.fromkeys(TALLY_COUNTS, 0)
        for name, counts in self._counts.items():
            if phase is None or name == phase:
                merge_counts(total, counts)
        return total

    def series(self, name: str, phase: Phase | None = None) -> Buckets:
        """Return one series summed over one phase, or over all."""
        total = dict(self._spilled.get(name, {})) if phase in (None, Phase.MEASURE) else {}
        for interval in self.intervals(phase):
            merge(total, interval.series.get(name, {}))
        return total


def _place(name: str) -> tuple[str, int]:
    stem, dot, part = name.rpartition(".")
    return (stem, list(OF_GROUP).index(part)) if dot and part in OF_GROUP else (name, -1)
