"""Results of runs that never were, of any length: a server with a slow tail, a stall now and then, a noisy hour.

Encoded as a run encodes its own. The figures of run.json follow from the histograms.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace

from wsbench.measure.delta import IntervalDelta
from wsbench.measure.histogram import (
    PERCENTS,
    Buckets,
    highest_value,
    lowest_value,
    mean_and_deviation,
    merged,
    percentiles,
    record,
)
from wsbench.measure.series import CONNECT_SERIES, LATENCY_SERIES, SERIES
from wsbench.report import hlog, timeline
from wsbench.results import run_result
from wsbench.results.json_files import encode_json
from wsbench.results.run_result import (
    Bytes,
    ConnectionCounts,
    Generator,
    Latency,
    MessageCounts,
    Run,
    Throughput,
    Timestamps,
    Worker,
)

from . import logs
from .sample_run import RUN

BEGIN_NS = int(datetime(2026, 11, 22, 9, 15, tzinfo=UTC).timestamp()) * 10**9
_S = 10**9
_LOST = ("response", "service", "read_lag")


@dataclass
class Stored:
    """Contents of a result directory."""

    run: Run
    log: bytes
    timeline: bytes

    def lines(self) -> list[hlog.Line]:
        return list(hlog.read_lines(self.log.splitlines(), "latency.hlog"))

    def write(self, results_dir: Path) -> Path:
        """Write the directory of its id to `results_dir`."""
        where = results_dir / self.run.id
        where.mkdir(parents=True)
        (where / run_result.RUN_FILE).write_bytes(encode_json(self.run))
        (where / "latency.hlog").write_bytes(self.log)
        (where / "timeline.csv").write_bytes(self.timeline)
        return where


def stored(
    seconds: int,
    *,
    per_s: int = 1000,
    samples_per_s: int = 400,
    lost_per_stall: int = 0,
    median_us: float = 180.0,
    seed: int = 1,
    **changed: object,
) -> Stored:
    """An open loop's run of 2 s ramp, 3 s warm-up, `seconds` of measuring, 1 s drain; `changed` are fields of the run.

    Args:
        samples_per_s: messages that are drawn; each stands for so many that there are `per_s`.
        lost_per_stall: of every stall, which comes after each third of the run. If any are, the stall also drops ten
            connections, which are open again a second later.
    """
    rng = random.Random(seed)
    intervals = [_connecting(rng, 0, 25), _connecting(rng, 1, 25)]
    intervals += [_interval(rng, "warmup", 2 + n, per_s, samples_per_s, median_us, 0) for n in range(3)]
    stalls = {seconds // 3, 2 * seconds // 3}
    for n in range(seconds):
        slow = median_us * (1 + 1.5 * n / max(60, seconds))
        lost = lost_per_stall if n in stalls else 0
        intervals.append(
            _interval(rng, "measure", 5 + n, per_s, samples_per_s, slow * (40 if n in stalls else 1), lost)
        )
    for stall in stalls if lost_per_stall else ():
        dropped, reopened = (intervals[place].counts for place in (5 + stall, 6 + stall))
        dropped |= {"connections_closed": 10, "dropped": 10, "connect_failed": 12, "away_ns": 5 * _S}
        reopened |= {"connections_opened": 10, "away_ns": 5 * _S}
    intervals.append(
        IntervalDelta("drain", BEGIN_NS + (5 + seconds) * _S, {"connections_closed": 50, "connections_wanted": -50})
    )
    busy = {(each.phase, each.start_ns): rng.uniform(35, 55) for each in intervals}
    lines = [
        logs.Line(name, each.start_ns, _S, buckets)
        for each in intervals
        for name, buckets in each.series.items()
        if name in CONNECT_SERIES or each.phase == "measure"
    ]
    return Stored(
        replace(_run(intervals, seconds, float(per_s)), **changed),
        logs.encode(lines, start_ns=BEGIN_NS, comment="synthetic"),
        timeline.encode([timeline.make_row(interval) for interval in intervals], busy),
    )


def _connecting(rng: random.Random, second: int, count: int) -> IntervalDelta:
    series: dict[str, Buckets] = {name: {} for name in CONNECT_SERIES}
    for _ in range(count):
        parts = {
            "tcp": rng.lognormvariate(11, 0.4),
            "tls": rng.lognormvariate(14.6, 0.2),
            "upgrade": rng.lognormvariate(13.3, 0.3),
        }
        for name, value in {**parts, "connect": sum(parts.values())}.items():
            record(series[name], int(value))
    counts = {"connections_opened": count, "connections_wanted": count}
    return IntervalDelta("ramp", BEGIN_NS + second * _S, counts, series)


def _interval(
    rng: random.Random, phase: str, second: int, per_s: int, samples: int, median_us: float, lost: int
) -> IntervalDelta:
    series: dict[str, Buckets] = {name: {} for name in LATENCY_SERIES}
    weight = max(1, per_s // samples)
    for _ in range(per_s // weight):
        service = int(median_us * 1000 * rng.lognormvariate(0, 0.25) * (8 if rng.random() < 0.02 else 1))
        late = int(rng.lognormvariate(10.5, 0.5))
        record(series["service"], service, weight)
        record(series["send_lag"], late, weight)
        record(series["response"], service + late, weight)
        record(series["read_lag"], int(rng.lognormvariate(11, 0.6)), weight)
    received = per_s // weight * weight
    counts = {
        "sent": received + lost,
        "received": received,
        "lost": lost,
        "payload_sent": 128 * (received + lost),
        "payload_received": 128 * received,
    }
    return IntervalDelta(phase, BEGIN_NS + second * _S, counts, series)


def _run(intervals: list[IntervalDelta], seconds: int, rate: float) -> Run:
    def total(name: str, *, measured: bool) -> int:
        return sum(each.counts.get(name, 0) for each in intervals if each.phase == "measure" or not measured)

    def latency(name: str) -> Latency:
        parts = (each.series.get(name, {}) for each in intervals if name in CONNECT_SERIES or each.phase == "measure")
        return _latency(merged(parts), total("lost", measured=True) if name in _LOST else 0)

    measured, everything = [
        MessageCounts(**{name: total(name, measured=measured) for name in ("sent", "received", "lost")})
        for measured in (True, False)
    ]
    conditions = replace(
        RUN.conditions, rate=rate, duration_ns=seconds * _S, warmup_ns=3 * _S, tls=True, url="wss://127.0.0.1:8765/echo"
    )
    return replace(
        RUN,
        conditions=conditions,
        messages=measured,
        messages_all_phases=everything,
        bytes=Bytes(128 * measured.sent, 128 * measured.received, 134 * measured.sent, 130 * measured.received),
        throughput=Throughput(measured.sent / seconds, measured.received / seconds),
        latency={name: latency(name) for name in SERIES},
        timestamps=Timestamps("kernel", measured.received, 0),
        connections=ConnectionCounts(50, 50, close_codes={"1000": 50}),
        errors=[],
        generator=Generator("ok", [], 11.5, 2.0, [Worker(0, 42.0, 55.0, 10**8, measured.received, 0, 6.0)]),
        gates=[],
    )


def _latency(buckets: Buckets, lost: int) -> Latency:
    if not buckets:
        return Latency(lost=lost)
    mean, deviation = mean_and_deviation(buckets)
    p50, p90, p99, p99_9, p99_99 = percentiles(buckets, PERCENTS, lost)
    return Latency(
        sum(buckets.values()),
        lost,
        lowest_value(min(buckets)),
        round(mean),
        round(deviation),
        p50,
        p90,
        p99,
        p99_9,
        p99_99,
        highest_value(max(buckets)),
    )
