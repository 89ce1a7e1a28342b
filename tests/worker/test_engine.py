"""The engine: phases, the schedule, and the order of a run's end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent.event import Event
from helpers import frames
from helpers.driver import LoggedDriver
from helpers.peer import PATIENCE_S, Peer, until

from wsbench.measure.phases import FOREVER_NS, Phase, PhasePlan
from wsbench.run.options import RunOptions
from wsbench.run.protocol import Report
from wsbench.units import NS_PER_S
from wsbench.worker.engine import Engine


class Bench:
    """An engine as worker 2 of a run, and its reports."""

    def __init__(self, **raw: str) -> None:
        self.peer = Peer()
        self.reports: list[Report] = []
        options = RunOptions.from_texts({"timeout": "1s", **raw}, url=self.peer.url, users=6, processes=3)
        self.engine = Engine(options, worker=2, send=self.reports.append)

    def apply(self, warmup_ns: int, measure_ns: int = FOREVER_NS, drain_ns: int = FOREVER_NS) -> None:
        self.engine.apply_plan(PhasePlan(warmup_ns, measure_ns, drain_ns))

    def connect(self) -> LoggedDriver:
        driver = LoggedDriver()
        self.engine.connections.register(driver)
        connecting = gevent.spawn(self.engine.connections.connect, driver)
        self.peer.accept()
        connecting.get(timeout=PATIENCE_S)
        return driver

    def stop(self) -> None:
        self.peer.stop()
        self.engine.finish()


Make = Callable[..., Bench]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Bench] = []

    def bench(**raw: str) -> Bench:
        made.append(Bench(**raw))
        return made[-1]

    yield bench
    for each in made:
        each.stop()


class Ticks:
    """Notes the instants of a schedule."""

    has_waiters = False

    def __init__(self) -> None:
        self.fired: list[int] = []

    def fire(self, due_ns: int) -> None:
        self.fired.append(due_ns)

    def miss(self, due_ns: int, count: int) -> None:
        pass


def test_numbers_are_this_workers_and_no_others(make: Make) -> None:
    engine = make().engine
    assert [engine.new_user() for _ in range(3)] == [2, 5, 8]
    assert len({engine.new_id() % 256 for _ in range(3)}) == 1


def test_drivers_share_one_object_of_a_kind(make: Make) -> None:
    engine = make().engine
    assert engine.singleton(make_ticks) is engine.singleton(make_ticks)


def make_ticks(_: Engine) -> Ticks:
    return Ticks()


def test_the_ramp_ends_once_with_the_warm_up(make: Make) -> None:
    bench = make()
    bench.apply(FOREVER_NS)
    assert not bench.engine.ramped.is_set()
    bench.connect()
    bench.apply(time.time_ns())
    assert bench.engine.ramped.is_set()
    until(lambda: bench.reports and bench.reports[-1].health.ramp_connections == 1)


def test_the_ramp_ends_without_a_further_update_if_the_warm_up_lies_in_this_clocks_future(make: Make) -> None:
    bench = make()
    bench.apply(warmup_ns := time.time_ns() + NS_PER_S // 10)
    assert not bench.engine.ramped.is_set()
    until(bench.engine.ramped.is_set)
    assert time.time_ns() >= warmup_ns


def test_a_drain_that_an_update_moves_forward_ends_the_run_at_once(make: Make) -> None:
    bench, now = make(), time.time_ns()
    bench.apply(now, now, now + 60 * NS_PER_S)
    gevent.sleep(0.05)
    bench.apply(now, now, time.time_ns())
    gevent.sleep(0.1)
    assert bench.engine.finished.is_set()


def test_the_masters_phases_are_applied_on_this_clock_whose_offset_is_fixed_after_the_ramp(make: Make) -> None:
    bench, now = make(), time.time_ns()
    bench.engine.set_clock_offset(5 * NS_PER_S)
    bench.apply(now + 5 * NS_PER_S)
    assert bench.engine.recorder.plan.warmup_ns == now
    bench.engine.set_clock_offset(0)
    assert bench.engine.clock_offset_ns == 5 * NS_PER_S


def test_an_object_on_the_schedule_gets_its_share_of_the_rate_until_it_is_taken_off(make: Make) -> None:
    bench, ticks = make(rate="600"), Ticks()
    for _ in range(2):
        bench.engine.schedule.pace(ticks)
    until(lambda: len(ticks.fired) > 20)
    gaps = {later - earlier for earlier, later in zip(ticks.fired, ticks.fired[1:], strict=False)}
    assert all(abs(gap - NS_PER_S // 100) < 1_000_000 for gap in gaps), "a sixth of the rate, once"
    bench.engine.schedule.unpace(ticks)
    fired = len(ticks.fired)
    gevent.sleep(0.1)
    assert len(ticks.fired) <= fired + 1


def test_a_wake_up_comes_once_and_not_early(make: Make) -> None:
    bench, ticks = make(), Ticks()
    instant = time.time_ns() + NS_PER_S // 20
    bench.engine.schedule.wake(ticks, instant)
    until(lambda: ticks.fired)
    assert time.time_ns() >= instant - 1_000_000
    gevent.sleep(0.1)
    assert len(ticks.fired) == 1 and abs(ticks.fired[0] - instant) < 1_000_000


def test_the_run_ends_automatically_when_the_drain_begins(make: Make) -> None:
    bench, now = make(), time.time_ns()
    bench.apply(now, now, now + NS_PER_S // 2)
    until(bench.engine.finished.is_set)
    assert time.time_ns() >= now + NS_PER_S // 2
    assert [report.final for report in bench.reports][-1:] == [True]


def test_a_second_finish_waits_for_the_first(make: Make) -> None:
    bench = make(drain="500ms")
    driver = bench.connect()
    driver.outstanding = 1
    first, second = gevent.spawn(bench.engine.finish), gevent.spawn(bench.engine.finish)
    gevent.sleep(0.05)
    assert not first.ready() and not second.ready()
    driver.outstanding = 0
    bench.peer.receive()
    bench.peer.send(frames.encode_close(1000, ""))
    gevent.joinall([first, second], timeout=PATIENCE_S, raise_error=True)
    assert sum(report.final for report in bench.reports) == 1


def test_messages_that_arrive_while_draining_are_in_the_final_report(make: Make) -> None:
    bench, arrived = make(drain="5s"), Event()
    driver = bench.connect()
    tally = bench.engine.recorder.advance(time.time_ns())
    tally.sent += 1
    driver.outstanding = 1

    def count() -> None:
        tally.received += 1
        driver.outstanding = 0
        arrived.set()

    driver.on_message = count
    finishing = gevent.spawn(bench.engine.finish)
    until(lambda: not bench.engine.recorder.sending)
    bench.peer.message(b"the last reply")
    arrived.wait()
    assert bench.peer.receive().opcode == frames.CLOSE
    bench.peer.send(frames.encode_close(1000, ""))
    finishing.get(timeout=PATIENCE_S)
    received = [delta.counts.get("received", 0) for report in bench.reports for delta in report.deltas]
    final = bench.reports[-1]
    assert sum(received) == 1 and final.final
    assert final.connections.close_codes == {"1000": 1}
    assert bench.engine.recorder.current.interval.phase is Phase.DRAIN
