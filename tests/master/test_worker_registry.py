"""The master counts each report once and misses no worker; messages between them survive encoding."""

from __future__ import annotations

import msgspec
import pytest

from wsbench.cgroup_cpu import Throttling
from wsbench.master.worker_registry import WorkerRegistry, WorkerState
from wsbench.measure.delta import IntervalDelta
from wsbench.measure.phases import PhasePlan
from wsbench.results.run_result import ConnectionCounts, ErrorCount, NegotiatedWith, ReplyExample
from wsbench.run.packing import pack, unpack
from wsbench.run.protocol import Health, Report

MS, S = 1_000_000, 1_000_000_000


def delta(phase: str, start_s: int, *, cpu_ms: float = 0, wall_ms: float = 0, received: int = 0) -> IntervalDelta:
    counts = {"cpu_ns": int(cpu_ms * MS), "wall_ns": int(wall_ms * MS), "received": received}
    return IntervalDelta(phase, start_s * S, counts, {})


def report(number: int, *deltas: IntervalDelta, worker: int = 0, final: bool = False, **connections: int) -> Report:
    return Report(worker, number, list(deltas), ConnectionCounts(**connections), [], Health(), final=final)


# -- one worker ------------------------------------------------------------------------------------------------------


def test_a_report_that_comes_twice_counts_once() -> None:
    worker = WorkerState(0)
    first, second = report(1, delta("measure", 1, received=5)), report(2, delta("measure", 1, received=3))
    assert [worker.take(each) for each in (first, first, second, first, second)] == [True, False, True, False, False]
    assert worker.received == 8
    assert worker.report is second


def test_a_report_that_was_lost_on_the_way_counts_when_it_is_sent_again() -> None:
    worker = WorkerState(0)
    reports = {
        number: report(number, delta("measure", 1, received=number), final=number == 5) for number in range(1, 6)
    }
    assert [worker.take(reports[number]) for number in (1, 2, 5)] == [True, True, True]
    assert worker.gaps == {3, 4} and not worker.final, "the last report has arrived, but not all before it"
    assert [worker.take(reports[number]) for number in (4, 4, 5, 3, 3)] == [True, False, False, True, False]
    assert worker.final and worker.received == 1 + 2 + 3 + 4 + 5
    assert worker.report is reports[5], "running totals are the latest one's"


def test_only_replies_of_the_measure_phase_are_received() -> None:
    worker = WorkerState(0)
    worker.take(report(1, *(delta(phase, 1, received=7) for phase in ("ramp", "warmup", "measure", "drain"))))
    assert worker.received == 7


def test_a_worker_that_has_not_reported_has_an_empty_report() -> None:
    worker = WorkerState(3)
    assert (worker.report.worker, worker.report.number, worker.report.final) == (3, 0, False)
    assert (worker.received, worker.cpu_percent(), worker.cpu_mean, worker.cpu_max) == (0, {}, 0.0, 0.0)


def test_cpu_of_an_interval_adds_up_over_reports() -> None:
    worker = WorkerState(0)
    worker.take(report(1, delta("measure", 1, cpu_ms=100, wall_ms=400), delta("ramp", 0, cpu_ms=10, wall_ms=1000)))
    worker.take(report(2, delta("measure", 1, cpu_ms=500, wall_ms=600), delta("drain", 9)))
    assert worker.cpu_percent() == {("measure", 1 * S): pytest.approx(60.0), ("ramp", 0): pytest.approx(1.0)}


def test_cpu_of_the_measure_phase_is_weighed_by_the_length_of_its_intervals() -> None:
    worker = WorkerState(0)
    worker.take(
        report(
            1,
            delta("warmup", 0, cpu_ms=1000, wall_ms=1000),
            delta("measure", 1, cpu_ms=500, wall_ms=1000),
            delta("measure", 2, cpu_ms=700, wall_ms=1000),
            delta("measure", 3, cpu_ms=90, wall_ms=90),  # a sliver is too short for a figure
            delta("drain", 4, cpu_ms=1000, wall_ms=1000),
        )
    )
    assert (worker.cpu_mean, worker.cpu_max) == (61.7, 70.0)


def test_when_there_are_only_slivers_the_maximum_is_the_mean() -> None:
    worker = WorkerState(0)
    worker.take(report(1, delta("measure", 1, cpu_ms=45, wall_ms=90)))
    assert (worker.cpu_mean, worker.cpu_max) == (50.0, 50.0)


def test_the_busiest_interval_is_known_over_all_reports_of_it() -> None:
    worker = WorkerState(0)
    worker.take(report(1, delta("measure", 1, cpu_ms=300, wall_ms=300)))
    assert worker.cpu_max == 100.0, "so far"
    worker.take(report(2, delta("measure", 1, cpu_ms=100, wall_ms=700), delta("measure", 2, cpu_ms=60, wall_ms=300)))
    assert worker.cpu_max == 40.0
    late = report(3, delta("measure", 2, cpu_ms=0, wall_ms=700))
    worker.take(report(4, delta("measure", 3, cpu_ms=1, wall_ms=1000), delta("measure", 2, cpu_ms=540, wall_ms=600)))
    worker.take(late)
    worker.take(report(5, delta("measure", 4, cpu_ms=1, wall_ms=1000)))
    assert worker.cpu_max == 40.0, "a report that came late is in it"
    assert worker.cpu_now == 0.1


