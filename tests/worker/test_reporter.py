"""Reports of a process: numbered, on the master's clock, and complete at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import gevent
import pytest
from helpers.driver import LoggedDriver
from helpers.peer import until
from helpers.run_hosts import failing

from wsbench.measure.phases import FOREVER_NS, PhasePlan
from wsbench.measure.recorder import Recorder
from wsbench.results.run_result import ConnectionCounts
from wsbench.run.options import RunOptions
from wsbench.run.protocol import NOT_SHARED, Health, Report
from wsbench.transport.connect import Connector
from wsbench.transport.traffic import Traffic
from wsbench.units import NS_PER_S
from wsbench.websocket.connect_options import ConnectOptions
from wsbench.worker.connection_time import ConnectionTime
from wsbench.worker.connections import Connections
from wsbench.worker.error_counter import ErrorCounter
from wsbench.worker.load_schedule import LoadSchedule
from wsbench.worker.pacer import Pacer
from wsbench.worker.reply_examples import ReplyExamples
from wsbench.worker.reporter import Reporter


class Bench:
    """A reporter without connections, and its reports."""

    def __init__(self, plan: PhasePlan) -> None:
        self.reports: list[Report] = []
        self.arrivals: list[float] = []
        self.refuse = 0
        self.recorder = Recorder(plan, time.time_ns(), closed_loop=True, sample=dict)
        self.pacer = Pacer(offset_ns=0, backlog_ns=NS_PER_S, on_error=lambda _: None)
        traffic, errors, self.tally = Traffic(), ErrorCounter(), ConnectionCounts()
        self.connection_time = ConnectionTime()
        self.connections = Connections(
            Connector(ConnectOptions("ws://localhost"), context=None, traffic=traffic),
            traffic=traffic,
            recorder=self.recorder,
            tally=self.tally,
            connection_time=self.connection_time,
            errors=errors,
            pacer=self.pacer,
            timeout_ns=NS_PER_S,
            handshakes=1,
            handshake_patience_s=1,
        )
        options = RunOptions.from_texts({}, url="ws://localhost", users=1)
        self.reporter = Reporter(
            self._take,
            worker=3,
            recorder=self.recorder,
            connections=self.connections,
            schedule=LoadSchedule(options, self.pacer, worker=3, sharing=NOT_SHARED, on_error=failing),
            errors=errors,
            examples=ReplyExamples(str),
            sample_health=Health,
        )

    def _take(self, report: Report) -> None:
        if self.refuse:
            self.refuse -= 1
            raise TypeError("refused for a test")
        self.reports.append(report)
        self.arrivals.append(time.time())

    def sent(self) -> int:
        return sum(delta.counts.get("sent", 0) for report in self.reports for delta in report.deltas)

    def stop(self) -> None:
        self.connections.close_all()
        self.pacer.stop()


Make = Callable[[PhasePlan], Bench]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Bench] = []

    def bench(plan: PhasePlan) -> Bench:
        made.append(Bench(plan))
        return made[-1]

    yield bench
    for each in made:
        each.stop()


def test_reports_are_numbered_and_only_the_last_is_final(make: Make) -> None:
    bench = make(PhasePlan())
    until(lambda: len(bench.reports) > 2)
    bench.reporter.finish()
    numbers = [report.number for report in bench.reports]
    assert numbers == list(range(1, len(numbers) + 1))
    assert [report.final for report in bench.reports] == [False] * (len(numbers) - 1) + [True]
    assert {report.worker for report in bench.reports} == {3}
    gevent.sleep(0.3)
    assert len(bench.reports) == len(numbers), "nothing follows the final report"


def test_what_is_counted_until_the_end_is_reported_once(make: Make) -> None:
    bench = make(PhasePlan())
    for _ in range(5):
        bench.recorder.advance(time.time_ns()).sent += 10
        gevent.sleep(0.11)
    bench.recorder.current.sent += 3
    bench.reporter.finish()
    assert bench.sent() == 53


def test_counts_that_cannot_be_sent_cost_nothing_else(make: Make) -> None:
    bench = make(PhasePlan())
    until(lambda: bench.reports)
    bench.refuse = 1
    bench.recorder.current.sent += 3
    bench.reporter.finish()
    last = bench.reports[-1]
    assert last.final and [report.number for report in bench.reports] == list(range(1, last.number + 1))
    assert "refused for a test" in last.failure
    assert [(error.kind, error.count) for error in last.errors] == [("internal", 1)]


def test_after_the_ramp_a_report_follows_each_interval(make: Make) -> None:
    now = time.time_ns()
    bench = make(PhasePlan(now, now, FOREVER_NS))
    until(lambda: len(bench.reports) == 3)
    bench.reporter.finish()
    gaps = [later - earlier for earlier, later in zip(bench.arrivals[:2], bench.arrivals[1:3], strict=True)]
    assert min(gaps) > 0.9


def test_intervals_begin_on_the_masters_clock(make: Make) -> None:
    now = time.time_ns() // NS_PER_S * NS_PER_S
    bench = make(PhasePlan(now, now, FOREVER_NS))
    bench.reporter.clock_offset_ns = 500
    bench.recorder.advance(time.time_ns()).sent += 1
    bench.reporter.finish()
    (delta,) = [delta for report in bench.reports for delta in report.deltas if delta.counts.get("sent")]
    assert (delta.start_ns - now) % NS_PER_S == 500
    assert bench.reports[-1].health.clock_offset_ns == 500


def test_outages_are_on_the_masters_clock_while_they_go_on(make: Make) -> None:
    bench, driver = make(PhasePlan()), LoggedDriver()
    bench.reporter.clock_offset_ns = 100 * NS_PER_S
    bench.connection_time.opened(driver)
    bench.reporter.finish()
    assert bench.reports[-1].outages == []
    before_ns = time.time_ns()
    bench.connection_time.dropped(driver)
    bench.reporter.finish()
    ((start_ns, end_ns),) = bench.reports[-1].outages
    assert before_ns - 10**6 < start_ns - 100 * NS_PER_S < end_ns - 100 * NS_PER_S < time.time_ns() + 10**6


def test_intervals_of_the_ramp_begin_with_seconds_of_the_masters_clock(make: Make) -> None:
    bench = make(PhasePlan())
    bench.reporter.clock_offset_ns = 123_456_789
    bench.recorder.advance(time.time_ns()).sent += 1
    bench.reporter.finish()
    starts = {delta.start_ns for report in bench.reports for delta in report.deltas}
    assert starts and all(start % NS_PER_S == 0 for start in starts)
