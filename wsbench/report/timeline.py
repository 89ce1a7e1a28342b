"""timeline.csv: a row for every second of every phase. Latencies in ns; an empty cell where there is no figure."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from wsbench.measure.histogram import highest_value, percentile
from wsbench.measure.recorder import IntervalDelta
from wsbench.units import NS_PER_S

COLUMNS = (
    "time",
    "elapsed_s",
    "phase",
    "connections",
    "sent",
    "received",
    "lost",
    "bytes_sent",
    "bytes_received",
    "response_p50_ns",
    "response_p99_ns",
    "response_max_ns",
    "service_p50_ns",
    "service_p99_ns",
    "service_max_ns",
    "send_lag_p99_ns",
    "read_lag_p99_ns",
    "worker_cpu_percent",
)


def encode(intervals: Sequence[IntervalDelta], cpu_percent: Mapping[tuple[str, int], float]) -> bytes:
    """Rows of intervals in order of time. `cpu_percent` has the busiest worker's, by (phase, start)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    begin = intervals[0].start_ns if intervals else 0
    connections = 0
    for interval in intervals:
        connections += interval.counts.get("connections_opened", 0) - interval.counts.get("connections_closed", 0)
        writer.writerow(_row(interval, begin, connections, cpu_percent.get((interval.phase, interval.start_ns))))
    return out.getvalue().encode()


def _row(interval: IntervalDelta, begin_ns: int, connections: int, cpu: float | None) -> list[object]:
    counts = interval.counts
    lost = counts.get("lost", 0) + counts.get("missed", 0)
    latencies: list[object] = []
    for name in ("response", "service"):
        buckets = interval.series.get(name, {})
        missing = lost if name == "response" else counts.get("lost", 0)
        latencies += [percentile(buckets, 50, missing), percentile(buckets, 99, missing)]
        latencies.append(highest_value(max(buckets)) if buckets else None)
    latencies += [percentile(interval.series.get(name, {}), 99) for name in ("send_lag", "read_lag")]
    moment = datetime.fromtimestamp(interval.start_ns / NS_PER_S, UTC)
    return [
        moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z",
        f"{(interval.start_ns - begin_ns) / NS_PER_S:.3f}",
        interval.phase,
        connections,
        counts.get("sent", 0),
        counts.get("received", 0),
        counts.get("lost", 0),
        counts.get("payload_sent", 0),
        counts.get("payload_received", 0),
        *("" if value is None else value for value in latencies),
        "" if cpu is None else f"{cpu:.1f}",
    ]
