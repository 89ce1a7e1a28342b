"""The pacer on a real hub and a real timer: it fires, misses, and lets other greenlets run."""

from __future__ import annotations

import bisect
import itertools
import time
from collections.abc import Iterator

import gevent
import pytest
from gevent.event import Event
from helpers.peer import until

from wsbench.measure.schedule import Constant, slots
from wsbench.worker import pacer as pacer_module
from wsbench.worker.pacer import Pacer

OFFSET_NS = 10**18
"""Offset between the clocks, as given to the pacer."""


class Noted:
    """Notes the pacer's calls and their times."""

    def __init__(self, *, has_waiters: bool = False) -> None:
        self.has_waiters = has_waiters
        self.news = Event()
        self.fired: list[tuple[int, int]] = []
        self.missed: list[tuple[int, int]] = []
        self.fail_at = -1

    def fire(self, due_ns: int) -> None:
        self.fired.append((due_ns - OFFSET_NS, time.monotonic_ns()))
        self.news.set()
        if len(self.fired) == self.fail_at:
            raise RuntimeError("as asked")

    def miss(self, due_ns: int, count: int) -> None:
        self.missed.append((due_ns - OFFSET_NS, count))

    @property
    def dues(self) -> list[int]:
        return [due for due, _ in self.fired]

    @property
    def misses(self) -> int:
        return sum(count for _, count in self.missed)


class Bench:
    """A pacer and the errors it reports."""

    def __init__(self, backlog_ns: int = 10**10) -> None:
        self.errors: list[Exception] = []
        self.came = False
        self.reads: list[int] = []
        self.pacer = Pacer(offset_ns=OFFSET_NS, backlog_ns=backlog_ns, on_error=self.errors.append, read=self.read)

    def read(self) -> bool:
        self.reads.append(time.monotonic_ns())
        return self.came

    def add(self, rate: float, *, start_ns: int | None = None, has_waiters: bool = False) -> Noted:
        noted = Noted(has_waiters=has_waiters)
        now = time.monotonic_ns() if start_ns is None else start_ns
        self.pacer.add(noted, slots(rate=rate, connections=1, index=0, now_ns=now))
        return noted


