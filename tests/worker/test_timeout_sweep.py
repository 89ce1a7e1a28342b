"""Overdue messages are given up in time, whatever the number of connections."""

from __future__ import annotations

import time
from collections.abc import Iterator

import gevent
import pytest
from helpers.driver import LoggedDriver
from helpers.peer import until

from wsbench.units import NS_PER_S
from wsbench.worker.timeout_sweep import TimeoutSweep

TIMEOUT_NS = NS_PER_S // 5


class Waiting(LoggedDriver):
    """A driver with one message in flight after another; a lost one is given up when it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.deadline_ns = time.time_ns() + TIMEOUT_NS
        self.late_ns: list[int] = []

    def expire(self, now_ns: int) -> int:
        super().expire(now_ns)
        if self.deadline_ns < now_ns:
            self.late_ns.append(now_ns - self.deadline_ns)
            self.deadline_ns = now_ns + TIMEOUT_NS
        return self.deadline_ns


@pytest.fixture
def sweep() -> Iterator[TimeoutSweep]:
    made = TimeoutSweep(TIMEOUT_NS)
    yield made
    made.stop()


@pytest.mark.parametrize(("connections", "timeouts"), [(1, 4), (2, 4), (3000, 20)])
def test_a_deadline_is_kept_whatever_the_number_of_connections(
    sweep: TimeoutSweep, connections: int, timeouts: int
) -> None:
    """Thousands take a busy machine some time."""
    drivers = [Waiting() for _ in range(connections)]
    for driver in drivers:
        sweep.add(driver)
    much_later = gevent.spawn_later(timeouts * TIMEOUT_NS / NS_PER_S, lambda: None)
    until(lambda: all(driver.late_ns for driver in drivers))
    assert not much_later.ready()


def test_a_driver_is_asked_once_a_timeout(sweep: TimeoutSweep) -> None:
    driver = Waiting()
    sweep.add(driver)
    until(lambda: len(driver.late_ns) == 3)
    assert len(driver.calls) <= 3 + 3  # once more where the clocks differ by a little


def test_an_earlier_deadline_is_kept_as_well(sweep: TimeoutSweep) -> None:
    early, late = Waiting(), Waiting()
    for driver in (late, early):
        sweep.add(driver)
    early.deadline_ns = time.time_ns() + TIMEOUT_NS // 10
    sweep.expect(early, early.deadline_ns)
    sweep.expect(late, late.deadline_ns + NS_PER_S)  # a later one changes nothing
    until(lambda: early.late_ns)
    assert not late.late_ns
    until(lambda: late.late_ns)


def test_drivers_that_come_later_are_asked_and_those_that_left_are_not(sweep: TimeoutSweep) -> None:
    early, late = Waiting(), Waiting()
    sweep.add(early)
    until(lambda: early.calls)
    sweep.remove(early)
    asked = len(early.calls)
    sweep.add(late)
    until(lambda: len(late.calls) > 1)
    assert len(early.calls) == asked
    sweep.expect(early, 0)
    assert early not in sweep._asked_ns


def test_thousands_are_asked_in_steps_between_which_others_run(sweep: TimeoutSweep) -> None:
    drivers = [Waiting() for _ in range(1000)]
    for driver in drivers:
        sweep.add(driver)
    until(lambda: drivers[0].calls)
    assert sum(bool(driver.calls) for driver in drivers) < 1000
    until(lambda: all(driver.calls for driver in drivers))
