"""Buckets, against the HdrHistogram whose arithmetic they share."""

from __future__ import annotations

import itertools

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from wsbench.measure.histogram import (
    DIGITS,
    HIGHEST_NS,
    Buckets,
    bounds,
    bucket_key,
    by_bounds,
    extreme_keys,
    from_hdr,
    highest_value,
    lowest_value,
    mean_and_deviation,
    merge,
    merge_coarsely,
    merged,
    out_of_range,
    percentile,
    percentiles,
    pieces,
    record,
    samples_needed,
    to_hdr,
)

HOUR_NS = 3_600_000_000_000
REFERENCE = HdrHistogram(1, HOUR_NS, 3)
PERCENTS = (0.0, 1e-9, 1.0, 25.0, 49.999, 50.0, 66.6, 90.0, 99.0, 99.9, 99.99, 99.999, 100.0)

# Every magnitude alike, and the edges of buckets of every width.
VALUES = st.one_of(
    st.integers(0, 42).flatmap(lambda bits: st.integers(0, min(1 << bits, HOUR_NS))),
    st.builds(lambda bits, off: min(max(0, (1 << bits) + off), HOUR_NS), st.integers(0, 42), st.integers(-3, 3)),
)
SAMPLES = st.lists(VALUES, max_size=60)
BUCKETS = st.dictionaries(VALUES.map(bucket_key), st.integers(1, 10**12), max_size=40)


def bucketed(values: list[int]) -> Buckets:
    buckets: Buckets = {}
    for value in values:
        record(buckets, value)
    return buckets


def in_hdr(values: list[int]) -> HdrHistogram:
    histogram = HdrHistogram(1, HOUR_NS, 3)
    for value in values:
        assert histogram.record_value(value)
    return histogram


def test_range_and_precision_are_those_of_the_contract() -> None:
    assert (HIGHEST_NS, DIGITS) == (HOUR_NS, 3)


@given(VALUES)
@settings(max_examples=200)
def test_a_bucket_is_the_hdr_bucket_of_its_values(value: int) -> None:
    key = bucket_key(value)
    assert lowest_value(key) == REFERENCE.get_lowest_equivalent_value(value)
    assert highest_value(key) == REFERENCE.get_highest_equivalent_value(value)
    assert lowest_value(key) <= value <= highest_value(key)


@given(VALUES.filter(lambda value: value < HOUR_NS))
@settings(max_examples=200)
def test_buckets_touch_and_their_keys_sort_as_their_values_do(value: int) -> None:
    key = bucket_key(value)
    following = bucket_key(highest_value(key) + 1)
    assert following > key
    assert lowest_value(following) == highest_value(key) + 1
    assert bucket_key(lowest_value(key)) == bucket_key(highest_value(key)) == key


@given(VALUES)
@settings(max_examples=100)
def test_a_value_is_known_to_a_thousandth(value: int) -> None:
    assert highest_value(bucket_key(value)) - value <= value / 1000


@given(values=st.lists(VALUES, min_size=1, max_size=60), percent=st.floats(0, 100))
@settings(max_examples=60)
def test_percentiles_are_those_of_hdr_histogram_to_the_nanosecond(values: list[int], percent: float) -> None:
    asked = (*PERCENTS, percent)
    expected = in_hdr(values).get_percentile_to_value_dict(list(asked))
    assert percentiles(bucketed(values), asked) == [expected[each] for each in asked]


@given(values=SAMPLES, lost=st.integers(0, 30), percent=st.floats(0.001, 100))
@settings(max_examples=200)
def test_lost_values_rank_above_all_others(values: list[int], lost: int, percent: float) -> None:
    ranked: list[int | None] = [highest_value(bucket_key(value)) for value in sorted(values)]
    ranked += [None] * lost
    rank = max(1, int(percent * len(ranked) / 100 + 0.5))
    assert percentile(bucketed(values), percent, lost) == (ranked[rank - 1] if ranked else None)


def test_half_a_percent_lost_leaves_p99_but_no_p99_9() -> None:
    buckets = bucketed([*[1_000] * 985, *[2_000] * 10])
    assert percentiles(buckets, (50, 99, 99.9, 100), lost=5) == [1_000, 2_000, None, None]
    assert percentiles(buckets, (50, 99.5, 99.9, 100)) == [1_000, 2_000, 2_000, 2_000]


@pytest.mark.parametrize("lost", [0, 3])
def test_without_samples_there_is_no_percentile(lost: int) -> None:
    assert percentiles({}, (0, 50, 100), lost) == [None, None, None]


def test_percentiles_are_in_the_requested_order_and_may_repeat() -> None:
    buckets = bucketed(list(range(1, 101)))
    assert percentiles(buckets, (99, 1, 50, 99)) == [99, 1, 50, 99]


@given(st.lists(SAMPLES, max_size=5), st.randoms(use_true_random=False))
@settings(max_examples=100)
def test_merging_is_recording_all_in_any_order_and_grouping(parts: list[list[int]], shuffler: object) -> None:
    everything = bucketed([value for part in parts for value in part])
    distributions = [bucketed(part) for part in parts]
    shuffler.shuffle(distributions)  # type: ignore[attr-defined]
    assert merged(distributions) == everything
    head, tail = distributions[:2], distributions[2:]
    assert merged([merged(head), merged(tail)]) == everything


