"""Percentile curves: latency over 1 / (1 - percentile). On its logarithmic scale every nine is equally wide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wsbench.measure.histogram import highest_value, percentiles

_PER_DECADE = 24


@dataclass(frozen=True)
class Curve:
    """Latencies `values_ns` at the `reciprocals` 1 / (1 - quantile), from 1 up."""

    reciprocals: list[float]
    values_ns: list[int]


def curve(buckets: Mapping[int, int], lost: int = 0) -> Curve:
    """Return a series' curve; it ends where the lost messages begin, or at the maximum."""
    received = sum(buckets.values())
    total = received + lost
    if not received:
        return Curve([], [])
    grid = [1.0]
    while grid[-1] < total:
        grid.append(min(10 ** (len(grid) / _PER_DECADE), float(total)))
    values = percentiles(buckets, [100 * (1 - 1 / x) for x in grid], lost)
    points = [(x, value) for x, value in zip(grid, values, strict=True) if value is not None]
    if not lost:
        points[-1] = (points[-1][0], highest_value(max(buckets)))
    return Curve([x for x, _ in points], [value for _, value in points])
