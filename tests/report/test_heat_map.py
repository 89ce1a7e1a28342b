"""Latency over time: every message is in one cell of the heat map."""

from __future__ import annotations

import pytest
from helpers.synthetic import BEGIN_NS, stored

from wsbench.measure.bucket_arrays import SparseBuckets
from wsbench.measure.histogram import Buckets, percentile, record
from wsbench.report import hlog
from wsbench.report.html.heat_map import ROWS, collect_latencies, heat_map
from wsbench.report.html.timeline_reader import Timeline, read_timeline


def test_the_heat_map_holds_every_message_of_the_measure_phase() -> None:
    minute = stored(60, lost_per_stall=50)
    over_time = read_timeline(minute.timeline, "timeline.csv")
    _, columns = collect_latencies(minute.lines(), over_time, "response")
    heat = heat_map(columns, over_time)
    assert heat is not None
    assert sum(map(sum, heat.counts)) == minute.run.messages.received
    assert [sum(row[n] for row in heat.counts) for n in range(60)] == [1000] * 60
    assert (heat.time_edges_s[0], heat.time_edges_s[-1]) == (5.0, 65.0)
    assert len(heat.latency_edges_ns) == len(heat.counts) + 1 <= ROWS + 1
    for line in minute.lines():
        if line.tag == "response":
            second = (line.start_ns - BEGIN_NS) // 10**9 - 5
            exact = percentile(line.counts.buckets(), 50)
            assert exact is not None
            assert heat.p50_ns[second] == pytest.approx(exact, rel=0.04)
    stalled = [second for second, value in enumerate(heat.p99_ns) if value is None]
    assert stalled == [20, 40]  # 50 of 1,050 were lost


def test_rows_of_the_heat_map_are_at_their_latencies() -> None:
    buckets: Buckets = {}
    for value in (100_000, 1_000_000, 64_000_000):
        record(buckets, value)
    over_time = Timeline([], 0, 1)
    line = hlog.Line("response", 0, 10**9, SparseBuckets.of(buckets))
    _, columns = collect_latencies([line], over_time, "response")
    heat = heat_map(columns, over_time)
    assert heat is not None
    edges = heat.latency_edges_ns
    found = [(edges[n], edges[n + 1]) for n, row in enumerate(heat.counts) if row[0]]
    assert all(
        low * 0.96 <= value < high for (low, high), value in zip(found, (100_000, 1_000_000, 64_000_000), strict=True)
    )
