"""The limit of simultaneous handshakes, and closed loops that pause while others queue."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent.event import Event
from helpers.peer import Peer, until

from wsbench.measure.phases import FOREVER_NS, PhasePlan
from wsbench.run.options import RunOptions
from wsbench.run.protocol import Report
from wsbench.units import NS_PER_S
from wsbench.worker.echo import driver_for
from wsbench.worker.engine import Engine
from wsbench.worker.handshake_limiter import HandshakeLimiter


class Ramp:
    """Handshakes that end when the test says so."""

    def __init__(self, at_a_time: int, patience_s: float = 60) -> None:
        self.reported: list[bool] = []
        self.running: list[Event] = []
        self.limiter = HandshakeLimiter(at_a_time, self.reported.append, patience_s=patience_s)

    def ask(self) -> gevent.Greenlet:
        asking = gevent.spawn(self._handshake)
        gevent.sleep(0)
        return asking

    def _handshake(self) -> None:
        with self.limiter.slot():
            ended = Event()
            self.running.append(ended)
            try:
                ended.wait()
            finally:
                self.running.remove(ended)

    def succeed(self) -> None:
        self.running[0].set()
        gevent.sleep(0.001)


def test_at_most_so_many_run_at_once_and_contention_is_reported() -> None:
    ramp = Ramp(2)
    for _ in range(2):
        ramp.ask()
    assert (len(ramp.running), ramp.reported) == (2, [])
    for _ in range(2):
        ramp.ask()
    assert (len(ramp.running), ramp.reported) == (2, [True])
    ramp.succeed()
    assert (len(ramp.running), ramp.reported) == (2, [True])
    ramp.succeed()
    assert (len(ramp.running), ramp.reported) == (2, [True, False])


def use_cpu(ns: int) -> None:
    until_ns = time.process_time_ns() + ns
    while time.process_time_ns() < until_ns:
        pass


def test_the_time_and_cpu_of_the_queue_are_added_up() -> None:
    ramp, ms = Ramp(1), 1_000_000
    ramp.ask()
    use_cpu(20 * ms)
    assert ramp.limiter.queued == (0, 0), "nothing queues"
    for round_ in (1, 2):
        ramp.ask()
        use_cpu(20 * ms)
        wall_ns, cpu_ns = ramp.limiter.queued
        assert wall_ns > 20 * round_ * ms and cpu_ns > 20 * round_ * ms
        ramp.succeed()
    queued = ramp.limiter.queued
    use_cpu(20 * ms)
    assert ramp.limiter.queued == queued, "nothing queues any more"


def test_a_failed_or_cancelled_handshake_frees_its_slot() -> None:
    ramp = Ramp(1)
    failing, waiting = ramp.ask(), ramp.ask()
    assert ramp.reported == [True]
    waiting.kill()
    assert ramp.reported == [True, False]
    ramp.ask()
    failing.kill()
    gevent.sleep(0.001)
    assert (len(ramp.running), ramp.reported) == (1, [True, False, True, False])


def test_without_progress_contention_ends_until_a_handshake_completes() -> None:
    ramp = Ramp(1, patience_s=0.05)
    for _ in range(3):
        ramp.ask()
    until(lambda: ramp.reported == [True, False])
    ramp.succeed()
    until(lambda: ramp.reported == [True, False, True])


def test_the_next_queue_gets_the_full_patience() -> None:
    ramp = Ramp(1, patience_s=0.3)
    ramp.ask()
    first = ramp.ask()
    gevent.sleep(0.2)
    first.kill()
    ramp.ask()
    asked = time.monotonic()
    until(lambda: ramp.reported == [True, False, True, False])
    assert time.monotonic() - asked > 0.28


class Engaged:
    """An engine with a limit of one handshake, and one connected user."""

    def __init__(self, **raw: str) -> None:
        self.peer = Peer()
        options = RunOptions.from_texts({"timeout": "60s", **raw}, url=self.peer.url, users=3)
        self.reports: list[Report] = []
        self.engine = Engine(options, worker=0, send=self.reports.append, handshakes=1, handshake_patience_s=60)
        self.driver = driver_for(self.engine)
        connecting = self.connect(self.driver)
        self.peer.accept()
        connecting.join()
        self.asked: list[gevent.Greenlet] = []

    def connect(self, driver: object) -> gevent.Greenlet:
        return gevent.spawn(self.engine.connections.connect, driver)

    def crowd(self) -> None:
        """Two more connections are asked for, and the server is slow to answer."""
        self.asked = [self.connect(driver_for(self.engine)) for _ in range(2)]
        gevent.sleep(0)

    def received(self, count: int, *, reply: bool = False) -> int:
        """Receive `count` messages, replying to each before the next if `reply`; return how many differ."""
        payloads = set()
        for _ in range(count):
            payload = self.peer.receive().payload
            payloads.add(payload)
            if reply:
                self.peer.message(payload)
        return len(payloads)

    def stop(self) -> None:
        gevent.killall(self.asked)
        self.peer.stop()
        self.engine.finish()


Engage = Callable[..., Engaged]


@pytest.fixture
def engage() -> Iterator[Engage]:
    engaged: list[Engaged] = []

    def make(**raw: str) -> Engaged:
        engaged.append(Engaged(**raw))
        return engaged[-1]

    yield make
    for each in engaged:
        each.stop()


@pytest.mark.parametrize("raw", [{}, {"in_flight": "3"}, {"request_events": "true"}])
def test_in_the_ramp_a_closed_loop_pauses_for_handshakes_and_goes_on_afterwards(
    engage: Engage, raw: dict[str, str]
) -> None:
    engaged = engage(**raw)
    engaged.crowd()
    window = engaged.engine.options.in_flight
    for _ in range(window):
        engaged.peer.message(engaged.peer.receive().payload)
    until(lambda: not engaged.driver.outstanding)
    gevent.sleep(0.05)
    assert not engaged.driver.outstanding
    engaged.asked[1].kill()  # the queue is empty
    assert engaged.received(window) == window
    assert engaged.driver.outstanding == window


def test_after_the_ramp_no_closed_loop_pauses(engage: Engage) -> None:
    engaged = engage()
    engaged.crowd()
    engaged.peer.message(engaged.peer.receive().payload)
    until(lambda: not engaged.driver.outstanding)
    now_ns = time.time_ns()
    engaged.engine.apply_plan(PhasePlan(now_ns, now_ns + 60 * NS_PER_S, FOREVER_NS))
    assert engaged.received(3, reply=True) == 3, "the closed loop sends although handshakes wait"
    engaged.asked.pop().kill()
    engaged.asked.append(engaged.connect(driver_for(engaged.engine)))
    gevent.sleep(0)
    assert engaged.received(3, reply=True) == 3, "nor does another one that begins to wait pause it"


def test_an_open_loop_keeps_to_its_schedule_in_the_ramp(engage: Engage) -> None:
    engaged = engage(rate="300")
    engaged.crowd()
    assert engaged.received(5) == 5
    assert engaged.driver.outstanding >= 5, "it sends although handshakes wait and nothing is answered"


@pytest.mark.parametrize("polled_ns", [0, 60 * NS_PER_S])
def test_the_queue_of_the_ramp_is_reported_with_the_cpu_but_for_polling(engage: Engage, polled_ns: int) -> None:
    engaged = engage()
    engaged.crowd()
    use_cpu(20_000_000)
    engaged.engine._pacer.polled_ns += polled_ns
    now_ns = time.time_ns()
    engaged.engine.apply_plan(PhasePlan(now_ns, now_ns + 60 * NS_PER_S, FOREVER_NS))
    until(lambda: engaged.reports and engaged.reports[-1].health.handshakes_queued_ns)
    health = engaged.reports[-1].health
    assert health.handshakes_queued_ns > 20_000_000 < health.handshakes_queued_cpu_ns + polled_ns
    assert (health.handshakes_queued_cpu_ns > 0) is (polled_ns == 0)
