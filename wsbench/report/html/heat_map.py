"""Latency over time: latency.hlog's intervals as the counts of a heat map."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from wsbench.measure.bucket_arrays import DenseBuckets
from wsbench.measure.histogram import Buckets, lowest_value, merge_coarsely, percentiles
from wsbench.report import hlog
from wsbench.report.html.timeline_reader import Timeline
from wsbench.units import NS_PER_S

ROWS = 80
_STEPS = (8, 4, 2, 1)


def collect_latencies(
    lines: Iterable[hlog.Line], timeline: Timeline, over_time: str
) -> tuple[dict[str, Buckets], dict[int, Buckets]]:
    """Return the sum of every series, and the series `over_time` by columns of time, in buckets 3 % wide.

    `lines` are in order of time, and read once: those of a day do not fit into memory.
    """
    series: defaultdict[str, DenseBuckets] = defaultdict(DenseBuckets)
    columns: dict[int, Buckets] = {}

    def summed() -> Iterator[hlog.Line]:
        for line in lines:
            series[line.tag].add(line.counts)
            if line.tag == over_time:
                yield line

    def column_of(line: hlog.Line) -> int:
        return timeline.column((line.start_ns - timeline.begin_ns) / NS_PER_S)

    for column, group in groupby(summed(), column_of):
        sums = DenseBuckets()
        for line in group:
            sums.add(line.counts)
        merge_coarsely(columns.setdefault(column, {}), sums.buckets())
    return {name: whole.buckets() for name, whole in series.items()}, columns


@dataclass(frozen=True)
class HeatMap:
    """Messages by time and latency: `counts[row][column]`. There is one edge more than rows or columns."""

    time_edges_s: list[float]
    latency_edges_ns: list[float]
    counts: list[list[int]]
    p50_ns: list[int | None]
    p99_ns: list[int | None]


def heat_map(columns: Mapping[int, Buckets], timeline: Timeline) -> HeatMap | None:
    """Return the heat map; None without messages. A percentile among lost or missed messages is None."""
    filled = [buckets for buckets in columns.values() if buckets]
    if not filled:
        return None
    measured = [moment for moment in timeline.moments if moment.phase == "measure"]
    lost = {timeline.column(moment.start_s): moment.unanswered for moment in measured}
    first, last = min(columns), max(columns)
    low, high = _octave(min(map(min, filled))), _octave(max(map(max, filled))) + 1
    steps = next((steps for steps in _STEPS if (high - low) * steps <= ROWS), 1)
    counts = [[0] * (last - first + 1) for _ in range((high - low) * steps)]
    for column, buckets in columns.items():
        for key, count in buckets.items():
            counts[_row(key, low, steps)][column - first] += count
    figures = [percentiles(columns.get(n, {}), (50, 99), lost.get(n, 0)) for n in range(first, last + 1)]
    return HeatMap(
        [timeline.measure_s + n * timeline.every_s for n in range(first, last + 2)],
        [2.0**octave * (1 + step / steps) for octave in range(low, high) for step in range(steps)] + [2.0**high],
        counts,
        [p50 for p50, _ in figures],
        [p99 for _, p99 in figures],
    )


def _octave(key: int) -> int:
    return max(1, lowest_value(key)).bit_length() - 1


def _row(key: int, low: int, steps: int) -> int:
    octave = _octave(key)
    return (octave - low) * steps + ((max(1, lowest_value(key)) - (1 << octave)) * steps >> octave)
