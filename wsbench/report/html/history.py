"""A run over time, in as many columns as can be seen: from timeline.csv and from the intervals of latency.hlog."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise

from wsbench.errors import ResultError
from wsbench.measure.histogram import Buckets, Sum, lowest_value, merge_coarsely, percentiles
from wsbench.report import hlog
from wsbench.units import NS_PER_S

COLUMNS = 600
"""So many are enough: a screen has about twice as many pixels there."""
ROWS = 80
_STEPS = (8, 4, 2, 1)
_INTERVAL_S = 1.0
_ROUNDING_S = 0.002
"""Times in the files are rounded to milliseconds."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Moment:
    """Some seconds of one phase, times from the run's begin. Rates are means, `connections` is the last count,
    `cpu_percent` the busiest worker's greatest."""

    phase: str
    start_s: float
    end_s: float
    connections: int
    sent_per_s: float
    received_per_s: float
    lost: int
    cpu_percent: float | None


@dataclass(frozen=True)
class Timeline:
    """timeline.csv. `begin_ns` is since the epoch; `every_s` what a column of figures over time stands for."""

    moments: list[Moment]
    begin_ns: int
    every_s: int

    @property
    def end_s(self) -> float:
        """When the last of it ended; 0 when there is nothing."""
        return self.moments[-1].end_s if self.moments else 0.0

    @property
    def measure_s(self) -> float:
        """When the measure phase began, from where columns are counted."""
        return next((moment.start_s for moment in self.moments if moment.phase == "measure"), 0.0)

    def column(self, start_s: float) -> int:
        """That of an interval of the measure phase."""
        return max(0, _column(start_s - self.measure_s, self.every_s))


def timeline(text: bytes, where: str) -> Timeline:
    """What timeline.csv says.

    Raises:
        ResultError: it is not one; `where` names it.
    """
    try:
        rows = _rows(text)
        every_s = math.ceil(rows[-1].end_s / COLUMNS) if rows else 1
        begin = datetime.fromisoformat(rows[0].cells["time"]) if rows else _EPOCH
        phases = [list(phase) for _, phase in groupby(rows, lambda row: row.cells["phase"])]
        moments = [moment for phase in phases for moment in _moments(phase, every_s)]
        begin_ns = (begin - _EPOCH) // timedelta(microseconds=1) * 1000
    except (ValueError, KeyError, TypeError, ArithmeticError, csv.Error) as error:
        raise ResultError(f"{where} is not a timeline: {error}", remedy="The file was cut off or edited.") from error
    return Timeline(moments, begin_ns, every_s)


@dataclass(frozen=True)
class _Row:
    cells: dict[str, str]
    start_s: float
    end_s: float


def _rows(text: bytes) -> list[_Row]:
    rows = list(csv.DictReader(text.decode().splitlines(), strict=True))
    starts = [float(cells["elapsed_s"]) for cells in rows]
    ends = [min(start + _INTERVAL_S, following) for start, following in pairwise([*starts, math.inf])]
    return [_Row(*row) for row in zip(rows, starts, ends, strict=True)]


def _moments(phase: Sequence[_Row], every_s: int) -> Iterator[Moment]:
    begin_s = phase[0].start_s
    for _, rows in groupby(phase, lambda row: _column(row.start_s - begin_s, every_s)):
        yield _moment(list(rows))


def _column(after_s: float, every_s: int) -> int:
    return int((after_s + _ROUNDING_S) // every_s)


def _moment(rows: Sequence[_Row]) -> Moment:
    seconds = sum(row.end_s - row.start_s for row in rows) or _INTERVAL_S
    busy = [float(row.cells["worker_cpu_percent"]) for row in rows if row.cells["worker_cpu_percent"]]
    sent, received, lost = (sum(int(row.cells[name]) for row in rows) for name in ("sent", "received", "lost"))
    return Moment(
        phase=rows[0].cells["phase"],
        start_s=rows[0].start_s,
        end_s=rows[-1].end_s,
        connections=int(rows[-1].cells["connections"]),
        sent_per_s=sent / seconds,
        received_per_s=received / seconds,
        lost=lost,
        cpu_percent=max(busy, default=None),
    )


@dataclass
class Latencies:
    """What latency.hlog says: every series as a whole, and one of them by columns of time, in buckets 3 % wide."""

    series: dict[str, Buckets] = field(default_factory=dict)
    columns: dict[int, Buckets] = field(default_factory=dict)


def latencies(lines: Iterable[hlog.StoredLine], of: Timeline, over_time: str) -> Latencies:
    """Of all lines; `over_time` names the series that is kept by columns as well."""
    found = Latencies()
    whole: defaultdict[str, Sum] = defaultdict(Sum)
    within: tuple[int, Sum] | None = None
    for line in lines:
        whole[line.tag].add(line.counts)
        if line.tag == over_time:
            column = of.column((line.start_ns - of.begin_ns) / NS_PER_S)
            if within is None or within[0] != column:  # they come in order of time
                _close(within, found)
                within = column, Sum()
            within[1].add(line.counts)
    _close(within, found)
    found.series = {name: sums.buckets() for name, sums in whole.items()}
    return found


def _close(within: tuple[int, Sum] | None, found: Latencies) -> None:
    if within is not None:
        column, sums = within
        merge_coarsely(found.columns.setdefault(column, {}), sums.buckets())


@dataclass(frozen=True)
class HeatMap:
    """Messages by time and latency. `counts[row][column]`; edges are one more than there are rows and columns."""

    time_edges_s: list[float]
    latency_edges_ns: list[float]
    counts: list[list[int]]
    p50_ns: list[int | None]
    p99_ns: list[int | None]


def heat_map(columns: Mapping[int, Buckets], of: Timeline) -> HeatMap | None:
    """None without a message. A percentile is None where it falls among the lost messages of its column."""
    if not any(columns.values()):
        return None
    lost: dict[int, int] = {}
    for moment in of.moments:
        if moment.phase == "measure":
            lost[of.column(moment.start_s)] = moment.lost
    first, last = min(columns), max(columns)
    octaves = [
        _octave(key) for buckets in columns.values() for key in (min(buckets, default=0), max(buckets, default=0))
    ]
    low, high = min(octaves), max(octaves) + 1
    steps = next((steps for steps in _STEPS if (high - low) * steps <= ROWS), 1)
    counts = [[0] * (last - first + 1) for _ in range((high - low) * steps)]
    for column, buckets in columns.items():
        for key, count in buckets.items():
            counts[_row(key, low, steps)][column - first] += count
    figures = [percentiles(columns.get(n, {}), (50, 99), lost.get(n, 0)) for n in range(first, last + 1)]
    return HeatMap(
        [of.measure_s + n * of.every_s for n in range(first, last + 2)],
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
