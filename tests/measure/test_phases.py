"""Phases and their one-second intervals: a time line without gaps."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsbench.measure.phases import FOREVER_NS, INTERVAL_NS, Interval, Phase, PhasePlan

RAMP, WARMUP, MEASURE, DRAIN = Phase
S = INTERVAL_NS
NOW = 1_795_000_000_123_456_789  # an instant of CLOCK_REALTIME that no second begins with
PLAN = PhasePlan(NOW, NOW + 2 * S, NOW + 12 * S)


def plans() -> st.SearchStrategy[PhasePlan]:
    """Return plans of a few seconds around NOW, whose last phases may not be known yet."""
    gaps = st.lists(st.integers(0, 3 * S), min_size=3, max_size=3)

    def build(gaps: list[int], known: int) -> PhasePlan:
        begins = list(itertools.accumulate(gaps, initial=NOW))[1:]
        return PhasePlan(*begins[:known])

    return st.builds(build, gaps, st.integers(0, 3))


def walk(plan: PhasePlan, start_ns: int, end_ns: int) -> list[Interval]:
    """Return the intervals from `start_ns` on."""
    intervals = [plan.interval_at(start_ns)]
    while intervals[-1].end_ns < end_ns:
        intervals.append(plan.interval_at(intervals[-1].end_ns))
    return intervals


def test_the_phases_have_the_names_of_the_contract() -> None:
    assert [str(phase) for phase in Phase] == ["ramp", "warmup", "measure", "drain"]


@pytest.mark.parametrize(
    ("plan", "instant_ns", "phase"),
    [
        (PhasePlan(), NOW, RAMP),
        (PhasePlan(), 0, RAMP),
        (PLAN, NOW - 1, RAMP),
        (PLAN, NOW, WARMUP),
        (PLAN, NOW + 2 * S - 1, WARMUP),
        (PLAN, NOW + 2 * S, MEASURE),
        (PLAN, NOW + 12 * S - 1, MEASURE),
        (PLAN, NOW + 12 * S, DRAIN),
        (PLAN, NOW + 10**6 * S, DRAIN),
        (PhasePlan(NOW), NOW + 10**6 * S, WARMUP),
        (PhasePlan(NOW, NOW + S), NOW + 10**6 * S, MEASURE),
        (PhasePlan(NOW, NOW, NOW + S), NOW - 1, RAMP),  # no warm-up
        (PhasePlan(NOW, NOW, NOW + S), NOW, MEASURE),
        (PhasePlan(drain_ns=NOW), NOW - 1, RAMP),  # ended while connections were still opening
        (PhasePlan(drain_ns=NOW), NOW, DRAIN),
    ],
)
def test_the_phase_of_an_instant(plan: PhasePlan, instant_ns: int, phase: Phase) -> None:
    assert plan.phase_at(instant_ns) is phase
    assert plan.interval_at(instant_ns).phase is phase


@pytest.mark.parametrize(
    ("instant_ns", "interval"),
    [
        (NOW - 1, Interval(RAMP, NOW // S * S, NOW)),
        (NOW - S, Interval(RAMP, NOW // S * S - S, NOW // S * S)),
        (NOW, Interval(WARMUP, NOW, NOW + S)),
        (NOW + S - 1, Interval(WARMUP, NOW, NOW + S)),
        (NOW + S, Interval(WARMUP, NOW + S, NOW + int(1.5 * S))),
        (NOW + int(1.5 * S), Interval(MEASURE, NOW + int(1.5 * S), NOW + int(2.5 * S))),
        (NOW + 4 * S, Interval(DRAIN, NOW + 4 * S, NOW + 5 * S)),
    ],
)
def test_intervals_count_from_their_phase_and_end_with_it(instant_ns: int, interval: Interval) -> None:
    plan = PhasePlan(NOW, NOW + int(1.5 * S), NOW + 4 * S)
    assert plan.interval_at(instant_ns) == interval


@given(plan=plans(), offset=st.integers(0, 2 * S))
@settings(max_examples=150)
def test_intervals_cover_the_time_line_without_gaps(plan: PhasePlan, offset: int) -> None:
    start, end = NOW - offset, NOW + 12 * S
    intervals = walk(plan, start, end)
    assert intervals[0].start_ns <= start
    for interval, following in itertools.pairwise(intervals):
        assert interval.end_ns == following.start_ns
        assert list(Phase).index(interval.phase) <= list(Phase).index(following.phase)
    for phase, begin, stop in intervals:
        assert 0 < stop - begin <= S
        for instant in (begin, (begin + stop) // 2, stop - 1):
            assert plan.interval_at(instant) == (phase, begin, stop)


@given(plan=plans(), end=st.integers(-S, 12 * S), instant=st.integers(-S, 14 * S))
@settings(max_examples=150)
def test_an_ended_plan_drains_from_then_on_and_is_the_same_before(plan: PhasePlan, end: int, instant: int) -> None:
    ended = plan.ended_at(NOW + end)
    if instant < end:
        assert ended.phase_at(NOW + instant) is plan.phase_at(NOW + instant)
    else:
        assert ended.phase_at(NOW + instant) is DRAIN


def test_a_plan_that_has_ended_is_not_ended_later() -> None:
    assert PLAN.ended_at(NOW + 20 * S) == PLAN
    assert PLAN.ended_at(NOW + 5 * S) == PhasePlan(NOW, NOW + 2 * S, NOW + 5 * S)


@given(plan=plans(), offset=st.integers(-(10**15), 10**15), instant=st.integers(-S, 14 * S))
@settings(max_examples=100)
def test_a_shifted_plan_is_the_same_on_another_clock(plan: PhasePlan, offset: int, instant: int) -> None:
    shifted = plan.shifted(offset)
    assert shifted.phase_at(NOW + instant + offset) is plan.phase_at(NOW + instant)
    assert shifted.shifted(-offset) == plan


def test_an_unknown_begin_stays_unknown_on_another_clock() -> None:
    assert PhasePlan(NOW).shifted(-5) == PhasePlan(NOW - 5, FOREVER_NS, FOREVER_NS)


def test_messages_counted_as_ramp_after_its_end_belong_to_its_last_second() -> None:
    ends = 41 * INTERVAL_NS - 3_000_000
    plan = PhasePlan(ends, ends, FOREVER_NS)
    assert plan.second_of_ramp(39 * INTERVAL_NS) == 39 * INTERVAL_NS
    assert plan.second_of_ramp(40 * INTERVAL_NS + 17) == 40 * INTERVAL_NS
    assert plan.second_of_ramp(41 * INTERVAL_NS) == 40 * INTERVAL_NS
    assert PhasePlan().second_of_ramp(41 * INTERVAL_NS) == 41 * INTERVAL_NS
