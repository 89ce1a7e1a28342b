"""The counts of a run that has ended: whether there is a result at all, and the phases of its series."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from helpers.run_hosts import S, delta, report

from wsbench.errors import Side
from wsbench.master.interval_spill import IntervalSpill
from wsbench.master.measurement import Measurement
from wsbench.master.worker_registry import WorkerRegistry
from wsbench.measure.delta import lost_of
from wsbench.measure.phases import PhasePlan
from wsbench.measure.totals import Totals
from wsbench.results.run_result import Ending, ErrorCount, TargetResult
from wsbench.run.protocol import SCENARIO_FAILED, Report


@pytest.fixture
def spill() -> Iterator[IntervalSpill]:
    with contextlib.closing(IntervalSpill()) as spill:
        yield spill


def measurement_of(spill: IntervalSpill, *reports: Report, plan: PhasePlan | None = None) -> Measurement:
    totals, registry = Totals(), WorkerRegistry()
    for each in reports:
        totals.add(each.deltas)
        registry.take(each)
    plan = plan or PhasePlan(S, S, 3 * S)
    return Measurement(plan, totals, spill, registry, Ending.DURATION, True, TargetResult(), totals.counters())


def with_errors(made: Report, *errors: ErrorCount) -> Report:
    made.errors.extend(errors)
    return made


def test_open_connections_are_worth_a_result_even_without_messages(spill: IntervalSpill) -> None:
    assert not measurement_of(spill, report(1, opened=1)).empty
    assert measurement_of(spill, report(1, asked=1, failed=1)).empty


def test_a_scenario_that_failed_before_its_first_message_is_not(spill: IntervalSpill) -> None:
    failed = ErrorCount(SCENARIO_FAILED, "generator", 4, "KeyError: 'room'", "")
    assert measurement_of(spill, with_errors(report(1, opened=1), failed)).empty
    assert not measurement_of(spill, with_errors(report(1, delta("measure", S, 1.0), opened=1), failed)).empty


def test_the_most_frequent_error_is_the_reason(spill: IntervalSpill) -> None:
    rare = ErrorCount("reset", "target", 2, "the connection broke", "")
    frequent = ErrorCount("refused", "target", 3, "connection refused", "start it")
    reports = [with_errors(report(1, worker=index), rare, frequent) for index in range(2)]
    failure = measurement_of(spill, *reports).failure()
    assert (failure.what, failure.remedy, failure.side) == ("connection refused", "start it", Side.TARGET)
    assert measurement_of(spill).failure().side is Side.GENERATOR


@pytest.mark.parametrize(
    ("plan", "measured_s"),
    [(PhasePlan(S, S, 3 * S), 2), (PhasePlan(), 0), (PhasePlan(S, 5 * S, 3 * S), 0), (PhasePlan(S, 5 * S), 0)],
)
def test_the_length_of_the_measure_phase(spill: IntervalSpill, plan: PhasePlan, measured_s: int) -> None:
    assert measurement_of(spill, plan=plan).measured_ns == measured_s * S


def test_series_are_of_the_measure_phase_unless_they_have_nothing_there(spill: IntervalSpill) -> None:
    ramp, measured = delta("ramp", 0, 1.0), delta("measure", S, 1.0, 2.0)
    ramp.series |= {"connect": {5: 7}, "login": {9: 2}, "chat": {9: 1}}
    measured.series["chat"] = {3: 4}
    found = measurement_of(spill, report(1, ramp, measured, opened=1))
    counts = {name: sum(found.series[name].values()) for name in ("service", "connect", "login", "chat")}
    assert counts == {"service": 2, "connect": 7, "login": 2, "chat": 4}
    assert {"connect", "login"} <= found.whole_run_series and "chat" not in found.whole_run_series


def test_the_time_away_covers_the_whole_run_with_those_that_did_not_come_back(spill: IntervalSpill) -> None:
    early, late, drain = (delta(phase, number * S) for number, phase in enumerate(("warmup", "measure", "drain")))
    early.series["away"], late.series["away"], drain.counts["lost:away"] = {100: 1}, {200: 1}, 3
    found = measurement_of(spill, report(1, early, late, drain))
    assert found.series["away"] == {100: 1, 200: 1}
    assert lost_of("away", found.totals.counts()) == 3 and "away" in found.whole_run_series


def test_the_busiest_worker_counts_for_an_interval(spill: IntervalSpill) -> None:
    busy, idle = (delta("measure", S, cpu_ns=cpu, wall_ns=S) for cpu in (S // 2, S // 10))
    found = measurement_of(spill, report(1, busy, worker=0), report(1, idle, worker=1))
    assert found.cpu_by_interval == {("measure", S): 50.0}
