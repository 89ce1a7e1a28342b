"""Distributions as numpy arrays, where many distributions are added at once.

`histogram` defines the buckets and the dict form of a distribution, which is small and quick to merge. The arrays of
this module are its two other forms: dense, to sum up in, and sparse, as stored in latency.hlog.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from wsbench.measure.histogram import HIGHEST_KEY, Buckets

Integers = npt.NDArray[np.int64]


class SparseBuckets(NamedTuple):
    """A distribution as two arrays: keys that a HdrHistogram can hold, and their counts."""

    keys: Integers
    counts: Integers

    @classmethod
    def of(cls, buckets: Mapping[int, int]) -> SparseBuckets:
        """Convert from a dict; values out of range count at the ends, as in `to_hdr`."""
        ends = (min(max(key, 0), HIGHEST_KEY) for key in buckets)
        return cls(np.fromiter(ends, np.int64), np.fromiter(buckets.values(), np.int64))

    def buckets(self) -> Buckets:
        """Convert to a dict."""
        return dict(zip(self.keys.tolist(), self.counts.tolist(), strict=True))


class DenseBuckets:
    """A distribution with a counter for every possible bucket: hundreds of others are added to it quickly."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts = np.zeros(HIGHEST_KEY + 1, np.int64)

    def add(self, other: SparseBuckets) -> None:
        """Add a distribution."""
        np.add.at(self._counts, other.keys, other.counts)

    def buckets(self) -> Buckets:
        """Convert to a dict, which takes 0.1 ms or more."""
        (keys,) = (self._counts != 0).nonzero()  # `counts.nonzero()` takes six times as long
        return SparseBuckets(keys, self._counts[keys]).buckets()