@given(BUCKETS, BUCKETS)
@settings(max_examples=50)
def test_merging_adds_to_the_first_and_leaves_the_second(into: Buckets, other: Buckets) -> None:
    before, unchanged = dict(into), dict(other)
    merge(into, other)
    assert other == unchanged
    assert into == {key: before.get(key, 0) + other.get(key, 0) for key in before.keys() | other.keys()}


def test_recording_with_a_count() -> None:
    buckets: Buckets = {}
    record(buckets, 5, 3)
    record(buckets, 5)
    record(buckets, 6)
    assert buckets == {5: 4, 6: 1}


@given(BUCKETS)
@settings(max_examples=60)
def test_to_hdr_and_back_loses_nothing(buckets: Buckets) -> None:
    histogram = to_hdr(buckets)
    assert histogram.get_total_count() == sum(buckets.values())
    assert from_hdr(histogram) == buckets
    assert from_hdr(HdrHistogram.decode(histogram.encode())) == buckets


def test_an_empty_bucket_is_not_in_the_histogram() -> None:
    histogram = to_hdr({7: 0, 9: 2})
    assert (histogram.get_total_count(), histogram.get_max_value()) == (2, 9)


BEYOND = [HOUR_NS * 2, HOUR_NS * 1000, 2**62]


@given(BUCKETS)
@settings(max_examples=15)
def test_mean_and_deviation_are_those_of_hdr_histogram(buckets: Buckets) -> None:
    histogram = to_hdr(buckets)
    mean, deviation = mean_and_deviation(buckets)
    assert mean == pytest.approx(histogram.get_mean_value(), rel=1e-9)
    assert deviation == pytest.approx(histogram.get_stddev(), rel=1e-6, abs=0.01)


def test_values_over_an_hour_count_as_one_hour() -> None:
    buckets = bucketed([1_000, *BEYOND])
    assert out_of_range(buckets) == (0, 3)
    the_hour = REFERENCE.get_highest_equivalent_value(HOUR_NS)
    assert percentiles(buckets, (25, 50, 100)) == [1_000, the_hour, the_hour]
    histogram = to_hdr(buckets)
    assert (histogram.get_total_count(), histogram.get_max_value()) == (4, the_hour)
    assert highest_value(max(buckets)) == the_hour


@pytest.mark.parametrize("value", [-1, -2047, -2048, -5_000_000, -(2**62)])
def test_negative_values_sort_first_and_count_as_zero(value: int) -> None:
    buckets = bucketed([value, 10])
    assert out_of_range(buckets) == (1, 0)
    assert percentiles(buckets, (1, 100)) == [0, 10]
    assert to_hdr(buckets).get_count_at_value(0) == 1


@given(SAMPLES)
@settings(max_examples=50)
def test_values_that_a_histogram_can_hold_are_not_out_of_range(values: list[int]) -> None:
    assert out_of_range(bucketed(values)) == (0, 0)


@given(st.dictionaries(st.integers(0, 60_000), st.integers(1, 1000), max_size=300), st.integers(1, 100))
def test_pieces_add_up_to_the_whole(buckets: Buckets, size: int) -> None:
    parts = list(pieces(buckets, size))
    assert merged(parts) == buckets
    assert all(0 < len(part) <= size for part in parts)


@given(st.lists(st.integers(0, HIGHEST_NS), min_size=1, max_size=200), st.sampled_from([0.0, 50.0, 99.0, 100.0]))
def test_a_coarse_percentile_is_off_by_three_percent_at_most(values: list[int], percent: float) -> None:
    exact: Buckets = {}
    for value in values:
        record(exact, value)
    coarse: Buckets = {}
    merge_coarsely(coarse, exact)
    assert sum(coarse.values()) == len(values)
    precise, rough = percentile(exact, percent), percentile(coarse, percent)
    assert precise is not None
    assert rough is not None
    assert abs(rough - precise) <= max(32, 0.033 * precise)


@given(st.lists(BUCKETS.filter(bool), min_size=1, max_size=4))
@settings(max_examples=200)
def test_the_extremes_of_a_coarse_sum_are_those_of_its_parts(parts: list[Buckets]) -> None:
    coarse: Buckets = {}
    for part in parts:
        merge_coarsely(coarse, part)
    keys = [key for part in parts for key in part]
    assert extreme_keys(parts, coarse) == (min(keys), max(keys))


def test_bounds_for_people_are_round_and_twelve_a_decade() -> None:
    upper = list(bounds())
    assert upper == sorted(set(upper)) and (upper[0], upper[1], upper[-1]) == (1, 10, HOUR_NS)
    for decade in range(1, 12):
        assert sum(10**decade <= bound < 10 ** (decade + 1) for bound in upper) == 12
    assert max(later / bound for bound, later in itertools.pairwise(upper[1:])) <= 1.26


@given(BUCKETS)
@settings(max_examples=200)
def test_every_value_is_under_its_bound_and_over_the_one_before(buckets: Buckets) -> None:
    upper, counted = list(bounds()), by_bounds(buckets)
    expected: dict[int, int] = {}
    for key, count in buckets.items():
        bound = next(bound for bound in upper if min(highest_value(key), HOUR_NS) <= bound)
        expected[bound] = expected.get(bound, 0) + count
    assert counted == expected and list(counted) == sorted(counted)


@pytest.mark.parametrize(
    ("share_above", "needed"), [(1 - 0.5, 20), (1 - 0.9, 100), (1 - 0.99, 1_000), (1 - 0.9999, 100_000), (0.003, 3_334)]
)
def test_ten_values_lie_above_a_percentile_with_enough_samples(share_above: float, needed: int) -> None:
    assert samples_needed(share_above) == needed
