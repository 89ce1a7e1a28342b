"""Work on many drivers is done in small steps."""

from __future__ import annotations

import time

import gevent
import pytest
from helpers.driver import LoggedDriver
from helpers.peer import until

from wsbench.measure.phases import PhasePlan
from wsbench.measure.recorder import Recorder
from wsbench.worker.background import resume_closed_loops


@pytest.fixture
def recorder() -> Recorder:
    return Recorder(PhasePlan(), time.time_ns(), closed_loop=True, sample=dict)


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
