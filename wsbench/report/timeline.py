"""timeline.csv: one row per second of every phase. Latencies in ns; a cell without a figure is empty."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from wsbench.measure.delta import IntervalDelta, errors_of
from wsbench.measure.histogram import highest_value, percentiles
from wsbench.units import NS_PER_S, format_utc

_SERIES, _LAGS = ("response", "service"), ("send_lag", "read_lag")
COLUMNS = (
    *("time", "elapsed_s", "phase", "connections", "sent", "received", "lost", "bytes_sent", "bytes_received"),
    *(f"{series}_{figure}_ns" for series in _SERIES for figure in ("p50", "p99", "max")),
    *(f"{lag}_p99_ns" for lag in _LAGS),
    *(
        "worker_cpu_percent",
        "missed",
        "corrupted",
        "connect_failed",
        "dropped",
        "errors",
        "wanted",
        "away_s",
        "rejected",
    ),
)
_MESSAGES = ("sent", "received", "lost", "payload_sent", "payload_received")
_WRONG = ("missed", "corrupted", "connect_failed", "dropped")
_CONNECTIONS = ("connections_opened", "connections_closed", "connections_wanted", "away_ns")
_COUNTED = (*_MESSAGES, *_WRONG, *_CONNECTIONS, "errors_listed", "rejected")


class TimelineRow(NamedTuple):
    """The figures of one second, kept small: a day has many. `counted` is in the order of `_COUNTED`."""

    start_ns: int
    phase: str
    counted: tuple[int, ...]
    latencies_ns: tuple[int | None, ...]

    def counts(self) -> dict[str, int]:
        """Return the counts that are not 0, by name."""
        return {name: count for name, count in zip(_COUNTED, self.counted, strict=True) if count}


def make_row(interval: IntervalDelta, yield_control: Callable[[], None] = lambda: None) -> TimelineRow:
    """Return the row of an interval. `yield_control` is called between steps, and may run other greenlets."""
    counts = interval.counts
    lost = counts.get("lost", 0) + counts.get("missed", 0)
    latencies: list[int | None] = []
    for name in _SERIES:
        buckets = interval.series.get(name, {})
        latencies += percentiles(buckets, (50, 99), lost if name == "response" else counts.get("lost", 0))
        latencies.append(highest_value(max(buckets)) if buckets else None)
        yield_control()
    for name in _LAGS:
        latencies += percentiles(interval.series.get(name, {}), (99,))
        yield_control()
    counted = tuple(counts.get(name, 0) for name in _COUNTED)
    return TimelineRow(interval.start_ns, interval.phase, counted, tuple(latencies))


def encode(rows: Sequence[TimelineRow], cpu_percent: Mapping[tuple[str, int], float]) -> bytes:
    """Encode the file. `rows` are in order of time; `cpu_percent` is the busiest worker's, by (phase, start)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    connections = wanted = 0
    for row in rows:
        counts = dict(zip(_COUNTED, row.counted, strict=True))
        connections += counts["connections_opened"] - counts["connections_closed"]
        wanted += counts["connections_wanted"]
        elapsed = f"{(row.start_ns - rows[0].start_ns) / NS_PER_S:.3f}"
        start = format_utc(datetime.fromtimestamp(row.start_ns / NS_PER_S, UTC))
        latencies = ("" if value is None else value for value in row.latencies_ns)
        cpu = cpu_percent.get((row.phase, row.start_ns))
        messages, wrong = ([counts[name] for name in names] for names in (_MESSAGES, _WRONG))
        cells = (start, elapsed, row.phase, connections, *messages, *latencies, "" if cpu is None else f"{cpu:.1f}")
        away = f"{counts['away_ns'] / NS_PER_S:.3f}"
        writer.writerow((*cells, *wrong, errors_of(counts), wanted, away, counts["rejected"]))
    return out.getvalue().encode()