@pytest.fixture(params=["timerfd", "hub timer"])
def bench(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    if request.param == "hub timer":
        monkeypatch.setattr(pacer_module.sys, "platform", "plan9")
    made = Bench()
    assert made.pacer.exact == (request.param == "timerfd")
    yield made
    made.pacer.stop()


@pytest.mark.parametrize("rate", [200, 20_000, 100_000])
def test_every_slot_is_fired_once_in_order_and_none_before_it_is_due(bench: Bench, rate: int) -> None:
    start = time.monotonic_ns()
    noted = bench.add(rate, start_ns=start)
    gevent.sleep(0.2)
    expected = slots(rate=rate, connections=1, index=0, now_ns=start)
    assert noted.dues == list(itertools.islice(expected, len(noted.fired)))
    assert len(noted.fired) > 10
    assert all(at >= due for due, at in noted.fired)
    assert noted.missed == []
    assert bench.errors == []


def test_a_connection_added_later_and_due_earlier_is_on_time(bench: Bench) -> None:
    late = bench.add(0.001)
    early = bench.add(1000)
    gevent.sleep(0.1)
    assert late.fired == []
    assert early.fired


def test_other_greenlets_run_while_everything_is_overdue(bench: Bench) -> None:
    bench.add(10**6, start_ns=time.monotonic_ns() - 10**9)
    before = time.monotonic()
    rounds = 0
    while time.monotonic() < before + 0.1:
        gevent.sleep(0)
        rounds += 1
    assert rounds > 1


def test_an_error_is_reported_and_pacing_goes_on(bench: Bench) -> None:
    noted = bench.add(1000)
    noted.fail_at = 3
    gevent.sleep(0.1)
    assert [str(error) for error in bench.errors] == ["as asked"]
    assert len(noted.fired) > 3


def test_messages_overdue_by_more_than_the_backlog_are_missed() -> None:
    bench = Bench(backlog_ns=10**7)
    try:
        start = time.monotonic_ns() - 10**9
        noted = bench.add(1000, start_ns=start)
        gevent.sleep(0.05)
    finally:
        bench.pacer.stop()
    seen = noted.misses + len(noted.fired)
    expected = list(itertools.islice(slots(rate=1000, connections=1, index=0, now_ns=start), seen))
    assert {*noted.dues, *(due for due, _ in noted.missed)} <= {*expected}
    assert noted.missed[0][0] == expected[0]
    assert noted.misses > 900
    assert all(at - due <= 10**7 + 5 * 10**8 for due, at in noted.fired)


def test_after_a_long_stall_it_does_not_stay_late() -> None:
    bench = Bench(backlog_ns=10**7)
    try:
        noted = bench.add(1000)
        gevent.sleep(0.01)
        began = time.monotonic_ns()
        time.sleep(0.1)  # nothing runs on the hub
        ended = time.monotonic_ns()
        until(lambda: noted.dues and noted.dues[-1] > ended)
    finally:
        bench.pacer.stop()
    assert not [due for due in noted.dues if began + 10**7 < due < ended]
    assert noted.misses >= 80


def test_messages_due_when_it_stops_are_missed_and_none_follow() -> None:
    bench = Bench()
    noted = bench.add(1000, start_ns=time.monotonic_ns() - 10**8)
    bench.pacer.stop()
    assert noted.misses >= 100
    assert noted.fired == []
    gevent.sleep(0.02)
    assert noted.fired == []


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
def test_a_rate_beyond_all_means_is_missed_by_the_interval(arrivals: str) -> None:
    bench = Bench()
    start = time.monotonic_ns() - 10**10
    noted = Noted()
    bench.pacer.add(noted, slots(rate=10**9, connections=1, index=0, now_ns=start, arrivals=arrivals))
    bench.pacer.stop()
    assert noted.misses >= 0.999 * 10**10
    assert len(noted.missed) < 20
    assert noted.fired == []


@pytest.mark.parametrize("came", [False, True])
def test_time_spent_polling_without_result_is_counted(came: bool) -> None:
    bench = Bench()
    bench.came = came
    try:
        bench.add(15_000)  # never far enough apart to sleep
        start = time.monotonic_ns()
        gevent.sleep(0.2)
        polled, passed = bench.pacer.polled_ns, time.monotonic_ns() - start
    finally:
        bench.pacer.stop()
    assert (polled > 0) is not came
    assert polled < passed


def test_replies_are_read_between_messages_that_are_due_soon(bench: Bench) -> None:
    noted = bench.add(50_000)
    gevent.sleep(0.1)
    read_after = {bisect.bisect(bench.reads, at) for _, at in noted.fired}
    assert len(read_after) > 10


@pytest.mark.parametrize("has_waiters", [False, True])
def test_a_greenlet_that_waits_for_a_due_instant_runs_before_the_next_one(bench: Bench, has_waiters: bool) -> None:
    noted = bench.add(20_000, has_waiters=has_waiters)
    late = 0
    for _ in range(200):
        noted.news.clear()
        fired = len(noted.fired)
        noted.news.wait()
        late += len(noted.fired) > fired + 1
    assert (late > 100) is not has_waiters


def test_messages_that_are_due_at_once_are_fired_in_one_call(bench: Bench) -> None:
    calls: list[list[int]] = []
    bench.pacer.fire_together = lambda due: calls.append([due_ns - OFFSET_NS for due_ns, _ in due])
    due_ns = time.monotonic_ns() + 20_000_000
    for _ in range(3):
        bench.pacer.add(Noted(), Constant(10.0**18, due_ns))
    until(lambda: calls)
    assert calls == [[due_ns] * 3]
    assert not bench.errors


def test_it_is_behind_while_a_message_that_was_due_has_not_been_sent(bench: Bench) -> None:
    first_ns = time.monotonic_ns() + 50_000_000
    bench.pacer.add(Noted(), Constant(10.0**18, first_ns))
    behind = [bench.pacer.is_behind(first_ns + OFFSET_NS + difference) for difference in (0, 1)]
    assert behind == [False, True]
    until(lambda: not bench.pacer.is_behind(first_ns + OFFSET_NS + 1))
