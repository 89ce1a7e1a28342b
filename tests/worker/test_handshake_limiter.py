"""How many handshakes are under way at a time, and who makes way for those that wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent.event import Event
from helpers.peer import Peer, until

from wsbench.measure.phases import FOREVER_NS, PhasePlan
from wsbench.run.options import RunOptions
from wsbench.run.protocol import PhaseUpdate
from wsbench.units import NS_PER_S
from wsbench.worker.echo import driver_for
from wsbench.worker.engine import Engine
from wsbench.worker.handshake_limiter import HandshakeLimiter


class Ramp:
    """Handshakes that take until they are told to end."""

    def __init__(self, at_a_time: int, patience_s: float = 60) -> None:
        self.told: list[bool] = []
        self.under_way: list[Event] = []
        self._handshakes = HandshakeLimiter(at_a_time, self.told.append, patience_s=patience_s)

    def ask(self) -> gevent.Greenlet:
        asking = gevent.spawn(self._handshake)
        gevent.sleep(0)
        return asking

    def _handshake(self) -> None:
        with self._handshakes.slot():
            ended = Event()
            self.under_way.append(ended)
            try:
                ended.wait()
            finally:
                self.under_way.remove(ended)

    def succeed(self) -> None:
        self.under_way[0].set()
        gevent.sleep(0.001)


def test_so_many_at_a_time_and_it_is_told_when_others_wait() -> None:
    ramp = Ramp(2)
    for _ in range(2):
        ramp.ask()
    assert (len(ramp.under_way), ramp.told) == (2, [])
    for _ in range(2):
        ramp.ask()
    assert (len(ramp.under_way), ramp.told) == (2, [True])
    ramp.succeed()
    assert (len(ramp.under_way), ramp.told) == (2, [True])
    ramp.succeed()
    assert (len(ramp.under_way), ramp.told) == (2, [True, False])


def test_one_that_fails_or_is_given_up_makes_room_as_well() -> None:
    ramp = Ramp(1)
    failing, waiting = ramp.ask(), ramp.ask()
    assert ramp.told == [True]
    waiting.kill()
    assert ramp.told == [True, False]
    ramp.ask()
    failing.kill()
    gevent.sleep(0.001)
    assert (len(ramp.under_way), ramp.told) == (1, [True, False, True, False])


def test_who_waits_in_vain_is_nobodys_concern_until_one_succeeds() -> None:
    ramp = Ramp(1, patience_s=0.05)
    for _ in range(3):
        ramp.ask()
    until(lambda: ramp.told == [True, False])
    ramp.succeed()
    until(lambda: ramp.told == [True, False, True])


def test_who_waits_next_has_a_patience_of_his_own() -> None:
    ramp = Ramp(1, patience_s=0.3)
    ramp.ask()
    first = ramp.ask()
    gevent.sleep(0.2)
    first.kill()
    ramp.ask()
    asked = time.monotonic()
    until(lambda: ramp.told == [True, False, True, False])
    assert time.monotonic() - asked > 0.28


class Engaged:
    """An engine that lets one handshake be under way at a time, and one user of its own that is connected."""

    def __init__(self, **raw: str) -> None:
        self.peer = Peer()
        options = RunOptions.from_texts({"timeout": "60s", **raw}, url=self.peer.url, users=3)
        self.engine = Engine(options, worker=0, send=lambda _: None, handshakes=1, handshake_patience_s=60)
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
def test_in_the_ramp_a_closed_loop_makes_way_and_goes_on_afterwards(engage: Engage, raw: dict[str, str]) -> None:
    engaged = engage(**raw)
    engaged.crowd()
    window = engaged.engine.options.in_flight
    for _ in range(window):
        engaged.peer.message(engaged.peer.receive().payload)
    until(lambda: not engaged.driver.outstanding)
    gevent.sleep(0.05)
    assert not engaged.driver.outstanding
    engaged.asked[1].kill()  # nobody waits any more
    assert engaged.received(window) == window
    assert engaged.driver.outstanding == window


def test_when_the_ramp_is_over_nobody_makes_way(engage: Engage) -> None:
    engaged = engage()
    engaged.crowd()
    engaged.peer.message(engaged.peer.receive().payload)
    until(lambda: not engaged.driver.outstanding)
    now_ns = time.time_ns()
    engaged.engine.apply_plan(PhaseUpdate(PhasePlan(now_ns, now_ns + 60 * NS_PER_S, FOREVER_NS)))
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
