"""Latency distributions, counted in the buckets of a HdrHistogram with 3 significant digits from 1 ns to 1 hour.

During a run, a distribution is a dict from bucket key to count: adding to a dict costs a quarter of
`HdrHistogram.record_value`, merging is adding, and nothing is lost, because a key *is* an HDR bucket.

    value < 2048 ns:  key = value
    else:             key = shift << 11 | value >> shift,   shift = bits(value) - 11   (1024 <= value >> shift < 2048)

Keys sort as their values do. Each other form of a distribution has one use:

    bucket_arrays.DenseBuckets    to sum hundreds of distributions
    bucket_arrays.SparseBuckets   to decode latency.hlog, where most parts are only summed
    coarse dicts                  figures of a running test: a percentile takes microseconds (`merge_coarsely`)
    HdrHistogram                  the reference, and its text formats (`to_hdr`)
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping

from hdrh.histogram import HdrHistogram

Buckets = dict[int, int]

PERCENTS = (50.0, 90.0, 99.0, 99.9, 99.99)
"""Percentiles that every result holds."""
_SAMPLES_ABOVE = 10
HIGHEST_NS = 3_600_000_000_000
DIGITS = 3
COARSE_WIDTH = 32
SUB_BITS = 11
_SUB_MASK = (1 << SUB_BITS) - 1
_COARSE = ~(COARSE_WIDTH - 1)
_TWELVE_A_DECADE = (10, 12, 15, 18, 22, 27, 33, 39, 47, 56, 68, 82)
"""The preferred numbers of IEC 60063 (E12), times ten: every second one is in E6, every fourth in E3."""


def bucket_key(value_ns: int) -> int:
    """Return the bucket of a value of at least 0 ns. Values over an hour are clamped later, when read."""
    shift = value_ns.bit_length() - SUB_BITS
    return (shift << SUB_BITS) | (value_ns >> shift) if shift > 0 else value_ns


def lowest_value(key: int) -> int:
    """Return the smallest value in a bucket, in ns. A negative key (a clock that stepped back) counts as 0."""
    if key < 0:
        return 0
    return (key & _SUB_MASK) << (key >> SUB_BITS)


def highest_value(key: int) -> int:
    """Return the largest value in a bucket, in ns, as HdrHistogram reports it; at most the largest it can hold."""
    if key < 0:
        return 0
    key = min(key, HIGHEST_KEY)
    shift = key >> SUB_BITS
    return (((key & _SUB_MASK) + 1) << shift) - 1


def _middle_value(key: int) -> int:
    return lowest_value(key) + ((1 << (key >> SUB_BITS)) >> 1) if key > 0 else 0


HIGHEST_KEY = bucket_key(HIGHEST_NS)


def record(buckets: Buckets, value_ns: int, count: int = 1) -> None:
    """Count a value `count` times."""
    key = bucket_key(value_ns)
    buckets[key] = buckets.get(key, 0) + count


def merge(into: Buckets, other: Mapping[int, int]) -> None:
    """Add `other` to `into`; associative and commutative."""
    get = into.get
    for key, count in other.items():
        into[key] = get(key, 0) + count


def merge_coarsely(into: Buckets, other: Mapping[int, int]) -> None:
    """Add `other` to buckets `COARSE_WIDTH` times as wide (3 %), each under its lowest key."""
    get = into.get
    for key, count in other.items():
        coarse = key & _COARSE
        into[coarse] = get(coarse, 0) + count


def extreme_keys(parts: Iterable[Mapping[int, int]], coarse: Mapping[int, int]) -> tuple[int, int]:
    """Return the lowest and the highest key of all `parts`, whose sum in coarse buckets is `coarse` (not empty).

    This takes a few lookups, where `min` and `max` would visit thousands of keys.
    """
    among = list(parts)
    least, most = min(coarse), max(coarse)
    upwards, downwards = range(least, least + COARSE_WIDTH), range(most + COARSE_WIDTH - 1, most - 1, -1)
    return _first_of(among, upwards), _first_of(among, downwards)


def _first_of(parts: Iterable[Mapping[int, int]], keys: Iterable[int]) -> int:
    return next(key for key in keys if any(key in part for part in parts))


def merged(parts: Iterable[Mapping[int, int]]) -> Buckets:
    """Return the sum of several distributions."""
    total: Buckets = {}
    for part in parts:
        merge(total, part)
    return total


def pieces(buckets: Mapping[int, int], size: int) -> Iterator[Buckets]:
    """Yield the same counts in parts of at most `size` buckets, for callers that must not block for long."""
    items = iter(buckets.items())
    while piece := dict(itertools.islice(items, size)):
        yield piece


def out_of_range(buckets: Mapping[int, int]) -> tuple[int, int]:
    """Return how many values are negative and over an hour: no histogram holds them, they are clamped to its ends."""
    negative = sum(count for key, count in buckets.items() if key < 0)
    over = sum(count for key, count in buckets.items() if key > HIGHEST_KEY)
    return negative, over


def percentile(buckets: Mapping[int, int], percent: float, lost: int = 0) -> int | None:
    """Return the value in ns at `percent` (0..100), with `lost` values ranked above all others.

    None when the rank falls among the lost, or when there is nothing. Otherwise exactly HdrHistogram's value.
    """
    return percentiles(buckets, (percent,), lost)[0]


def percentiles(buckets: Mapping[int, int], percents: Iterable[float], lost: int = 0) -> list[int | None]:
    """Return several percentiles at once, in the order of `percents`; see `percentile`."""
    keys = sorted(buckets)
    ranks_to = list(itertools.accumulate(buckets[key] for key in keys))
    received = ranks_to[-1] if ranks_to else 0
    values: list[int | None] = []
    for percent in percents:
        rank = max(int(percent * (received + lost) / 100 + 0.5), 1)
        if rank > received:
            values.append(None)
            continue
        key = min(keys[bisect.bisect_left(ranks_to, rank)], HIGHEST_KEY)
        # As in HdrHistogram, percentile 0 is the lowest value.
        values.append(highest_value(key) if percent else lowest_value(key))
    return values


def samples_needed(share_above: float) -> int:
    """Return how many values a percentile needs with this share of them above it: ten of them must lie there."""
    return math.ceil(round(_SAMPLES_ABOVE / share_above, 6))


def mean_and_deviation(buckets: Mapping[int, int]) -> tuple[float, float]:
    """Return mean and standard deviation in ns, with the middle of its bucket for each value; zeros if empty.

    The same as HdrHistogram's, which visits some 30,000 buckets in Python, most of them empty.
    """
    total = sum(buckets.values())
    if not total:
        return 0.0, 0.0
    middles = [(_middle_value(min(key, HIGHEST_KEY)), buckets[key]) for key in sorted(buckets)]
    mean = sum(middle * count for middle, count in middles) / total
    variance = sum((middle - mean) ** 2 * count for middle, count in middles) / total
    return mean, math.sqrt(variance)


def bounds() -> Iterator[int]:
    """Yield upper bounds of wide buckets for people, in ns: 1, 10, and from there twelve a decade, up to an hour."""
    yield 1
    grid = (step * 10**decade for decade in itertools.count() for step in _TWELVE_A_DECADE)
    yield from itertools.takewhile(lambda bound: bound < HIGHEST_NS, grid)
    yield HIGHEST_NS


def by_bounds(buckets: Mapping[int, int]) -> dict[int, int]:
    """Return counts by upper bound (of `bounds`), lowest first, without empty ones."""
    counts: dict[int, int] = {}
    upper = list(bounds())
    for key in sorted(buckets):
        bound = upper[bisect.bisect_left(upper, min(highest_value(key), HIGHEST_NS))]
        counts[bound] = counts.get(bound, 0) + buckets[key]
    return counts


def to_hdr(buckets: Mapping[int, int]) -> HdrHistogram:
    """Return a HdrHistogram with the same counts; values out of range are clamped to its ends."""
    histogram = HdrHistogram(1, HIGHEST_NS, DIGITS)
    for key, count in buckets.items():
        if count and not histogram.record_value(min(lowest_value(key), HIGHEST_NS), count):
            raise ValueError(f"bucket {key} does not fit a histogram up to {HIGHEST_NS} ns")
    return histogram


def from_hdr(histogram: HdrHistogram) -> Buckets:
    """Return the counts of a HdrHistogram made by `to_hdr`."""
    # By index: hdrh's own iterator takes a hundred times as long over the 33,792 counts, nearly all of them zero.
    value_at = histogram.get_value_from_index
    counts = histogram.counts[:]  # a list: walking a ctypes array takes four times as long
    filled = itertools.compress(range(len(counts)), counts)
    return {bucket_key(value_at(index)): counts[index] for index in filled}
