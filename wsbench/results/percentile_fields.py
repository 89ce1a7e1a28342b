"""The figures of a latency series by their labels: the one list of percentiles, and of the fields of `Latency`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wsbench.measure.histogram import PERCENTS, samples_needed


@dataclass(frozen=True)
class Percentile:
    """One percentile: its label (`p99.9`), its quantile (0.999) and its field of `Latency` (`p99_9_ns`)."""

    label: str
    quantile: float
    field: str

    @property
    def samples(self) -> int:
        """Messages that it needs: 10 / (1 - q), so that ten lie above it."""
        return samples_needed(1 - self.quantile)


def _percentile(percent: float) -> Percentile:
    label = f"p{percent:g}"
    return Percentile(label, round(percent / 100, 6), f"{label.replace('.', '_')}_ns")


PERCENTILES = {percentile.label: percentile for percentile in map(_percentile, PERCENTS)}
FIELDS = {
    **{label: percentile.field for label, percentile in PERCENTILES.items()},
    "min": "min_ns",
    "mean": "mean_ns",
    "max": "max_ns",
}
"""Fields of `Latency` by label."""


def figure_of(latency: Any, label: str) -> int | None:
    """Return the figure with this label in ns, from a `Latency` or another record with these fields.

    None stands for a figure without a value: too many messages were lost.
    """
    value: int | None = getattr(latency, FIELDS[label])
    return value
