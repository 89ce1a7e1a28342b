"""Live figures, computed from reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wsbench.cgroup_cpu import Throttling
from wsbench.master.live import LiveView
from wsbench.master.worker_registry import WorkerRegistry
from wsbench.measure.delta import IntervalDelta
from wsbench.measure.histogram import Buckets, record
from wsbench.measure.series import LATENCY_SERIES
from wsbench.results.run_result import ConnectionCounts
from wsbench.run.options import RunOptions
from wsbench.run.protocol import Health, Report

S = 1_000_000_000
MS = 1_000_000


def options(**given: Any) -> RunOptions:
    return RunOptions.from_texts({"rate": "100", **given}, url="ws://127.0.0.1/echo", users=2)


def values(*latencies_ms: float) -> Buckets:
    buckets: Buckets = {}
    for latency in latencies_ms:
        record(buckets, int(latency * MS))
    return buckets


def second(number: int, *latencies_ms: float, phase: str = "measure", wall_ns: int = S, **counts: int) -> IntervalDelta:
    """Return a second with these response times."""
    found = values(*latencies_ms)
    series = {"response": found, "service": dict(found), "send_lag": values(*[0.1] * len(latencies_ms))}
    common = {"wall_ns": wall_ns, "sent": len(latencies_ms), "received": len(latencies_ms), **counts}
    return IntervalDelta(phase, number * S, {name: count for name, count in common.items() if count}, series)


class Reports:
    """Live figures that take reports in the order of the collector."""

    def __init__(self, yield_control: Callable[[], None] = lambda: None, **given: Any) -> None:
        self.registry = WorkerRegistry()
        self.live = LiveView(options(**given), self.registry, yield_control=yield_control)

    def send(self, *deltas: IntervalDelta, worker: int = 0, throttling: Throttling | None = None, **tally: int) -> None:
        number = self.registry.expect(worker).report.number + 1
        report = Report(worker, number, list(deltas), ConnectionCounts(**tally), [], Health(throttling=throttling))
        self.live.take(report)
        self.registry.take(report)


def test_a_second_of_two_workers_is_their_sum() -> None:
    reports = Reports()
    reports.send(second(1, *[1.0] * 60, connections_opened=1))
    reports.registry.expect(1)
    [half] = reports.live.points(0)
    assert half.sent_per_s == 120  # one of two workers has reported
    reports.send(second(1, *[3.0] * 40, connections_opened=1), worker=1)
    [whole] = reports.live.points(0)
    assert (whole.sent_per_s, whole.received_per_s, whole.connections) == (100, 100, 2)
    p50, _, p99, most = whole.response
    assert p50 is not None and p99 is not None and most is not None
    assert abs(p50 - MS) < 0.04 * MS and abs(p99 - 3 * MS) < 0.04 * 3 * MS and most >= 3 * MS


def test_rates_of_part_of_a_second_are_a_second_s_and_slivers_are_left_out() -> None:
    reports = Reports()
    reports.send(second(1, *[1.0] * 20, wall_ns=S // 4), second(2, 1.0, wall_ns=S // 50))
    assert [point.sent_per_s for point in reports.live.points(0)] == [80]


def test_lost_messages_are_the_slowest() -> None:
    reports = Reports()
    reports.send(second(1, *[1.0] * 95, sent=5 + 95, lost=5))
    [point] = reports.live.points(0)
    assert point.lost_per_s == 5 and point.response[2] is None and point.response[0] is not None
    tables = {name: table for name, table, _ in reports.live.latencies()}
    assert tables["response"]["lost"] == 5 and tables["response"]["p99_ns"] is None
    assert tables["send_lag"]["lost"] == 0


def test_errors_and_missing_connections_of_a_second() -> None:
    reports = Reports()
    reports.send(second(1, 1.0, connections_opened=5, connections_wanted=5))
    reports.send(second(2, 1.0, connections_closed=3, errors_listed=7, missed=2, lost=1, sent=2))
    _, point = reports.live.points(0)
    assert (point.connections, point.wanted, point.errors_per_s, point.lost_per_s) == (2, 5, 10, 3)


def test_a_late_reply_belongs_to_its_second_and_changes_that_alone() -> None:
    reports = Reports()
    for number in range(1, 4):
        reports.send(second(number, 1.0))
    known = reports.live.version
    reports.send(second(1, 900.0, wall_ns=0))
    [changed] = reports.live.points(known)
    assert changed.start_ns == S and changed.response[3] is not None and changed.response[3] >= 900 * MS
    assert len(list(reports.live.points(0))) == 3


def test_a_second_that_is_read_while_it_is_added_is_complete_afterwards() -> None:
    known: list[int] = []

    def read() -> None:
        if len(known) < 5:
            known.append(reports.live.version)
            list(reports.live.points(0))
            reports.live.latest()

    reports = Reports(read)
    reports.send(second(1, *[1.0] * 50))
    for since in (0, known[0]):
        [point] = reports.live.points(since)
        assert point.received_per_s == 50 and None not in (*point.response, *point.service)


def test_only_the_latest_seconds_are_kept() -> None:
    reports = Reports()
    for number in range(1, 1000):
        reports.send(second(number, 1.0))
    points = list(reports.live.points(0))
    assert len(points) == 600 and points[-1].start_ns == 999 * S
    # settled seconds keep their figures and take no more values
    reports.send(second(500, 900.0, wall_ns=0), second(1, 900.0, wall_ns=0))
    points = list(reports.live.points(0))
    assert len(points) == 600 and points[0].start_ns == 400 * S
    most = next(point.response[3] for point in points if point.start_ns == 500 * S)
    assert most is not None and most < 2 * MS
    table = next(table for name, table, _ in reports.live.latencies() if name == "response")
    assert table["count"] == 1001 and table["max_ns"] >= 900 * MS  # the figures of the phase include all values


def test_figures_are_of_the_measure_phase_once_it_has_begun() -> None:
    reports = Reports()
    reports.send(second(1, 1.0, phase="ramp"), second(2, 1.0, phase="warmup"))
    assert reports.live.phase_shown == "warmup" and reports.live.counts()["sent"] == 1
    reports.send(second(3, 1.0, 1.0), second(4, phase="drain"))
    assert reports.live.phase_shown == "measure" and reports.live.counts()["sent"] == 2
    assert [point.phase for point in reports.live.points(0)] == ["ramp", "warmup", "measure"]


def test_a_closed_loop_has_its_response_times_from_service() -> None:
    reports = Reports(rate=None)
    closed = IntervalDelta("measure", S, {"wall_ns": S, "sent": 3, "received": 3}, {"service": values(1.0, 2.0, 4.0)})
    closed.series["response"] = dict(closed.series["service"])
    reports.send(closed)
    [point] = reports.live.points(0)
    assert point.response == point.service and point.response[3] is not None
    tables = {name: table for name, table, _ in reports.live.latencies()}
    assert tables["response"] == tables["service"] and tables["service"]["count"] == 3


@pytest.mark.parametrize(
    ("lag_ms", "cpu_ns", "verdict"), [(0.1, S // 10, "ok"), (40.0, S // 10, "late"), (40.0, S, "saturated")]
)
def test_the_verdict_follows_the_rules_of_the_result(lag_ms: float, cpu_ns: int, verdict: str) -> None:
    reports = Reports()
    late = second(1, *[lag_ms] * 100, cpu_ns=cpu_ns)
    late.series["send_lag"] = values(*[lag_ms] * 100)
    late.series["service"] = values(*[0.2] * 100)
    reports.live.judge(set())
    assert reports.live.verdict is None
    reports.send(late, opened=2)
    reports.live.judge(set())
    assert reports.live.verdict is not None
    word, found = reports.live.verdict
    assert word == verdict, found
    assert "worker-lost" not in [finding.code for finding in found]
    reports.live.judge({0})
    assert "worker-lost" in [finding.code for finding in reports.live.verdict[1]]


def test_a_cpu_quota_that_stops_the_generator_is_seen_while_it_runs() -> None:
    reports = Reports(rate=100.0)
    for worker in (0, 1):
        reports.send(second(1, *[1.0] * 100), worker=worker, throttling=Throttling(0.5, "", 10, 4, 100 * MS))
    reports.live.judge(set())
    assert reports.live.verdict is not None
    word, found = reports.live.verdict
    assert (word, [finding.code for finding in found if finding.severity == word]) == ("late", ["cpu-throttled"])


def verdict_of(live: LiveView) -> str | None:
    live.judge(set())
    return live.verdict and live.verdict[0]


@pytest.mark.parametrize(
    ("read", "figures"),
    [
        (lambda live: [name for name, _, _ in live.latencies()], list(LATENCY_SERIES)),
        (lambda live: [point.start_ns for point in live.points(0)], [S]),
        (verdict_of, "ok"),
    ],
    ids=["latencies", "points", "verdict"],
)
def test_reports_that_arrive_during_a_reading_are_not_in_it(read: Callable[[LiveView], Any], figures: object) -> None:
    """A reading yields control; reports that arrive then add series and points."""
    arriving: list[IntervalDelta] = []

    def yield_control() -> None:
        if arriving:
            reports.send(arriving.pop())

    reports = Reports(yield_control)
    reports.send(IntervalDelta("measure", S, {"wall_ns": S, "sent": 1}, {"send_lag": values(1.0)}))
    arriving[:] = [second(number, 1.0, 5.0) for number in range(2, 30)]
    arriving[-1].series["login"] = values(1.0)
    assert read(reports.live) == figures
    assert reports.live.counts()["sent"] == 1 + 2 * 28, "all of them arrived, and are in the next reading"
    assert len(list(reports.live.points(0))) == 29
    assert [name for name, _, _ in reports.live.latencies()] == [*LATENCY_SERIES, "login"]
