"""The collector counts each accepted report once."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from helpers.run_hosts import MS, RecordingHost, S, delta, failing, options, report

from wsbench.master.collector import Collector


@pytest.fixture
def host() -> RecordingHost:
    return RecordingHost()


@pytest.fixture
def collector(tmp_path: Path, host: RecordingHost) -> Iterator[Collector]:
    collector = Collector(options(), tmp_path, host, beside_engine=False, after_report=lambda: None, on_failure=failing)
    with contextlib.closing(collector.spill):
        yield collector


def test_accepted_reports_are_counted_when_it_closes(collector: Collector, host: RecordingHost) -> None:
    for number in range(1, 6):
        assert collector.receive(report(number, delta("measure", 0, 1.0, 2.0)))
    collector.close()
    assert collector.totals.counts()["received"] == 10
    assert collector.registry.expect(0).report.number == 5
    assert [shown.number for shown, _ in host.shown] == [1, 2, 3, 4, 5]
    assert [sum(response.values()) for _, response in host.shown] == [2] * 5


def test_a_report_that_comes_twice_counts_once(collector: Collector, host: RecordingHost) -> None:
    for _ in range(2):
        assert collector.receive(report(1, delta("measure", 0, 1.0)))
    collector.close()
    assert collector.totals.counts()["received"] == 1
    assert len(host.shown) == 1


def test_after_the_close_only_reports_that_counted_are_accepted(collector: Collector) -> None:
    collector.receive(report(1, delta("measure", 0, 1.0)))
    collector.close()
    assert collector.receive(report(1, delta("measure", 0, 1.0))), "the worker may forget it"
    assert not collector.receive(report(2, delta("measure", 0, 1.0))), "it is not counted"
    assert collector.totals.counts()["received"] == 1


def test_a_report_that_cannot_be_counted_is_a_failure_and_the_others_count(tmp_path: Path, host: RecordingHost) -> None:
    failures: list[Exception] = []
    collector = Collector(
        options(), tmp_path, host, beside_engine=False, after_report=lambda: None, on_failure=failures.append
    )
    broken = delta("measure", 0)
    broken.counts["sent"] = "many"  # type: ignore[assignment]
    collector.receive(report(1, delta("measure", 0, 1.0)))
    collector.receive(report(2, broken))
    collector.receive(report(3, delta("measure", 0, 1.0), final=True))
    collector.close()
    collector.spill.close()
    assert [type(failure) for failure in failures] == [TypeError]
    assert collector.totals.counts()["received"] == 2
    assert not collector.registry.not_final(), "the end of the run waits for no other report"


def test_it_waits_for_the_last_report_of_each_worker(collector: Collector) -> None:
    collector.registry.expect(0)
    collector.registry.expect(1)
    collector.receive(report(1, worker=0, final=True))
    gevent.spawn_later(0.05, collector.receive, report(1, worker=1, final=True))
    collector.wait_for_final(set, 60.0)
    assert not collector.registry.not_final()
    collector.close()


def test_it_does_not_wait_for_a_worker_that_is_missing_nor_longer_than_it_may(collector: Collector) -> None:
    collector.registry.expect(0)
    collector.wait_for_final(lambda: {0}, 60.0)
    begin = time.monotonic()
    collector.wait_for_final(set, 0.05)
    assert 0.05 <= time.monotonic() - begin < 30
    assert collector.registry.not_final() == {0}
    collector.close()


def test_seconds_that_have_settled_are_spilled(collector: Collector) -> None:
    now = time.time_ns()
    old = now - 60 * S
    collector.receive(report(1, delta("measure", old, 1.0), delta("measure", now, 1.0)))
    collector.close()
    assert [interval.start_ns for interval in collector.totals.intervals()] == [now]
    assert [row.start_ns for row in collector.spill.rows()] == [old]
    assert collector.totals.counts()["received"] == 2


def test_groups_become_series_when_it_closes(collector: Collector) -> None:
    grouped = delta("measure", time.time_ns())
    grouped.groups = {"delivery": {7: {MS: 1}, 8: {2 * MS: 1}}}
    collector.receive(report(1, grouped))
    collector.close()
    assert sum(collector.totals.series("delivery.first").values()) == 2
