"""The curve of latency against load: all steps of a search for a capacity, one point per load."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wsbench.experiment.capacity_search import majority_outcome
from wsbench.results.capacity_result import CapacityStep


@dataclass(frozen=True)
class LoadPoint:
    """All steps at one load: the medians of their latencies in ns, and their majority outcome.

    Attributes:
        due: messages due in the step that had the fewest.
    """

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
    return [_point(load, by_load[load]) for load in sorted(by_load)]


def _point(load: float, steps: list[CapacityStep]) -> LoadPoint:
    return LoadPoint(
        load=load,
        outcome=majority_outcome([step.outcome for step in steps]),
        due=min(step.due for step in steps),
        steps=len(steps),
        p50_ns=_median([step.p50_ns for step in steps]),
        p99_ns=_median([step.p99_ns for step in steps]),
        p99_9_ns=_median([step.p99_9_ns for step in steps]),
    )


def _median(values: list[int | None]) -> int | None:
    """Return a measured value: of two in the middle, the lower. None is greater than any value."""
    ordered = sorted(values, key=lambda value: (value is None, value))
    return ordered[(len(ordered) - 1) // 2]
