"""Percentile distributions (.hgrm) as HdrHistogram prints them and its plotter reads them: values in ms."""

from __future__ import annotations

from wsbench.measure.histogram import DIGITS, Buckets, mean_and_deviation, to_hdr
from wsbench.units import NS_PER_MS

_TICKS_PER_HALF_DISTANCE = 5


def encode(buckets: Buckets) -> bytes:
    """Encode the distribution of one series, whose values are in ns."""
    histogram = to_hdr(buckets)
    rows = [f"{'Value':>12} {'Percentile':>14} {'TotalCount':>10} {'1/(1-Percentile)':>14}", ""]
    if histogram.total_count:
        for item in histogram.get_percentile_iterator(_TICKS_PER_HALF_DISTANCE):
            level = item.percentile_level_iterated_to / 100
            value_ms = item.value_iterated_to / NS_PER_MS
            row = f"{value_ms:12.{DIGITS}f} {level:2.12f} {item.total_count_to_this_value:10d}"
            # The last line has no reciprocal: it would be infinite.
            rows.append(f"{row} {1 / (1 - level):14.2f}" if level < 1 else row)
    # hdrh does not scale the deviation; HdrHistogram's own format has the whole footer in the unit of the values.
    mean, deviation = (value / NS_PER_MS for value in mean_and_deviation(buckets))
    maximum = histogram.get_max_value() / NS_PER_MS
    rows += [
        f"#[Mean    = {mean:12.{DIGITS}f}, StdDeviation   = {deviation:12.{DIGITS}f}]",
        f"#[Max     = {maximum:12.{DIGITS}f}, Total count    = {histogram.total_count:12d}]",
        f"#[Buckets = {histogram.bucket_count:12d}, SubBuckets     = {histogram.sub_bucket_count:12d}]",
    ]
    return ("\n".join(rows) + "\n").encode()
