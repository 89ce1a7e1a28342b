"""Connections of a process, against a real server: opened, counted, drained and closed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent.event import Event
from helpers import frames
from helpers.driver import LoggedDriver
from helpers.frames import Request
from helpers.peer import PATIENCE_S, Peer, until

from wsbench.errors import ConnectError, ConnectionLost, Side
from wsbench.measure.delta import LOST
from wsbench.measure.histogram import lowest_value
from wsbench.measure.phases import PhasePlan
from wsbench.measure.recorder import Recorder
from wsbench.measure.series import AWAY
from wsbench.results.run_result import ConnectionCounts, NegotiatedWith
from wsbench.transport.connect import Connector
from wsbench.transport.traffic import Traffic
from wsbench.units import NS_PER_S
from wsbench.websocket.connect_options import ConnectOptions
from wsbench.worker.connection_time import ConnectionTime
from wsbench.worker.connections import Connections
from wsbench.worker.error_counter import ErrorCounter
from wsbench.worker.pacer import Pacer


class Bench:
    """Connections, and everything that they count in."""

    def __init__(self) -> None:
        self.peer, self.traffic, self.errors, self.tally = Peer(), Traffic(), ErrorCounter(), ConnectionCounts()
        self.recorder = Recorder(PhasePlan(), time.time_ns(), closed_loop=True, sample=dict)
        self.pacer = Pacer(offset_ns=0, backlog_ns=NS_PER_S, on_error=lambda _: None)
        self.connections = Connections(
            Connector(ConnectOptions(self.peer.url), context=None, traffic=self.traffic),
            traffic=self.traffic,
            recorder=self.recorder,
            tally=self.tally,
            connection_time=ConnectionTime(),
            errors=self.errors,
            pacer=self.pacer,
            timeout_ns=NS_PER_S // 5,
            handshakes=1,
            handshake_patience_s=60,
        )

    def register(self) -> LoggedDriver:
        driver = LoggedDriver()
        self.connections.register(driver)
        return driver

    def connect(
        self, answer: Callable[[Request], bytes] = frames.upgrade_answer, *, again: bool = False
    ) -> LoggedDriver:
        driver = self.register()
        connecting = gevent.spawn(self.connections.connect, driver, again=again)
        self.peer.accept(answer)
        connecting.get(timeout=PATIENCE_S)
        return driver

    def stop(self) -> None:
        self.peer.stop()
        self.connections.close_all()
        self.pacer.stop()

    def error_kinds(self) -> dict[str, int]:
        return {tally.kind: tally.count for tally in self.errors.tallies}


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.stop()


def refuse(_: Request) -> bytes:
    return b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


def test_an_opened_connection_is_counted_timed_and_attached(bench: Bench) -> None:
    driver = bench.connect()
    assert "attach" in driver.calls
    assert (bench.tally.asked, bench.tally.opened, bench.connections.open_now) == (1, 1, 1)
    assert bench.connections.negotiated == NegotiatedWith()
    assert set(bench.recorder.current.values) == {"connect", "tcp", "upgrade"}


def test_a_refused_connection_is_counted_as_failed_with_its_error(bench: Bench) -> None:
    with pytest.raises(ConnectError):
        bench.connect(refuse)
    assert (bench.tally.asked, bench.tally.opened, bench.tally.failed) == (1, 0, 1)
    assert bench.connections.time.totals()["connections_wanted"] == 1, "its user wants it all the same"
    assert list(bench.error_kinds().values()) == [1]


def test_whatever_else_fails_while_connecting_is_a_named_error(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    wrong = ConnectOptions(bench.peer.url, compression="nonsense")  # which options refuse when they are parsed
    with pytest.raises(ConnectError, match="ValueError: 'nonsense'"):
        bench.connections.connect(bench.register(), options=wrong)
    assert (bench.tally.asked, bench.tally.failed, bench.error_kinds()) == (1, 1, {"internal": 1})
    assert len(caplog.records) == 1 and caplog.records[0].exc_info


def test_a_user_that_is_stopped_while_it_connects_is_no_failure(bench: Bench) -> None:
    connecting = gevent.spawn(bench.connections.connect, bench.register())
    gevent.sleep(0.05)
    connecting.kill()
    assert (bench.tally.asked, bench.tally.failed, bench.error_kinds()) == (0, 0, {})
    bench.peer.close()


def test_a_reconnection_counts_apart_and_its_failure_is_no_failed_user(bench: Bench) -> None:
    with pytest.raises(ConnectError):
        bench.connect(refuse, again=True)
    bench.peer.close()
    bench.connect(again=True)
    assert (bench.tally.opened, bench.tally.reconnected, bench.tally.failed) == (0, 1, 0)
    assert bench.connections.open_now == 1


def test_a_user_that_fails_before_it_registers_is_counted(bench: Bench) -> None:
    bench.connections.count_failed_user()
    assert (bench.tally.asked, bench.tally.failed) == (1, 1)


def test_a_closed_connection_counts_its_code(bench: Bench) -> None:
    driver = bench.connect()
    closing = gevent.spawn(bench.connections.disconnect, driver, 1000, "bye")
    assert bench.peer.receive().opcode == frames.CLOSE
    bench.peer.send(frames.encode_close(4001, ""))
    closing.get(timeout=PATIENCE_S)
    assert "abandon" in driver.calls
    assert (bench.tally.close_codes, bench.connections.open_now, bench.error_kinds()) == ({"4001": 1}, 0, {})
    bench.connections.disconnect(driver)  # has no connection any more
    assert bench.tally.close_codes == {"4001": 1}
    assert bench.connections.time.totals()["connections_wanted"] == 0


def test_a_close_that_is_not_answered_counts_an_error(bench: Bench) -> None:
    driver = bench.connect()
    bench.connections.disconnect(driver)
    assert sum(bench.tally.close_codes.values()) == 1
    assert sum(bench.error_kinds().values()) == 1


def test_a_dropped_connection_counts_its_code_and_its_error(bench: Bench) -> None:
    driver = bench.connect()
    bench.connections.count_dropped(driver, ConnectionLost("gone", side=Side.TARGET, code=1006, kind="dropped"))
    assert (bench.tally.dropped, bench.tally.close_codes, bench.error_kinds()) == (1, {"1006": 1}, {"dropped": 1})


def dropped(bench: Bench) -> LoggedDriver:
    """Return the driver of a connection that was opened and dropped."""
    driver = bench.connect()
    bench.connections.count_dropped(driver, ConnectionLost("gone", side=Side.TARGET, code=1006, kind="dropped"))
    bench.peer.close()
    driver.connection = None
    return driver


def test_the_time_that_a_connection_was_away_is_recorded_when_it_is_back(bench: Bench) -> None:
    driver = dropped(bench)
    assert AWAY not in bench.recorder.current.values
    gevent.sleep(0.05)
    connecting = gevent.spawn(bench.connections.connect, driver, again=True)
    bench.peer.accept()
    connecting.get(timeout=PATIENCE_S)
    ((value, count),) = bench.recorder.current.values[AWAY].items()
    assert count == 1 and lowest_value(value) > 0.04 * NS_PER_S
    bench.connections.drain(0)
    assert LOST + AWAY not in bench.recorder.current.extra_counts


def test_a_connection_that_is_not_back_at_the_end_is_lost_in_that_series(bench: Bench) -> None:
    dropped(bench)
    bench.connections.drain(0)
    assert bench.recorder.current.extra_counts[LOST + AWAY] == 1
    assert AWAY not in bench.recorder.current.values


@pytest.mark.parametrize("leave", [Connections.disconnect, Connections.unregister])
def test_a_user_that_leaves_while_its_connection_is_away_wants_it_no_more(
    bench: Bench, leave: Callable[[Connections, LoggedDriver], None]
) -> None:
    driver = dropped(bench)
    assert bench.connections.time.totals()["connections_wanted"] == 1
    leave(bench.connections, driver)
    assert bench.connections.time.totals()["connections_wanted"] == 0
    bench.connections.drain(0)
    assert LOST + AWAY not in bench.recorder.current.extra_counts


def test_failed_attempts_to_reconnect_are_counted_apart(bench: Bench) -> None:
    driver = dropped(bench)
    for _ in range(2):
        connecting = gevent.spawn(bench.connections.connect, driver, again=True)
        bench.peer.accept(refuse)
        bench.peer.close()
        with pytest.raises(ConnectError):
            connecting.get(timeout=PATIENCE_S)
    assert (bench.tally.reconnects_failed, bench.tally.failed, bench.tally.reconnected) == (2, 0, 0)


def test_drivers_with_waiters_make_the_pacer_yield(bench: Bench) -> None:
    bench.register()
    assert not bench.pacer.has_waiters
    bench.connections.register(LoggedDriver(has_waiters=True))
    assert bench.pacer.has_waiters


def test_registered_drivers_are_swept_and_others_are_not(bench: Bench) -> None:
    swept, gone = bench.register(), bench.register()
    bench.connections.unregister(gone)
    until(lambda: swept.calls.count("expire") > 2)
    assert gone.calls == []


def test_in_the_ramp_closed_loops_pause_while_handshakes_queue(bench: Bench) -> None:
    resumed = bench.connect()
    asking = [gevent.spawn(bench.connections.connect, bench.register()) for _ in range(2)]
    gevent.sleep(0)
    assert not bench.recorder.closed_loops_active
    bench.connections.end_ramp()
    assert bench.recorder.closed_loops_active
    until(lambda: "resume" in resumed.calls)
    asking[1].kill()
    asking.append(gevent.spawn(bench.connections.connect, bench.register()))
    gevent.sleep(0)
    assert bench.recorder.closed_loops_active, "after the ramp, nothing pauses them"
    gevent.killall(asking)


def test_draining_waits_for_outstanding_messages_and_no_longer_than_allowed(bench: Bench) -> None:
    driver = bench.connect()
    driver.outstanding = 1
    began = time.monotonic()
    bench.connections.drain(0.1)
    assert time.monotonic() - began >= 0.1
    draining = gevent.spawn(bench.connections.drain, PATIENCE_S)
    gevent.sleep(0.05)
    assert not draining.ready()
    driver.outstanding = 0
    draining.get(timeout=PATIENCE_S)


def test_draining_waits_until_the_server_is_quiet(bench: Bench) -> None:
    driver = bench.connect()
    bench.connections.quiet_s = 0.3
    draining = gevent.spawn(bench.connections.drain, PATIENCE_S)
    for number in range(5):
        gevent.sleep(0.1)
        bench.peer.message(b"%d" % number)
    assert not draining.ready()
    draining.get(timeout=PATIENCE_S)
    assert len(driver.messages) == 5


def test_after_the_drain_a_connection_is_refused_and_counts_as_not_attempted(bench: Bench) -> None:
    bench.connections.drain(0)
    with pytest.raises(ConnectError, match="about to end"):
        bench.connections.connect(bench.register())
    assert (bench.tally.asked, bench.tally.failed, bench.errors.tallies) == (0, 0, [])


def test_at_the_end_a_connection_that_its_user_is_closing_is_counted(bench: Bench) -> None:
    driver = bench.connect()
    leaving = gevent.spawn(bench.connections.disconnect, driver)
    assert bench.peer.receive().opcode == frames.CLOSE
    closing = gevent.spawn(bench.connections.close_all)
    gevent.sleep(0.05)
    assert not closing.ready()
    bench.peer.send(frames.encode_close(1000, ""))
    closing.get(timeout=PATIENCE_S)
    assert bench.tally.close_codes == {"1000": 1}
    leaving.get(timeout=PATIENCE_S)


def test_a_close_that_is_interrupted_counts_all_the_same(bench: Bench) -> None:
    driver = bench.connect()
    leaving = gevent.spawn(bench.connections.disconnect, driver)
    assert bench.peer.receive().opcode == frames.CLOSE
    leaving.kill()
    assert (sum(bench.tally.close_codes.values()), bench.connections.open_now) == (1, 0)


def test_at_the_end_a_connection_that_is_being_opened_is_closed_too(bench: Bench) -> None:
    driver, slow = bench.register(), Event()
    connecting = gevent.spawn(bench.connections.connect, driver)

    def answer(request: Request) -> bytes:
        slow.wait()
        return frames.upgrade_answer(request)

    accepting = gevent.spawn(bench.peer.accept, answer)
    gevent.sleep(0.05)
    closing = gevent.spawn(bench.connections.close_all)
    gevent.sleep(0.05)
    assert not closing.ready()
    slow.set()
    gevent.joinall([accepting, connecting], timeout=PATIENCE_S, raise_error=True)
    assert bench.peer.receive().opcode == frames.CLOSE
    bench.peer.send(frames.encode_close(1000, ""))
    closing.get(timeout=PATIENCE_S)
    assert (bench.tally.opened, bench.connections.open_now) == (1, 0)
