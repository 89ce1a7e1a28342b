"""Distributions as numpy arrays, where many values or many distributions are added at once.

`histogram` defines the buckets and the dict form of a distribution, which is small and quick to merge. The arrays of
this module are its two other forms: dense, to count in, and sparse, as stored in latency.hlog.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from wsbench.measure.histogram import HIGHEST_KEY, SUB_BITS, Buckets

Instants = npt.NDArray[np.int64]


class SparseBuckets(NamedTuple):
    """A distribution as two arrays: keys that a HdrHistogram can hold, and their counts."""

    keys: Instants
    counts: Instants

    @classmethod
    def of(cls, buckets: Mapping[int, int]) -> SparseBuckets:
        """Convert from a dict; values out of range count at the ends, as in `to_hdr`."""
        ends = (min(max(key, 0), HIGHEST_KEY) for key in buckets)
        return cls(np.fromiter(ends, np.int64), np.fromiter(buckets.values(), np.int64))

    def buckets(self) -> Buckets:
        """Convert to a dict."""
        return dict(zip(self.keys.tolist(), self.counts.tolist(), strict=True))


class DenseBuckets:
    """One or more distributions with a counter for every possible bucket.

    Counting hundreds of values at once costs a tenth of `histogram.record` per value, and less processor cache.
    """

    __slots__ = ("_counts", "_outside", "_starts")

    def __init__(self, distributions: int = 1) -> None:
        self._counts = np.zeros((distributions, HIGHEST_KEY + 1), np.int64)
        self._starts = np.arange(distributions).reshape(-1, 1) * (HIGHEST_KEY + 1)
        self._outside: list[Buckets] = [{} for _ in range(distributions)]

    def record(self, values_ns: Instants) -> None:
        """Count values less than 2**53, one row per distribution."""
        shifts = np.maximum(np.frexp(values_ns)[1] - SUB_BITS, 0)
        keys = shifts << SUB_BITS | values_ns >> shifts  # `bucket_key` of each
        if keys.view(np.uint64).max() > HIGHEST_KEY:  # or negative
            inside = (keys >= 0) & (keys <= HIGHEST_KEY)
            for row, column in np.argwhere(~inside).tolist():
                outside, key = self._outside[row], int(keys[row, column])
                outside[key] = outside.get(key, 0) + 1
            at = (keys + self._starts)[inside]
        else:
            at = (keys + self._starts).ravel()
        np.add.at(self._counts.reshape(-1), at, 1)

    def add(self, other: SparseBuckets) -> None:
        """Add a distribution to the first one."""
        np.add.at(self._counts[0], other.keys, other.counts)

    def buckets(self, distribution: int = 0) -> Buckets:
        """Convert one distribution to a dict, which takes 0.1 ms or more."""
        counts = self._counts[distribution]
        (keys,) = (counts != 0).nonzero()  # `counts.nonzero()` takes six times as long
        return self._outside[distribution] | SparseBuckets(keys, counts[keys]).buckets()
