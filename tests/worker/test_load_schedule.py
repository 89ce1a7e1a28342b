"""The schedule of one process: connections share the rate, whatever their number becomes."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import gevent
import pytest
from helpers.peer import until
from helpers.run_hosts import failing

from wsbench.run.options import RunOptions
from wsbench.run.protocol import Sharing
from wsbench.units import NS_PER_S
from wsbench.worker.load_schedule import LoadSchedule
from wsbench.worker.pacer import Pacer

RATE = 400


class Sender:
    """Notes the instants at which it was to send, those that it missed included."""

    has_waiters = False

    def __init__(self, due: list[int]) -> None:
        self.due = due
        self.fired = 0

    def fire(self, due_ns: int) -> None:
        self.due.append(due_ns)
        self.fired += 1

    def miss(self, due_ns: int, count: int) -> None:
        self.due += [due_ns] * count


class Bench:
    """The schedule of worker 0 in a run of two classes: `Paced` keeps to it, `Other` does not."""

    def __init__(self, **texts: str) -> None:
        self.due: list[int] = []
        self.pacer = Pacer(offset_ns=0, backlog_ns=NS_PER_S, on_error=failing)
        options = RunOptions.from_texts({"rate": str(RATE), **texts}, url="ws://localhost/", users=12, processes=1)
        sharing = Sharing({"Paced": 8, "Other": 4})
        self.schedule = LoadSchedule(options, self.pacer, worker=0, sharing=sharing, on_error=failing)
        self.senders: list[Sender] = []

    def add(self, count: int) -> list[Sender]:
        senders = [Sender(self.due) for _ in range(count)]
        for sender in senders:
            self.schedule.user_came("Paced")
            self.schedule.keeps("Paced")
            self.schedule.pace(sender)
        self.senders += senders
        return senders

    def ramped(self, **others: int) -> None:
        """The master has heard of this worker's users, and of `others` on worker 1."""
        present = {0: dict(self.schedule.users), **({1: others} if others else {})}
        self.schedule.apply(Sharing({"Paced": 8, "Other": 4}, ["Paced"], present))

    def stop(self) -> None:
        self.schedule.close()
        for sender in self.senders:
            self.schedule.unpace(sender)
            self.schedule.user_left("Paced")
        self.pacer.stop()

    def shared(self) -> None:
        """Wait until the rate is shared anew."""
        gevent.sleep(0.01)

    def rate(self) -> float:
        """Return the messages a second that are due from now on."""
        begin_ns = time.monotonic_ns()
        end_ns = begin_ns + NS_PER_S // 2
        until(lambda: self.due and self.due[-1] >= end_ns)  # in their order, also those that the machine made late
        return 2.0 * sum(begin_ns <= due_ns < end_ns for due_ns in self.due)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.stop()


def about(rate: float) -> object:
    return pytest.approx(rate, rel=0.1)


def test_in_the_ramp_a_connection_has_its_share_of_those_that_will_be_there(bench: Bench) -> None:
    bench.add(2)
    assert bench.rate() == about(RATE * 2 / 8), "the class that keeps to no schedule has no share"


def test_a_class_that_begins_to_keep_to_the_schedule_takes_its_share(bench: Bench) -> None:
    bench.add(8)
    bench.schedule.keeps("Other")
    bench.shared()
    assert bench.rate() == about(RATE * 8 / 12)


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
def test_after_the_ramp_the_rate_stays_whatever_the_number_of_users(arrivals: str) -> None:
    bench = Bench(arrivals=arrivals, rate="1000")
    first = bench.add(8)
    bench.ramped()
    assert bench.rate() == pytest.approx(1000, rel=0.2)
    later = bench.add(8)
    bench.shared()
    assert bench.rate() == pytest.approx(1000, rel=0.2)
    assert min(sender.fired for sender in (*first, *later)) > 10
    bench.stop()


def test_no_due_instant_is_lost_or_doubled_when_the_rate_is_shared_anew(bench: Bench) -> None:
    bench.add(8)
    bench.ramped()
    for _ in range(5):
        bench.add(3)
        gevent.sleep(0.03)
    due = sorted(bench.due)
    gaps = {round((later - earlier) / (NS_PER_S / RATE)) for earlier, later in itertools.pairwise(due)}
    assert gaps == {1}, "one grid for all"


def test_users_of_other_workers_share_the_rate(bench: Bench) -> None:
    bench.add(4)
    bench.ramped(Paced=12, Other=100)
    bench.shared()
    assert bench.rate() == about(RATE * 4 / 16)


def test_a_rate_of_its_own_is_shared_with_no_other(bench: Bench) -> None:
    alone = Sender([])
    bench.schedule.pace_alone(alone, 100)
    bench.ramped()
    bench.add(8)
    bench.shared()
    begin = alone.fired
    assert bench.rate() == about(RATE)
    assert 40 <= alone.fired - begin <= 60
    bench.schedule.unpace(alone)
