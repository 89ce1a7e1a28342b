"""The curve of latency against load, of the steps of a search."""

from __future__ import annotations

from helpers.sample_capacity import MS, STEPS
from msgspec.structs import replace

from wsbench.experiment.load_curve import load_curve
from wsbench.results.capacity_result import HELD, TARGET


def test_the_curve_has_a_point_a_load() -> None:
    points = {point.load: point for point in load_curve(STEPS)}
    assert list(points) == [100, 200, 400, 476, 497, 519, 566, 800]
    assert (points[497].outcome, points[497].steps, points[497].p99_ns) == (HELD, 3, 8 * MS)
    assert (points[519].outcome, points[519].p99_ns, points[519].p99_9_ns) == (TARGET, 40 * MS, 80 * MS)
    assert points[800].p99_ns == 900 * MS  # what has no value is more than any
    assert load_curve([replace(STEPS[0], due=0, run=None)]) == []
