"""The array forms of a distribution, against its dict form."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from wsbench.measure.bucket_arrays import DenseBuckets, SparseBuckets
from wsbench.measure.histogram import HIGHEST_KEY, HIGHEST_NS, Buckets, bucket_key, merged

VALUES = st.integers(0, 42).flatmap(lambda bits: st.integers(0, min(1 << bits, HIGHEST_NS)))
BUCKETS = st.dictionaries(VALUES.map(bucket_key), st.integers(1, 10**12), max_size=40)


@given(parts=st.lists(BUCKETS, max_size=4))
@settings(max_examples=100)
def test_the_sum_of_distributions_is_that_of_their_dicts(parts: list[Buckets]) -> None:
    total = DenseBuckets()
    for part in parts:
        total.add(SparseBuckets.of(part))
    assert total.buckets() == merged(parts)


@given(buckets=BUCKETS)
@settings(max_examples=100)
def test_sparse_buckets_convert_to_the_same_dict(buckets: Buckets) -> None:
    assert SparseBuckets.of(buckets).buckets() == buckets


def test_values_out_of_range_count_at_the_ends() -> None:
    outside = {bucket_key(-5): 2, bucket_key(HIGHEST_NS * 100): 3}
    assert SparseBuckets.of(outside).buckets() == {0: 2, HIGHEST_KEY: 3}
