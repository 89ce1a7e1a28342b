"""Schedules: due instants on one grid, without end, which never move."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsbench.measure.schedule import Constant, Schedule, Slots, slots

S = 1_000_000_000
TWO_WEEKS_UP = 1_209_600_123_456_789  # what CLOCK_MONOTONIC says on a machine that has been up for long
PRECISION_NS = 2  # of a due instant at that age: it is kept as a float of ns for a moment


def due_within(
    duration_ns: int, *, rate: float, connections: int, joined_ns: list[int] | None = None, **options: object
) -> list[tuple[int, int]]:
    """Return (due instant, connection) of all connections for `duration_ns` after the last one was added."""
    joined = joined_ns or [TWO_WEEKS_UP] * connections
    schedule: Schedule[int] = Schedule()
    for index, now in enumerate(joined):
        schedule.add(index, slots(rate=rate, connections=connections, index=index, now_ns=now, **options))  # type: ignore[arg-type]
    start = max(joined)
    return [(due, key) for due, key in schedule.take(start + duration_ns, 10**9) if due >= start]


def gaps(instants: list[int]) -> list[int]:
    return [later - earlier for earlier, later in itertools.pairwise(instants)]


def first(its_slots: Slots, count: int) -> list[int]:
    return list(itertools.islice(its_slots, count))


@pytest.mark.parametrize(
    ("rate", "connections"), [(10, 1), (1, 10), (1000, 50), (1000, 7), (999.7, 3), (50_000, 100), (3, 1000)]
)
def test_constant_arrivals_are_evenly_staggered_over_all_connections(rate: float, connections: int) -> None:
    turns = 3 * connections + 10
    due = due_within(int(turns * S / rate), rate=rate, connections=connections)
    assert turns - 1 <= len(due) <= turns + 1
    assert all(abs(gap - S / rate) <= PRECISION_NS for gap in gaps([instant for instant, _ in due]))
    order = [key for _, key in due]
    assert all((key + 1) % connections == following for key, following in itertools.pairwise(order))


def test_workers_that_start_at_different_times_share_one_grid() -> None:
    together = due_within(S, rate=1000, connections=20)
    # worker 0 has the even connections, worker 1 the odd ones, and starts 3.7 ms before
    joined = [TWO_WEEKS_UP - (index % 2) * 3_700_000 for index in range(20)]
    apart = due_within(S, rate=1000, connections=20, joined_ns=joined)
    assert [key for _, key in apart] == [key for _, key in together]
    assert all(abs(a - b) <= PRECISION_NS for (a, _), (b, _) in zip(apart, together, strict=True))


@pytest.mark.parametrize(
    ("index", "now_ns", "first_ns"),
    [
        (0, 0, 0),
        (0, 1, S),
        (3, 0, 300_000_000),
        (3, 300_000_000, 300_000_000),
        (3, 300_000_001, 1_300_000_000),
        (3, 12_450_000_000, 13_300_000_000),
        (9, 12_450_000_000, 12_900_000_000),
        (13, 12_450_000_000, 13_300_000_000),  # an eleventh connection and on take up the places anew
    ],
)
def test_a_connection_that_is_added_late_has_its_own_slot(index: int, now_ns: int, first_ns: int) -> None:
    its_slots = slots(rate=10, connections=10, index=index, now_ns=now_ns)
    assert first(its_slots, 3) == [first_ns, first_ns + S, first_ns + 2 * S]


@given(
    rate=st.floats(0.001, 1e6),
    connections=st.integers(1, 5000),
    place=st.integers(0, 5000),
    now_ns=st.integers(0, 10**16),
    arrivals=st.sampled_from(["constant", "poisson"]),
)
@settings(max_examples=200)
def test_slots_begin_now_or_later_and_increase_strictly(
    rate: float, connections: int, place: int, now_ns: int, arrivals: str
) -> None:
    its_slots = slots(rate=rate, connections=connections, index=place % connections, now_ns=now_ns, arrivals=arrivals)
    due = first(its_slots, 50)
    assert due[0] >= now_ns
    assert all(gap > 0 for gap in gaps(due))
    if arrivals == "constant":
        assert due[0] <= now_ns + connections * S / rate + PRECISION_NS


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
def test_slots_are_at_least_a_nanosecond_apart(arrivals: str) -> None:
    due = first(slots(rate=1e9, connections=1, index=0, now_ns=TWO_WEEKS_UP, arrivals=arrivals), 1000)
    assert all(gap >= 1 for gap in gaps(due))
    with pytest.raises(ValueError, match=r"1\.5e\+09 messages a second on 1 connections cannot be scheduled"):
        slots(rate=1.5e9, connections=1, index=0, now_ns=0, arrivals=arrivals)


@pytest.mark.parametrize(("rate", "connections"), [(3.0, 1), (1000.0, 7), (1e9 / 7, 1)])
def test_nothing_drifts_in_a_thousand_million_messages(rate: float, connections: int) -> None:
    exact = 10**9 * connections * S / rate
    its_slots = Constant(connections * S / rate, 0).onwards(int(exact) - 1)
    # a double has 53 bits; adding up periods that were rounded to whole ns would be off by a third of a second
    assert abs(next(its_slots) - exact) <= max(1, exact * 2**-51)


def test_poisson_arrivals_have_the_rate_on_the_whole() -> None:
    due = due_within(100 * S, rate=500, connections=20, arrivals="poisson", seed=1)
    assert len(due) == pytest.approx(50_000, rel=0.02)
    counts = [sum(1 for _, key in due if key == index) for index in range(20)]
    assert all(count == pytest.approx(2500, rel=0.1) for count in counts)


def test_poisson_gaps_are_exponential() -> None:
    found = gaps(first(slots(rate=100, connections=1, index=0, now_ns=0, arrivals="poisson", seed=3), 20_000))
    mean = statistics.fmean(found)
    assert mean == pytest.approx(S / 100, rel=0.03)
    assert statistics.stdev(found) == pytest.approx(mean, rel=0.05)
    # 1 - 1/e of an exponential distribution lies below its mean
    assert sum(gap < mean for gap in found) / len(found) == pytest.approx(0.632, abs=0.02)


def test_poisson_arrivals_repeat_by_seed_and_differ_by_seed_and_connection() -> None:
    def drawn(seed: int, index: int) -> list[int]:
        return first(slots(rate=9, connections=3, index=index, now_ns=5, arrivals="poisson", seed=seed), 20)

    assert drawn(1, 0) == drawn(1, 0)
    different = [drawn(seed, index) for seed in (1, 2) for index in (0, 1, 2)]
    assert len({tuple(each) for each in different}) == len(different)


@given(pauses=st.lists(st.integers(0, 3 * S), max_size=8), limit=st.integers(1, 50))
@settings(max_examples=100)
def test_due_instants_do_not_move_when_they_are_taken_late(pauses: list[int], limit: int) -> None:
    punctual, late = (_four_connections() for _ in range(2))
    end = sum(pauses)
    expected = []
    while (due := punctual.next_due_ns) is not None and due <= end:
        expected += punctual.take(due, 1)
    taken, now = [], 0
    for pause in pauses:
        now += pause
        taken += late.take(now, limit)
    while batch := late.take(end, limit):
        taken += batch
    assert taken == expected
    assert late.next_due_ns == punctual.next_due_ns


def _four_connections() -> Schedule[int]:
    schedule: Schedule[int] = Schedule()
    for index in range(4):
        schedule.add(index, slots(rate=10, connections=4, index=index, now_ns=0))
    return schedule


def test_due_slots_are_taken_oldest_first_and_never_more_than_the_limit() -> None:
    schedule = _four_connections()
    assert schedule.take(250_000_000, 2) == [(0, 0), (100_000_000, 1)]
    assert schedule.next_due_ns == 200_000_000
    assert schedule.take(250_000_000, 2) == [(200_000_000, 2)]
    assert schedule.take(250_000_000, 2) == []
    assert schedule.take(299_999_999, 2) == []
    assert schedule.take(300_000_000, 2) == [(300_000_000, 3)]


def test_connections_due_at_the_same_instant_take_turns() -> None:
    schedule: Schedule[str] = Schedule()
    for name in "abc":
        schedule.add(name, Constant(100.0, 0))
    assert [name for _, name in schedule.take(200, 100)] == list("abcabcabc")


def test_a_schedule_without_connections_has_nothing_due() -> None:
    schedule = _four_connections()
    schedule.clear()
    assert schedule.next_due_ns is None
    assert schedule.take(10**18, 10) == []


# -- skipping --------------------------------------------------------------------------------------------------------


def end_of_second(instant_ns: int) -> int:
    return instant_ns - instant_ns % S + S


@given(
    rate=st.floats(0.1, 2000),
    connections=st.integers(1, 4),
    taken=st.integers(0, 50),
    length_ns=st.integers(0, 3 * S),
    start_ns=st.sampled_from([0, TWO_WEEKS_UP]),
)
@settings(max_examples=100, deadline=None)
def test_skipped_slots_are_counted_as_if_they_were_taken(
    rate: float, connections: int, taken: int, length_ns: int, start_ns: int
) -> None:
    one_by_one, at_once = Schedule[int](), Schedule[int]()
    for index, schedule in itertools.product(range(connections), (one_by_one, at_once)):
        schedule.add(index, slots(rate=rate, connections=connections, index=index, now_ns=start_ns))
    for schedule in (one_by_one, at_once):
        schedule.take(start_ns + length_ns, taken)
    until = start_ns + length_ns
    expected = Counter((end_of_second(due), key) for due, key in one_by_one.take(until - 1, 10**6))
    found: Counter[tuple[int, int]] = Counter()
    for due, key, count in at_once.skip(until, end_of_second):
        assert count > 0
        found[end_of_second(due), key] += count
    assert found == expected
    assert at_once.next_due_ns == one_by_one.next_due_ns
    assert at_once.take(until + S, 10**6) == one_by_one.take(until + S, 10**6)


def test_skipped_poisson_arrivals_have_the_rate_and_go_on() -> None:
    schedule: Schedule[int] = Schedule()
    schedule.add(0, slots(rate=1e6, connections=1, index=0, now_ns=0, arrivals="poisson"))
    counts = [count for _, _, count in schedule.skip(100 * S, end_of_second)]
    assert len(counts) == 100
    assert statistics.fmean(counts) == pytest.approx(1e6, rel=0.001)
    assert statistics.stdev(counts) == pytest.approx(1000, rel=0.3)  # the root of the mean
    assert schedule.next_due_ns is not None and schedule.next_due_ns >= 100 * S
    assert len(schedule.take(101 * S, 10**7)) == pytest.approx(1e6, rel=0.01)


def test_slots_of_a_connection_that_is_gone_are_not_skipped() -> None:
    schedule = _four_connections()
    schedule.remove(1)
    assert [key for _, key, _ in schedule.skip(S, end_of_second)] == [0, 2, 3]
