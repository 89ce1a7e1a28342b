"""A worker's reports: said until they are acknowledged, and kept until the end."""

from __future__ import annotations

import contextlib
import resource
import signal
from collections.abc import Iterator

import pytest

from wsbench.measure.delta import IntervalDelta
from wsbench.run.protocol import ConnectionTally, Health, Report, unpack_report
from wsbench.worker.report_queue import Post


def report(number: int) -> Report:
    delta = IntervalDelta("measure", number, {"sent": number}, {"service": dict.fromkeys(range(200), 1)})
    return Report(0, number, [delta], ConnectionTally(opened=number), [], Health(), final=number == 3)


@pytest.fixture
def said() -> list[int]:
    """Numbers of the reports that went out."""
    return []


@pytest.fixture
def post(said: list[int]) -> Iterator[Post]:
    with contextlib.closing(Post(lambda packed: said.append(unpack_report(packed).number))) as post:
        yield post


def test_what_is_acknowledged_is_not_said_again(post: Post, said: list[int]) -> None:
    for number in (1, 2, 3):
        post.send(report(number))
    assert [post.acknowledged(number) is not None for number in (1, 3, 3, 2)] == [True, True, False, True]
    assert post.deliver(0) and said == [1, 2, 3]


def test_what_is_not_acknowledged_is_said_again_until_patience_ends(post: Post, said: list[int]) -> None:
    for number in (1, 2, 3):
        post.send(report(number))
    post.acknowledged(2)
    assert not post.deliver(0), "nobody answered"
    assert said == [1, 2, 3, 1, 3] and post.under_way == 2


def test_all_of_it_is_kept_as_it_was_when_it_was_said(post: Post) -> None:
    reports = [report(number) for number in (1, 2, 3)]
    for each in reports:
        post.send(each)
        post.acknowledged(each.number)
    reports[0].connections.opened = 99  # an engine's tally goes on
    kept = list(post.everything())
    assert [each.connections.opened for each in kept] == [1, 2, 3]
    assert kept[1:] == reports[1:]


def test_on_a_full_disk_whole_reports_are_kept_and_it_says_so(post: Post, said: list[int]) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        post.send(report(1))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        post.send(report(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    post.send(report(3))
    assert not post.lasting
    assert [each.number for each in post.everything()] == [1]
    assert said == [1, 2, 3], "the master gets all of them"
