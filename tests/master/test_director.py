"""A run from the reports to the result, with the order of steps at its end."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gevent
import msgspec
import pytest
from helpers.process import scaled
from helpers.run_hosts import RecordingHost, S, delta, options, report

from wsbench.errors import ExitCode
from wsbench.master.director import Director
from wsbench.measure.phases import Phase
from wsbench.results import run_result
from wsbench.results.directory import Staging
from wsbench.results.run_result import Ending, ErrorCount
from wsbench.run.handoff import FAILURE_FILE, Failure, Handoff
from wsbench.run.protocol import RunDescription


class Run:
    """A run of two users; the test sends the reports of its one worker."""

    def __init__(self, results: Path, *, progress_fd: int | None = None, **texts: str) -> None:
        asked = options(**texts)
        self.staging = Staging.create(results, "echo")
        self.host = RecordingHost()
        self.director = Director(
            RunDescription(asked, "echo", self.staging.run_id, datetime.now(UTC), ["locust"], {}),
            staging=self.staging,
            handoff=Handoff(str(self.staging.path), ["locust"], progress_fd=progress_fd),
            host=self.host,
            beside_engine=False,
        )
        self.director.collector.registry.expect(0)

    def open(self) -> None:
        self.director.collector.receive(report(1, asked=2, opened=2))
        self.director.phases.spawning_complete()

    def until_phase(self, phase: Phase) -> None:
        with gevent.Timeout(scaled(10)):
            while self.director.phases.phase is not phase:
                gevent.sleep(0.002)

    def send_last(self) -> None:
        start = self.director.phases.plan.measure_ns
        measured = delta("measure", start, *[1.0] * 50, wall_ns=S // 10, connections_closed=2)
        self.director.collector.receive(report(2, measured, asked=2, opened=2, final=True))

    def wait(self) -> run_result.Run | None:
        assert self.director.done.wait(scaled(30))
        gevent.sleep(0)
        return self.director.result.run


def test_a_run_that_is_over_is_stored(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.open()
    run.until_phase(Phase.DRAIN)
    run.send_last()
    result = run.wait()
    assert result is not None and result.complete and result.messages.received == 50
    assert run.host.code is ExitCode.OK
    assert run.director.result.directory == tmp_path / run.staging.run_id
    assert run_result.load(tmp_path / run.staging.run_id) == result
    assert [plan.drain_ns < time.time_ns() for plan in run.host.plans] == [True, True]


def test_reports_that_are_under_way_at_the_stop_are_in_the_result(tmp_path: Path) -> None:
    run = Run(tmp_path, duration="", timeout="5s")
    run.open()
    run.until_phase(Phase.MEASURE)
    stopping = gevent.spawn(run.director.finish, Ending.STOP)
    gevent.sleep(0.02)
    assert run.director.phases.phase is Phase.DRAIN and not run.director.done.is_set()
    run.send_last()
    stopping.join(scaled(30))
    result = run.wait()
    assert result is not None and result.messages.received == 50 and result.complete


def test_later_calls_of_finish_wait_for_the_first_one(tmp_path: Path) -> None:
    run = Run(tmp_path, duration="", timeout="5s")
    run.open()
    run.until_phase(Phase.MEASURE)
    ends = [gevent.spawn(run.director.finish, ending) for ending in (Ending.STOP, Ending.INTERRUPT)]
    gevent.sleep(0.02)
    assert not any(end.ready() for end in ends)
    run.send_last()
    gevent.joinall(ends, timeout=scaled(30))
    assert run.host.code is ExitCode.OK, "it was stopped, not interrupted"


def test_an_interrupted_run_is_stored_as_incomplete(tmp_path: Path) -> None:
    run = Run(tmp_path, duration="60s", timeout="5s")
    run.open()
    run.until_phase(Phase.MEASURE)
    gevent.spawn(run.director.finish, Ending.INTERRUPT)
    gevent.sleep(0.02)
    run.send_last()
    result = run.wait()
    assert result is not None and not result.complete
    assert run.host.code is ExitCode.INTERRUPTED


def test_the_scenario_s_counters_are_in_the_result(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.host.counters = {"deliveries": 7}
    run.open()
    run.until_phase(Phase.DRAIN)
    run.send_last()
    result = run.wait()
    assert result is not None and result.counters == {"deliveries": 7}


@pytest.mark.parametrize(
    ("counters", "said"),
    [
        (None, "ZeroDivisionError: an error of the scenario"),
        ({"errors": 5}, "'errors' is a figure in gates"),
        ({"missing": 0.5}, "count 0.5: a counter takes whole numbers"),
    ],
)
def test_a_scenario_that_fails_at_the_end_loses_its_counters_only(tmp_path: Path, counters: Any, said: str) -> None:
    run = Run(tmp_path)
    run.host.counters = counters
    run.open()
    run.until_phase(Phase.DRAIN)
    run.send_last()
    result = run.wait()
    assert result is not None and result.counters == {} and run.host.code is ExitCode.OK
    assert [(error.kind, error.count) for error in result.errors] == [("scenario", 1)]
    assert said in result.errors[0].example and result.whole_run.errors == 1


@pytest.mark.parametrize("launched", [True, False])
def test_a_target_that_cannot_be_reached_is_reported_to_the_launcher(tmp_path: Path, launched: bool) -> None:
    reader, writer = os.pipe()
    run = Run(tmp_path, progress_fd=writer if launched else None)
    failed = report(1, asked=2, failed=2, final=True)
    failed.errors.append(ErrorCount("refused", "target", 2, "connection refused", "start it"))
    run.director.collector.receive(failed)
    assert run.wait() is None
    os.close(reader)
    os.close(writer)
    assert run.host.code is ExitCode.NOT_MEASURED
    assert run.director.result.failure is not None
    if launched:
        left = msgspec.json.decode((run.staging.path / FAILURE_FILE).read_bytes(), type=Failure)
        assert left == Failure("connection refused", "start it", "target", "refused")
    else:
        assert not run.staging.path.exists(), "an empty directory is of no use"


def test_a_result_that_cannot_be_stored_has_its_own_exit_code(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.open()
    run.until_phase(Phase.DRAIN)
    (tmp_path / run.staging.run_id).write_text("in the way")
    run.send_last()
    result = run.wait()
    assert result is not None, "the summary is printed all the same"
    assert run.director.result.directory is None
    failure = run.director.result.failure
    assert failure is not None and failure.kind == "not-stored" and run.host.code is failure.exit_code
    assert not run.staging.path.exists()
