"""Deltas: counts that an interval gained since its last report. They may be added in any order."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from wsbench.measure.histogram import Buckets, merge, percentile, record

Groups = dict[int | str, Buckets]
"""Values that belong together, by a common key: for example the deliveries of one message to many receivers."""
OF_GROUP = {"first": 0.0, "median": 50.0, "last": 100.0}
"""Series made of a group's values: suffix of the name, and percentile within the group."""
LOST, REJECTED, COUNTER = "lost:", "rejected:", "counter:"
"""Prefixes of a scenario's custom counts: messages of a custom series that were lost, replies that the scenario
rejected, and counters."""


class IntervalDelta(msgspec.Struct):
    """Gains of one interval of one phase. `series` maps a name to bucket counts.

    `groups` holds values that are evaluated together, once those of all processes have arrived.
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
            # Copying takes a hundredth of the time of adding: copy the larger, add the smaller.
            larger, smaller = (dict(buckets), known) if len(buckets) > len(known) else (known, buckets)
            merge(larger, smaller)
            self.series[name] = larger
        for name, groups in other.groups.items():
            known_groups = self.groups.setdefault(name, {})
            for key, buckets in groups.items():
                merge(known_groups.setdefault(key, {}), buckets)

    def names_lost(self) -> list[str]:
        """Return the custom series that lost values."""
        return [name.removeprefix(LOST) for name in self.counts if name.startswith(LOST)]

    def settle_groups(self) -> None:
        """Replace each group by its first, median and last value, in three series."""
        for name, groups in self.groups.items():
            parts = [self.series.setdefault(f"{name}.{part}", {}) for part in OF_GROUP]
            for buckets in groups.values():
                for part, percent in zip(parts, OF_GROUP.values(), strict=True):
                    value = percentile(buckets, percent)
                    assert value is not None
                    record(part, value)
        self.groups = {}


def lost_of(series: str, counts: Mapping[str, int]) -> int:
    """Return how many values a series lacks because the awaited message did not arrive."""
    if series == "response":
        # A message that was due and could not be sent has no reply either.
        return counts.get("lost", 0) + counts.get("missed", 0)
    return counts.get("lost" if series in ("service", "read_lag") else LOST + series, 0)


def rejected_of(series: str, counts: Mapping[str, int]) -> int:
    """Return how many replies of a series were wrong."""
    return counts.get("corrupted" if series in ("response", "service") else REJECTED + series, 0)


def errors_of(counts: Mapping[str, int]) -> int:
    """Return all that went wrong: listed errors, and messages lost, missed or corrupted."""
    return sum(counts.get(name, 0) for name in ("errors_listed", "lost", "missed", "corrupted"))


def open_share(counts: Mapping[str, int]) -> float | None:
    """Return the share of the wanted connection time in which the connections were open; None if none was wanted."""
    open_ns, wanted_ns = counts.get("open_ns", 0), counts.get("open_ns", 0) + counts.get("away_ns", 0)
    return open_ns / wanted_ns if wanted_ns else None


def merge_counts(into: dict[str, int], other: Mapping[str, int]) -> None:
    """Add `other` to `into`, name by name."""
    for name, count in other.items():
        into[name] = into.get(name, 0) + count
