"""The phases of a run follow from the reports of its workers and the time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gevent
import pytest
from helpers.process import scaled
from helpers.run_hosts import RecordingHost, S, failing, options, report

from wsbench.master import phase_control
from wsbench.master.collector import Collector
from wsbench.master.phase_control import PhaseControl
from wsbench.master.target_usage import TargetSampler
from wsbench.measure.phases import FOREVER_NS, Phase
from wsbench.results.run_result import Ending
from wsbench.run.options import RunOptions


class Run:
    """The phases of a run and the collector of its reports."""

    def __init__(self, directory: Path, asked: RunOptions) -> None:
        self.host = RecordingHost()
        self.ended: list[Ending] = []
        self.collector = Collector(
            asked, directory, self.host, beside_engine=False, after_report=lambda: None, on_failure=failing
        )
        self.phases = PhaseControl(
            asked,
            self.collector,
            TargetSampler(None),
            self.host,
            on_end=self.ended.append,
        )

    def report(self, number: int, worker: int = 0, **connections: int) -> None:
        self.collector.receive(report(number, worker=worker, **connections))

    def close(self) -> None:
        self.phases.end()
        self.collector.close()
        self.collector.spill.close()


def until(true: Callable[[], object]) -> None:
    with gevent.Timeout(scaled(10)):
        while not true():
            gevent.sleep(0.005)


def test_the_ramp_ends_when_every_connection_is_open_and_every_user_started(tmp_path: Path) -> None:
    run = Run(tmp_path, options(users=3))
    run.report(1, asked=3, opened=2, failed=1)
    gevent.sleep(0.05)
    assert run.phases.phase is Phase.RAMP and run.host.plans == [], "Locust still starts users"
    run.phases.spawning_complete()
    until(lambda: run.ended)
    assert run.ended == [Ending.DURATION]
    [plan] = run.host.plans
    assert plan.drain_ns - plan.measure_ns == S // 10
    assert plan.measure_ns == plan.warmup_ns
    assert run.phases.phase is Phase.DRAIN
    run.close()


def test_without_a_duration_the_measure_phase_goes_on_until_it_is_ended(tmp_path: Path) -> None:
    run = Run(tmp_path, options(users=1, duration=""))
    run.phases.spawning_complete()
    run.report(1, asked=1, opened=1)
    until(lambda: run.phases.phase is Phase.MEASURE)
    assert run.phases.left_ns() is None and run.phases.plan.drain_ns == FOREVER_NS
    run.phases.end()
    assert run.phases.phase is Phase.DRAIN and not run.ended
    assert run.host.plans[-1] == run.phases.plan
    run.close()


def test_the_remaining_time_is_known_for_phases_with_a_known_end(tmp_path: Path) -> None:
    run = Run(tmp_path, options(users=1, warmup="100s", duration="5s"))
    assert run.phases.left_ns() is None, "the end of the ramp is not known"
    run.phases.spawning_complete()
    run.report(1, asked=1, opened=1)
    until(lambda: run.phases.phase is Phase.WARMUP)
    left = run.phases.left_ns()
    assert left is not None and 50 * S < left <= 100 * S
    run.close()


@pytest.mark.parametrize(("users", "failed"), [(3, 3), (50, 10)])
def test_it_gives_up_when_no_connection_can_be_opened(tmp_path: Path, users: int, failed: int) -> None:
    run = Run(tmp_path, options(users=users))
    run.report(1, asked=users, failed=failed)
    until(lambda: run.ended)
    assert run.ended == [Ending.ERROR] and run.host.plans == [], "there is no measure phase"
    run.close()
    assert run.phases.plan.measure_ns == FOREVER_NS


def test_a_ramp_that_stands_still_ends_the_run_and_says_so(tmp_path: Path) -> None:
    run = Run(tmp_path, options(users=3))
    run.host.patience_s = 1.5
    run.report(1, asked=2, opened=2)
    until(lambda: run.ended)
    assert run.ended == [Ending.ERROR]
    assert "2 of 3 users asked for a connection" in run.collector.registry.failure
    run.close()


def test_the_ramp_ends_when_no_user_asks_for_a_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phase_control, "_NOBODY_NS", S // 10)
    run = Run(tmp_path, options(users=3))
    run.report(1)
    run.phases.spawning_complete()
    until(lambda: run.ended)
    assert run.ended == [Ending.DURATION]
    run.close()


def test_a_lost_worker_ends_the_ramp_if_it_is_one_of_this_run(tmp_path: Path) -> None:
    run = Run(tmp_path, options(users=4))
    run.collector.registry.expect(0)
    run.host.missing = {5}
    run.phases.spawning_complete()
    run.report(1, asked=2, opened=2)
    gevent.sleep(0.05)
    assert run.phases.lost_workers() == set() and run.phases.phase is Phase.RAMP
    run.host.missing = {0, 5}
    run.report(2, asked=2, opened=2)
    until(lambda: run.host.plans)
    assert run.phases.lost_workers() == {0}
    run.close()
