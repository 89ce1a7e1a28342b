"""The knee: the last load before latency climbs, and none where it does not."""

from __future__ import annotations

import pytest
from helpers.sample_capacity import CAPACITY, STEPS
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from wsbench.experiment.load_curve import capacity_knee, find_knee
from wsbench.results.capacity_result import GENERATOR, HELD

MS = 1e6
HOCKEY_STICK = [(100, 1.0), (200, 1.0), (400, 1.1), (476, 1.2), (500, 1.3), (520, 80.0), (566, 200.0), (800, 900.0)]


def test_the_last_load_before_the_climb() -> None:
    place = find_knee([(load, ms * MS) for load, ms in HOCKEY_STICK])
    assert place is not None
    assert HOCKEY_STICK[place][0] == 500


def test_of_a_queue_it_lies_where_waiting_overtakes_serving() -> None:
    """M/M/1, of which every percentile is proportional to 1 / (1 - load)."""
    loads = [step / 100 for step in range(10, 100)]
    place = find_knee([(load, MS / (1 - load)) for load in loads])
    assert place is not None
    assert 0.7 <= loads[place] <= 0.85


@pytest.mark.parametrize(
    "points",
    [
        [],
        [(1, MS), (2, MS), (3, 100 * MS)],
        [(load, MS * (1 + load / 1000)) for load in range(100, 900, 100)],
        [(load, MS * 10 ** (load / 100)) for load in range(100, 900, 100)],
        [(load, MS * load) for load in (100, 200, 400, 800)],
        [(100, 9 * MS), (200, 3 * MS), (400, MS), (800, MS)],
    ],
    ids=["none", "too few", "flat", "a line on a logarithmic scale", "concave there", "falling"],
)
def test_no_knee(points: list[tuple[float, float]]) -> None:
    assert find_knee(points) is None


def test_noise_at_a_low_load_is_none() -> None:
    """A slow first point alone makes no knee of the second, as it would by its distance from the line."""
    points = [(300, 9.0), (600, 3.0), (9_600, 11.0), (19_200, 15.0), (22_900, 30.0), (45_700, 300.0)]
    assert find_knee([(load, ms * MS) for load, ms in points]) is None


@given(st.lists(st.tuples(st.integers(1, 10**6), st.floats(1, 1e12)), max_size=20, unique_by=lambda point: point[0]))
def test_a_knee_is_never_at_an_end(points: list[tuple[int, float]]) -> None:
    place = find_knee(sorted(points))
    assert place is None or 0 < place < len(points) - 1


@given(st.floats(0.01, 100), st.floats(0.01, 100))
def test_units_do_not_move_it(of_load: float, of_latency: float) -> None:
    assert find_knee([(load * of_load, ms * of_latency) for load, ms in HOCKEY_STICK]) == 4


def test_the_knee_is_of_p99_where_the_generator_was_well() -> None:
    assert capacity_knee(CAPACITY) == CAPACITY.knee
    # without a value in any run, the time allowed for a reply stands for it
    lost = replace(CAPACITY, steps=[each if each.load < 800 else replace(each, p99_ns=None) for each in STEPS])
    assert capacity_knee(lost) == CAPACITY.knee
    gone = [each if each.outcome == HELD else replace(each, outcome=GENERATOR) for each in STEPS]
    assert capacity_knee(replace(CAPACITY, steps=gone)) != CAPACITY.knee
