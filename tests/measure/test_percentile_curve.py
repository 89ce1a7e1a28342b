"""Percentile curves."""

from __future__ import annotations

from wsbench.measure.histogram import Buckets, record
from wsbench.measure.percentile_curve import curve


def test_a_curve_ends_where_lost_messages_begin() -> None:
    buckets: Buckets = {}
    for value in range(1, 991):
        record(buckets, value * 1000)
    whole, lossy = curve(buckets), curve(buckets, 10)
    assert whole.reciprocals[-1] == 990
    assert whole.values_ns[-1] >= 990_000
    assert lossy.reciprocals[-1] <= 100.5
    assert all(low <= high for low, high in zip(lossy.values_ns, lossy.values_ns[1:], strict=False))
