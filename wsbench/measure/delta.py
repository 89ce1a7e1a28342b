"""What an interval gained since it was last asked. Deltas only ever add up: in which order does not matter."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from wsbench.measure.histogram import Buckets, merge, percentile, record

Groups = dict[int, Buckets]
"""Values that belong together, by what they have in common: the deliveries of one message to many receivers, say."""
OF_GROUP = {"first": 0.0, "median": 50.0, "last": 100.0}
"""Which of a group's values make a series, by percentile."""
LOST, COUNTER = "lost:", "counter:"
"""What the names of counts of a scenario's own begin with: what a series of its lacks, and its counters."""


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
        return [name.removeprefix(LOST) for name in self.counts if name.startswith(LOST)]

    def settle_groups(self) -> None:
        """Of each group its first, median and last value, as three series; the groups are forgotten."""
        for name, groups in self.groups.items():
            parts = [self.series.setdefault(f"{name}.{part}", {}) for part in OF_GROUP]
            for buckets in groups.values():
                for part, percent in zip(parts, OF_GROUP.values(), strict=True):
                    value = percentile(buckets, percent)
                    assert value is not None
                    record(part, value)
        self.groups = {}


def lost_under(name: str, counts: Mapping[str, int]) -> int:
    """How many values a series of the scenario's own lacks, because what was waited for did not come."""
    return counts.get(LOST + name, 0)


def merge_counts(into: dict[str, int], other: Mapping[str, int]) -> None:
    """Add `other` to `into`, name by name."""
    for name, count in other.items():
        into[name] = into.get(name, 0) + count
