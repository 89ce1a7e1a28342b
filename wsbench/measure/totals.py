"""What all processes of a run counted, added up by interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from wsbench.measure.delta import COUNTER, LOST, OF_GROUP, IntervalDelta, merge_counts
from wsbench.measure.histogram import Buckets, merge
from wsbench.measure.phases import Phase
from wsbench.measure.series import SERIES, TALLY_COUNTS


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
        found = {name.removeprefix(LOST) for name in self.counts() if name.startswith(LOST)}
        return sorted(found.union(*self._named.values()) - set(SERIES), key=_place)

    def names_in(self, phase: Phase) -> set[str]:
        """The series that have a value in a phase."""
        return self._named.get(phase, set())

    def counters(self) -> dict[str, int]:
        """The scenario's own counters, over all phases."""
        counts = self.counts()
        return {name.removeprefix(COUNTER): counts[name] for name in sorted(counts) if name.startswith(COUNTER)}

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

    def handed_over(self, interval: IntervalDelta, yield_control: Callable[[], None]) -> None:
        """An interval is kept elsewhere: it is in the sums of here all the same. In pieces, breathing in between."""
        for name, buckets in interval.series.items():
            merge(self._handed_over.setdefault(name, {}), buckets)
            yield_control()

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


def _place(name: str) -> tuple[str, int]:
    stem, dot, part = name.rpartition(".")
    return (stem, list(OF_GROUP).index(part)) if dot and part in OF_GROUP else (name, -1)
