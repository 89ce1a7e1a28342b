"""A distribution as CSV: one row per value that occurred, in ns, with its count and its percentile."""

from __future__ import annotations

from collections.abc import Iterable

from wsbench.measure.bucket_arrays import DenseBuckets, SparseBuckets
from wsbench.measure.histogram import highest_value


def encode(parts: Iterable[SparseBuckets]) -> bytes:
    """Encode the sum of the parts."""
    whole = DenseBuckets()
    for part in parts:
        whole.add(part)
    buckets = whole.buckets()
    total, seen = sum(buckets.values()), 0
    rows = ["value_ns,count,percentile"]
    for key in sorted(buckets):
        seen += buckets[key]
        rows.append(f"{highest_value(key)},{buckets[key]},{100 * seen / total:.6f}")
    return ("\n".join(rows) + "\n").encode()
