"""Work on many drivers is done in small steps."""

from __future__ import annotations

import time
from collections.abc import Iterator

import gevent
import pytest
from helpers.driver import LoggedDriver
from helpers.peer import until

from wsbench.measure.phases import PhasePlan
from wsbench.measure.recorder import Recorder
from wsbench.units import NS_PER_S
from wsbench.worker.background import resume_closed_loops, sweep_timeouts
from wsbench.worker.driver import Driver


@pytest.fixture
def recorder() -> Recorder:
    return Recorder(PhasePlan(), time.time_ns(), closed_loop=True, sample=dict)


@pytest.fixture
def drivers() -> Iterator[dict[Driver, None]]:
    registered: dict[Driver, None] = {}
    sweeping = gevent.spawn(sweep_timeouts, registered, NS_PER_S // 5)
    yield registered
    sweeping.kill()


def test_drivers_that_come_later_are_swept_and_those_that_left_are_not(drivers: dict[Driver, None]) -> None:
    gevent.sleep(0.02)
    early, late = LoggedDriver(), LoggedDriver()
    drivers[early] = None
    until(lambda: len(early.calls) > 1)
    del drivers[early]
    gevent.sleep(0.05)
    swept = len(early.calls)
    drivers[late] = None
    until(lambda: len(late.calls) > 3)
    assert len(early.calls) == swept


def test_a_sweep_over_thousands_lets_others_run_in_between(drivers: dict[Driver, None]) -> None:
    many = [LoggedDriver() for _ in range(1000)]
    drivers.update(dict.fromkeys(many))
    until(lambda: many[0].calls)
    assert sum(bool(each.calls) for each in many) < 1000
    until(lambda: all(each.calls for each in many))


def test_all_drivers_resume(recorder: Recorder) -> None:
    drivers = [LoggedDriver() for _ in range(200)]
    resume_closed_loops(drivers, recorder)
    assert [each.calls for each in drivers] == [["resume"]] * 200


def test_resuming_ends_when_closed_loops_pause_again(recorder: Recorder) -> None:
    drivers = [LoggedDriver() for _ in range(200)]
    resuming = gevent.spawn(resume_closed_loops, drivers, recorder)
    until(lambda: drivers[0].calls)
    recorder.pause_closed_loops(True)
    resuming.join()
    assert 0 < sum(bool(each.calls) for each in drivers) < 200