# -- all of them -----------------------------------------------------------------------------------------------------


def test_workers_are_distinguished_by_their_index() -> None:
    registry = WorkerRegistry()
    assert registry.take(report(1, delta("measure", 1, received=1), worker=2))
    assert registry.take(report(1, delta("measure", 1, received=1), worker=0))
    assert not registry.take(report(1, worker=2))
    assert [worker.index for worker in registry] == [0, 2]


def test_an_expected_worker_is_not_final_before_its_last_report() -> None:
    registry = WorkerRegistry()
    silent = registry.expect(1)
    assert registry.expect(1) is silent
    registry.take(report(1, worker=0, final=True))
    assert registry.not_final() == {1}
    registry.take(report(1, worker=1))
    assert registry.not_final() == {1}
    registry.take(report(2, worker=1, final=True))
    assert not registry.not_final()


def test_a_missing_worker_is_not_waited_for() -> None:
    registry = WorkerRegistry()
    registry.take(report(1, worker=0, final=True))
    registry.expect(1)
    registry.expect(2)
    assert registry.not_final() == {1, 2}


def test_connections_are_running_totals_of_each_and_add_up_over_all() -> None:
    registry = WorkerRegistry()
    registry.take(report(1, worker=0, opened=3, failed=1, peers={"10.0.0.1": 3}))
    registry.take(report(2, worker=0, asked=6, opened=5, failed=1, peers={"10.0.0.1": 5, "10.0.0.2": 0}))
    registry.take(report(1, worker=1, asked=6, opened=4, failed=2, peers={"10.0.0.1": 1, "10.0.0.2": 3}))
    registry.expect(2)
    assert registry.connections() == ConnectionCounts(
        asked=12, opened=9, failed=3, peers={"10.0.0.1": 6, "10.0.0.2": 3}
    )
    assert registry.connections_wanted().asked == 12
    registry.users.wanted = 20
    assert registry.connections_wanted().asked == 20


# -- over the wire ---------------------------------------------------------------------------------------------------


def test_a_report_arrives_as_it_was_sent() -> None:
    sent = Report(
        worker=1,
        number=7,
        deltas=[IntervalDelta("measure", 5 * S, {"sent": 2, "late": 1}, {"service": {0: 1, 2**40: 3, -5: 1}})],
        connections=ConnectionCounts(opened=3, close_codes={"1006": 1}),
        errors=[ErrorCount("reset", "target", 1, "the connection broke: …")],
        health=Health(rss_bytes=5, nofile=20_000, exact_timer=True, throttling=Throttling(0.5, "", 10, 4, 5)),
        negotiated=NegotiatedWith(subprotocol="chat"),
        final=True,
    )
    assert unpack(pack(sent), Report) == sent


@pytest.mark.parametrize("plan", [PhasePlan(), PhasePlan(1_795_000_000 * S), PhasePlan(1, 2, 3)])
def test_a_phase_update_arrives_as_it_was_sent(plan: PhasePlan) -> None:
    assert unpack(pack(plan), PhasePlan) == plan


def test_the_first_example_of_each_kind_is_that_of_the_first_worker() -> None:
    workers = WorkerRegistry()
    corrupted, unexpected, rejected, other = (
        ReplyExample(kind, None, "no", "no", name=name)
        for kind, name in (("corrupted", ""), ("unexpected", ""), ("rejected", "order"), ("rejected", "quote"))
    )
    late, early = report(1, worker=2), report(1, worker=1)
    late.examples = [msgspec.structs.replace(corrupted, received="later"), unexpected, other]
    early.examples = [rejected, corrupted]
    for each in (late, early):
        workers.take(unpack(pack(each), Report))
    assert workers.examples() == [corrupted, rejected, other, unexpected]


@pytest.mark.parametrize(
    ("paths", "path"),
    [
        ([], None),
        ([None], None),
        (["native", None], "native"),
        (["python", "python"], "python"),
        (["native", "python", None], "mixed"),
    ],
)
def test_the_echo_path_is_that_of_all_workers_with_echo_connections(paths: list[str | None], path: str | None) -> None:
    workers = WorkerRegistry()
    for index, each in enumerate(paths):
        workers.take(msgspec.structs.replace(report(1, worker=index), health=Health(echo_path=each)))
    assert workers.echo_path() == path


def test_an_outage_is_one_of_all_workers_that_have_users() -> None:
    registry = WorkerRegistry()
    first, second, without_users = (report(1, worker=index, opened=opened) for index, opened in enumerate((5, 5, 0)))
    first.outages, second.outages = [(10 * S, 18 * S), (30 * S, 31 * S)], [(12 * S, 20 * S), (40 * S, 50 * S)]
    for each in (first, second, without_users):
        registry.take(unpack(pack(each), Report))
    assert registry.outage_ns() == 6 * S
    registry.take(report(1, worker=3, opened=5))
    assert registry.outage_ns() == 0, "one has connections all the time"
