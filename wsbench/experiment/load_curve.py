"""The curve of latency against load: one point per load of a search for a capacity. And its knee.

The knee is the point farthest below the line from its first to its last point.

Load is on a linear scale and latency on a logarithmic one, both normalized to 0..1. This is the elbow of a rising
convex curve according to Kneedle (Satopää et al., ICDCSW 2011). On a logarithmic scale a server's latency is almost
flat until it saturates, and then rises by orders of magnitude: the farthest point is the last one before the rise.
More load makes no server faster, so a latency above that of a higher load is noise and is lowered to it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wsbench.experiment.capacity_search import majority_outcome
from wsbench.results.capacity_result import GENERATOR, Capacity, CapacityStep, Knee

_FEWEST_POINTS = 4
_LEAST_RISE = 2.0
"""A curve that does not double has no knee."""
_LEAST_DISTANCE = 0.1
"""On the scale from 0 to 1. Noise can cause smaller bends."""


@dataclass(frozen=True)
class LoadPoint:
    """All steps at one load: medians of their latencies in ns, majority outcome, and the fewest messages due."""

    load: float
    outcome: str
    due: int
    steps: int
    p50_ns: int | None
    p99_ns: int | None
    p99_9_ns: int | None


def load_curve(steps: Iterable[CapacityStep]) -> list[LoadPoint]:
    """Return a point for each load, the lowest first; steps without a result are left out."""
    by_load: dict[float, list[CapacityStep]] = {}
    for step in steps:
        if step.due:
            by_load.setdefault(step.load, []).append(step)
    return [
        LoadPoint(
            load=load,
            outcome=majority_outcome([step.outcome for step in of_load]),
            due=min(step.due for step in of_load),
            steps=len(of_load),
            p50_ns=_median([step.p50_ns for step in of_load]),
            p99_ns=_median([step.p99_ns for step in of_load]),
            p99_9_ns=_median([step.p99_9_ns for step in of_load]),
        )
        for load, of_load in sorted(by_load.items())
    ]


def _median(values: list[int | None]) -> int | None:
    """Return a measured value: of two in the middle, the lower. None is greater than any value."""
    ordered = sorted(values, key=lambda value: (value is None, value))
    return ordered[(len(ordered) - 1) // 2]


def find_knee(points: Sequence[tuple[float, float]]) -> int | None:
    """Return the index of the knee among points (load, latency), sorted by load; None if there is no knee."""
    if len(points) < _FEWEST_POINTS:
        return None
    loads = [load for load, _ in points]
    rising = list(itertools.accumulate((latency for _, latency in reversed(points)), min))[::-1]
    low, high = rising[0], rising[-1]
    if low <= 0 or high < _LEAST_RISE * low:
        return None
    distances = [
        (load - loads[0]) / (loads[-1] - loads[0]) - math.log(latency / low) / math.log(high / low)
        for load, latency in zip(loads, rising, strict=True)
    ]
    farthest = max(range(1, len(points) - 1), key=distances.__getitem__)
    return farthest if distances[farthest] >= _LEAST_DISTANCE else None


def capacity_knee(capacity: Capacity) -> Knee | None:
    """Return the knee of p99 over the loads measured, without those at which the generator was the limit.

    The time allowed for a reply replaces a p99 without a value, which is at least that.
    """
    points = [point for point in load_curve(capacity.steps) if point.outcome != GENERATOR]
    at_least_ns = capacity.conditions.timeout_ns
    latencies_ns = [at_least_ns if point.p99_ns is None else point.p99_ns for point in points]
    place = find_knee([(point.load, float(p99_ns)) for point, p99_ns in zip(points, latencies_ns, strict=True)])
    return None if place is None else Knee(points[place].load, latencies_ns[place])
