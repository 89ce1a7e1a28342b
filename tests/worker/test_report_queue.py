"""A worker's queue: sent until they are acknowledged, and kept until the end."""

from __future__ import annotations

import contextlib
import resource
import signal
from collections.abc import Iterator

import pytest

from wsbench.measure.delta import IntervalDelta
from wsbench.results.run_result import ConnectionCounts
from wsbench.run.packing import unpack
from wsbench.run.protocol import Health, Report
from wsbench.worker.report_queue import ReportQueue


def report(number: int) -> Report:
    delta = IntervalDelta("measure", number, {"sent": number}, {"service": dict.fromkeys(range(200), 1)})
    return Report(0, number, [delta], ConnectionCounts(opened=number), [], Health(), final=number == 3)


@pytest.fixture
def sent() -> list[int]:
    """Numbers of the reports that were sent."""
    return []


@pytest.fixture
def queue(sent: list[int]) -> Iterator[ReportQueue]:
    with contextlib.closing(ReportQueue(lambda packed: sent.append(unpack(packed, Report).number))) as queue:
        yield queue


def test_an_acknowledged_report_is_not_sent_again(queue: ReportQueue, sent: list[int]) -> None:
    for number in (1, 2, 3):
        queue.send(report(number))
    assert [queue.acknowledged(number) is not None for number in (1, 3, 3, 2)] == [True, True, False, True]
    assert queue.flush(0) and sent == [1, 2, 3]


def test_an_unacknowledged_report_is_sent_again_until_patience_ends(queue: ReportQueue, sent: list[int]) -> None:
    for number in (1, 2, 3):
        queue.send(report(number))
    queue.acknowledged(2)
    assert not queue.flush(0), "the master is silent"
    assert sent == [1, 2, 3, 1, 3] and queue.unacknowledged == 2


def test_all_reports_are_kept_as_they_were_when_sent(queue: ReportQueue) -> None:
    reports = [report(number) for number in (1, 2, 3)]
    for each in reports:
        queue.send(each)
        queue.acknowledged(each.number)
    reports[0].connections.opened = 99  # an engine's tally goes on
    kept = list(queue.replay())
    assert [each.connections.opened for each in kept] == [1, 2, 3]
    assert kept[1:] == reports[1:]


def test_on_a_full_disk_only_whole_reports_are_kept_and_the_queue_is_not_persistent(
    queue: ReportQueue, sent: list[int]
) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        queue.send(report(1))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        queue.send(report(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    queue.send(report(3))
    assert not queue.persistent
    assert [each.number for each in queue.replay()] == [1]
    assert sent == [1, 2, 3], "the master gets all of them"
