"""One load-generating process: its connections, its recorder, its pacer, and what it reports.

The engine knows nothing of Locust. Users ask it for connections, the master's phases arrive through `apply_plan`, and
reports leave through the function `send`.
"""

from __future__ import annotations

import gc
import itertools
import logging
import time
from collections.abc import Callable
from typing import TypeVar, cast

import gevent
import psutil
from gevent.event import Event
from gevent.lock import BoundedSemaphore
from gevent.pool import Pool

from wsbench.errors import ConnectError, ConnectionLost, Side, WsbenchError
from wsbench.machine import raise_descriptor_limit
from wsbench.measure.delta import IntervalDelta
from wsbench.measure.phases import Phase, PhasePlan
from wsbench.measure.recorder import Recorder
from wsbench.measure.schedule import constant, slots
from wsbench.run.options import RunOptions
from wsbench.run.protocol import SCENARIO_FAILED, ConnectionTally, ErrorTally, Health, PhaseUpdate, Report
from wsbench.source_addresses import round_robin
from wsbench.transport.connect import Connector
from wsbench.transport.connection import Connection
from wsbench.transport.poller import poller
from wsbench.transport.timestamps import TimestampingKeepalive
from wsbench.transport.traffic import Traffic
from wsbench.units import NS_PER_S
from wsbench.websocket.handshake import ConnectOptions
from wsbench.websocket.tls import client_context
from wsbench.worker.clocks import GcWatch, OffsetWatch
from wsbench.worker.driver import Driver
from wsbench.worker.handshake_limiter import HandshakeLimiter
from wsbench.worker.pacer import Paced, Pacer
from wsbench.worker.scenario_errors import describe_scenario_error

T = TypeVar("T")
logger = logging.getLogger(__name__)

ECHO = "echo"
"""What a message of an echo user is called where messages have names."""
_HANDSHAKES_AT_A_TIME = 64
_NEVER_AGAIN_NS = 10.0**18
_CLOSES_AT_A_TIME = 256
_SWEPT_AT_A_TIME = 100
_RESUMED_AT_A_TIME = 64
_CLOSE_TIMEOUT_S = 2.0
_STALL_PROBE_S = 0.05
"""Code that runs this seldom is cold: a probe costs 0.1 ms, in which messages may be late."""
_TOO_LATE = "too-late"


def _yield_control() -> None:
    gevent.sleep(0.001)  # after a sleep of 0, gevent goes on with us before it looks at any socket


def _too_late() -> ConnectError:
    return ConnectError("the run is about to end", step="tcp", side=Side.GENERATOR, kind=_TOO_LATE)


class Engine:
    """Runs the connections of one process.

    Attributes:
        options: of the run; `users` counts the connections of all workers together.
        recorder: where drivers count.
        traffic: bytes on the wire, of all connections.
        quiet_s: connections are closed at the end when nothing has come for so long, in seconds.
        ramped: set when the ramp is over: all connections are open.
        finished: set when all connections are closed and everything is reported.

    Args:
        shared_sources: source addresses are the same for all workers, which share them out; not each one's own.
    """

    def __init__(
        self,
        options: RunOptions,
        *,
        worker: int,
        send: Callable[[Report], object],
        on_request: Callable[..., None] | None = None,
        shared_sources: bool = True,
    ) -> None:
        self.options = options
        self.worker = worker
        self._send = send
        self._on_request = on_request
        self._process = psutil.Process()
        self._offset = OffsetWatch()
        self._gc = GcWatch()
        self._stamping = TimestampingKeepalive()
        self.traffic = Traffic()
        context = client_context(ca_file=options.connect.ca_file, insecure=options.connect.insecure)
        sources = options.connect.sources
        turns = options.processes if shared_sources else 1
        self._connector = Connector(
            options.connect,
            context=context,
            traffic=self.traffic,
            sources=round_robin(sources, start=worker, step=turns) if sources else None,
        )
        self._pacer = Pacer(
            offset_ns=self._offset.offset_ns,
            backlog_ns=options.timeout_ns,
            on_error=self._pacer_failed,
            read=poller().poll_once,
        )
        self._handshakes = HandshakeLimiter(_HANDSHAKES_AT_A_TIME, self._pause_closed_loops)
        self._drivers: dict[Driver, None] = {}
        self._singletons: dict[Callable[[Engine], object], object] = {}
        self._paced: set[Paced] = set()
        self._ids = itertools.count()
        self._users = itertools.count()
        self._numbers = itertools.count(1)
        self._connections = ConnectionTally()
        self._opening = 0
        self._unanswered = 0
        self.recorder = Recorder(
            PhasePlan(),
            time.time_ns(),
            closed_loop=options.closed_loop,
            sample=self._sample,
            reply_size=options.payload_size,
        )
        self._errors: dict[tuple[str, str], ErrorTally] = {}
        self._negotiated: dict[str, str | None] | None = None
        self._health = Health(
            nofile=raise_descriptor_limit(),
            kernel_timestamps=self._stamping.available,
            exact_timer=self._pacer.exact,
        )
        self._own_descriptors = self._process.num_fds()
        self._own_bytes = self._rss()
        self.quiet_s = 0.0
        self._measuring = False
        self._finishing = False
        self._faults_logged: set[str] = set()
        self._reporting = BoundedSemaphore(1)
        self.ramped = Event()
        self.finished = Event()
        self._stall_watch = gevent.spawn(self._stalls)
        self._greenlets = [gevent.spawn(self._report_loop), gevent.spawn(self._sweep_loop)]

    # -- connections -----------------------------------------------------------------------------------------------

    def new_id(self) -> int:
        """A number that no other connection of the run has."""
        return next(self._ids) * 256 + self.worker

    def new_user(self) -> int:
        """The number of one more user: from 0 on, over all workers."""
        return next(self._users) * self.options.processes + self.worker

    def singleton(self, kind: Callable[[Engine], T]) -> T:
        """The one that `kind` makes for all drivers of this process."""
        if kind not in self._singletons:
            self._singletons[kind] = kind(self)
        return cast("T", self._singletons[kind])

    def register(self, driver: Driver) -> None:
        """One more connection will be asked for."""
        self._drivers[driver] = None
        self._pacer.has_waiters |= driver.has_waiters
        self._connections.attempted += 1

    def unregister(self, driver: Driver) -> None:
        """A driver whose connection is closed will not ask for another."""
        self._drivers.pop(driver, None)

    def user_failed(self) -> None:
        """A user of the scenario ended before it could ask for a connection."""
        self._connections.attempted += 1
        self._connections.failed += 1

    def scenario_failed(self, error: Exception, *, logged: bool = False) -> None:
        """Code of the scenario raised what it should not have; `logged` if its traceback is in the log already."""
        what = f"the scenario failed: {describe_scenario_error(error)}"
        if not logged and what not in self._faults_logged:
            self._faults_logged.add(what)
            logger.error("%s", what, exc_info=error)
        self.count_error(WsbenchError(what, kind=SCENARIO_FAILED, remedy="`locust -f` with it shows the traceback."))

    def connect(self, driver: Driver, *, again: bool = False, options: ConnectOptions | None = None) -> None:
        """Open a connection for a driver, with `options` of its own if given, and let it begin.

        Raises:
            ConnectError: it did not come about; it has been counted, unless it was not even tried.
        """
        try:
            with self._handshakes.slot():
                if self._finishing:
                    raise _too_late()
                self._opening += 1
                try:
                    handshake = self._connector.connect(options)
                finally:
                    self._opening -= 1
        except ConnectError as error:
            if error.kind == _TOO_LATE:
                self._connections.attempted -= not again
                raise
            if not again:
                self._connections.failed += 1
            self.count_error(error)
            raise
        times = handshake.times
        steps = {"connect": times.total_ns, "tcp": times.tcp_ns, "upgrade": times.upgrade_ns}
        if times.tls_ns is not None:
            steps["tls"] = times.tls_ns
        self.recorder.connected(steps)
        self._connections.tls_resumed += handshake.resumed
        if again:
            self._connections.reconnected += 1
        else:
            self._connections.opened += 1
        if self._negotiated is None:
            granted = handshake.negotiated
            self._negotiated = {
                "compression": granted.compression,
                "subprotocol": granted.subprotocol,
                "tls_version": granted.tls_version,
                "tls_cipher": granted.tls_cipher,
            }
        driver.attach(Connection(handshake, driver, self.traffic))

    def _pause_closed_loops(self, contended: bool) -> None:
        """In the ramp, closed loops hold back while connections wait to be opened."""
        held = contended and not self._measuring
        if held is not self.recorder.paused:
            self.recorder.pause_closed_loops(held)
            if not held:
                gevent.spawn(self._resume)

    def _resume(self) -> None:
        drivers = list(self._drivers)
        for start in range(0, len(drivers), _RESUMED_AT_A_TIME):
            if not self.recorder.closed_loops_active:
                break
            for driver in drivers[start : start + _RESUMED_AT_A_TIME]:
                driver.resume()
            _yield_control()

    def disconnect(self, driver: Driver, code: int = 1000, reason: str = "") -> None:
        """Close a driver's connection as it should be closed, and count how that went."""
        connection = driver.connection
        if connection is None:
            return
        driver.abandon()
        # When so many have gone without an answer, nobody answers: the others are not waited for.
        hopeless = self._unanswered >= _CLOSES_AT_A_TIME
        connection.close(code, reason, timeout_s=_CLOSE_TIMEOUT_S / 50 if hopeless else _CLOSE_TIMEOUT_S)
        self._closed(connection.close_code)
        if connection.unanswered is not None:
            self._unanswered += 1
            self.count_error(connection.unanswered)

    def dropped(self, error: ConnectionLost) -> None:
        """A connection ended without our asking."""
        self._connections.dropped += 1
        self._closed(error.code)
        self.count_error(error)

    def pace(self, paced: Paced, rate: float) -> None:
        """Put something on the schedule, of `rate` messages a second over all users of the run; once.

        Its slots go on while it is not connected.
        """
        if paced in self._paced or self._finishing:
            return
        index = len(self._paced) * self.options.processes + self.worker
        self._paced.add(paced)
        self._pacer.add(
            paced,
            slots(
                rate=rate,
                connections=self.options.users,
                index=index,
                now_ns=time.monotonic_ns(),
                arrivals=self.options.arrivals,
                seed=self.worker,
            ),
        )

    def wake(self, paced: Paced, instant_ns: int) -> None:
        """Put something on the schedule for one instant of CLOCK_REALTIME, in ns; `unpace` it afterwards."""
        self._paced.add(paced)
        self._pacer.add(paced, constant(_NEVER_AGAIN_NS, instant_ns - self._pacer.offset_ns))

    def unpace(self, paced: Paced) -> None:
        """Take it off the schedule."""
        if paced in self._paced:
            self._paced.discard(paced)
            self._pacer.remove(paced)

    def fire_request(self, latency_ns: int | None, size: int, problem: str | None = None, name: str = ECHO) -> None:
        """Tell listeners of Locust's request event about one message (--request-events)."""
        if self._on_request is not None and self.options.request_events:
            self._on_request(latency_ns, size, problem, name)

    @property
    def _open(self) -> int:
        """Connections open now."""
        tally = self._connections
        return tally.opened + tally.reconnected - sum(tally.close_codes.values())

    def _closed(self, code: int | None) -> None:
        codes = self._connections.close_codes
        key = str(code or 1006)
        codes[key] = codes.get(key, 0) + 1

    def count_error(self, error: WsbenchError) -> None:
        """Count what went wrong, by kind and side."""
        key = (error.kind, str(error.side))
        known = self._errors.get(key)
        if known is None:
            self._errors[key] = ErrorTally(*key, count=1, example=error.what, remedy=error.remedy)
        else:
            known.count += 1

    def _pacer_failed(self, error: Exception) -> None:
        self.count_error(WsbenchError(f"the pacer failed: {type(error).__name__}: {error}", kind="internal"))

    # -- orders ----------------------------------------------------------------------------------------------------

    def apply_plan(self, order: PhaseUpdate) -> None:
        """The master's word on the phases; when the drain is in sight, see to the end."""
        now = time.time_ns()
        plan = order.plan.shifted(-self._health.clock_offset_ns)
        self.recorder.set_plan(plan, now)
        if plan.phase_at(now) is not Phase.RAMP and not self._measuring:
            self._measuring = True
            self._pause_closed_loops(False)
            self._health.ramp_connections = self._open
            self._health.ramp_bytes = self._rss() - self._own_bytes
            # What lives now lives as long as the run: no need for the collector to look at it again and again.
            gc.collect()
            gc.freeze()
            self._greenlets.append(gevent.spawn(self._forget_before_measure))
            self.ramped.set()
        if plan.drain_ns - now < 3600 * NS_PER_S and not self._finishing:
            gevent.spawn(self._finish_at_drain)

    @property
    def clock_offset_ns(self) -> int:
        """How far the master's clock is taken to be ahead of ours."""
        return self._health.clock_offset_ns

    def set_clock_offset(self, offset_ns: int) -> None:
        """How far the master's clock is ahead of ours. Not taken back once the phases are set: intervals must fit."""
        if not self._measuring:
            self._health.clock_offset_ns = offset_ns

    def _finish_at_drain(self) -> None:
        while (left := self.recorder.plan.drain_ns - time.time_ns()) > 0:
            gevent.sleep(min(left / NS_PER_S, 0.5))
        self.finish()

    def _forget_before_measure(self) -> None:
        """What interrupted the ramp or the warm-up spoils no figure."""
        while (left := self.recorder.plan.measure_ns - time.time_ns()) > 0:
            gevent.sleep(min(left / NS_PER_S, 3600.0))
        self._gc.reset()
        self._health.stall_max_ns = 0

    def finish(self) -> None:
        """Drain, close every connection, send the final report. Blocks until that is done; once."""
        if self._finishing:
            self.finished.wait()
            return
        self._finishing = True
        now = time.time_ns()
        self.recorder.set_plan(self.recorder.plan.ended_at(now), now)
        # What stops us from here on, closing thousands of connections for one, spoils no figure.
        self._gc.close()
        self._stall_watch.kill()
        patience_s = min(self.options.drain_ns, self.options.timeout_ns) / NS_PER_S
        with gevent.Timeout(patience_s, False):
            while any(driver.outstanding for driver in self._drivers):
                gevent.sleep(0.01)
            self._until_quiet()
        self._pacer.stop()
        # Those that are just being opened are counted too: the server has counted them.
        with gevent.Timeout(_CLOSE_TIMEOUT_S, False):
            while self._opening:
                gevent.sleep(0.01)
        closing = Pool(_CLOSES_AT_A_TIME)
        for driver in list(self._drivers):
            closing.spawn(self.disconnect, driver)
        closing.join()
        with self._reporting:  # what a report has taken from the recorder is sent
            gevent.killall(self._greenlets)
        gc.unfreeze()
        self._report(final=True)
        self.finished.set()

    def _until_quiet(self) -> None:
        """What the server sends on its own accord may still be under way, and nobody knows how much of it."""
        quiet_since, received = time.monotonic(), self.traffic.received
        while time.monotonic() - quiet_since < self.quiet_s:
            gevent.sleep(0.01)
            if self.traffic.received != received:
                quiet_since, received = time.monotonic(), self.traffic.received

    # -- watching and reporting ------------------------------------------------------------------------------------

    def _sample(self) -> dict[str, int]:
        return {
            "cpu_ns": time.process_time_ns(),
            "polled_ns": self._pacer.polled_ns,
            "wall_ns": time.monotonic_ns(),
            "wire_sent": self.traffic.sent,
            "wire_received": self.traffic.received,
            "connections_opened": self._connections.opened + self._connections.reconnected,
            "connections_closed": sum(self._connections.close_codes.values()),
        }

    def _rss(self) -> int:
        try:
            return int(self._process.memory_info().rss)
        except OSError:  # no descriptor left to read it by: the last one stands
            return self._health.rss_bytes

    def _report_loop(self) -> None:
        while True:
            # Just behind the turn of an interval, so that a report holds whole seconds.
            until_s = (self.recorder.boundary_ns - time.time_ns()) / NS_PER_S
            # The ramp is over when the last connection is open: the master should not learn that a second later.
            most_s = 1.0 if self._measuring else 0.2
            gevent.sleep(min(max(until_s, 0.1), most_s) + 0.002)
            self._report(final=False)

    def _report(self, *, final: bool) -> None:
        with self._reporting:
            self.recorder.advance(time.time_ns())
            if not self._measuring:
                # Connections stay: the collector need not look at those of the last second ever again.
                gc.freeze()
            self._pacer.offset_ns = self._offset.refresh()
            health = self._health
            health.rss_bytes = self._rss()
            # Reckoned, not listed: with thousands open, reading /proc/self/fd stops everything for 10 ms.
            health.descriptors = self._own_descriptors + self._open
            health.gc_pause_max_ns, health.gc_pause_total_ns = self._gc.pause_max_ns, self._gc.pause_total_ns
            health.clock_steps, health.clock_step_max_ns = self._offset.steps, self._offset.step_max_ns
            self._send(
                Report(
                    worker=self.worker,
                    number=next(self._numbers),
                    deltas=[self._on_masters_clock(delta) for delta in self.recorder.collect(_yield_control)],
                    connections=self._connections,
                    errors=list(self._errors.values()),
                    health=health,
                    negotiated=self._negotiated,
                    final=final,
                )
            )

    def _on_masters_clock(self, delta: IntervalDelta) -> IntervalDelta:
        delta.start_ns += self._health.clock_offset_ns
        if delta.phase == Phase.RAMP:
            # Intervals of the ramp begin with the clock's seconds: with the master's, then.
            plan = self.recorder.plan.shifted(self._health.clock_offset_ns)
            delta.start_ns = plan.second_of_ramp(delta.start_ns)
        return delta

    def _sweep_loop(self) -> None:
        round_s = min(max(self.options.timeout_ns / NS_PER_S / 20, 0.01), 1.0)
        while True:
            drivers = list(self._drivers)
            # A few at a time: a look at thousands in one go would keep the pacer from its work for milliseconds.
            for start in range(0, len(drivers), _SWEPT_AT_A_TIME):
                now = time.time_ns()
                for driver in drivers[start : start + _SWEPT_AT_A_TIME]:
                    driver.expire(now)
                gevent.sleep(round_s * _SWEPT_AT_A_TIME / len(drivers))
            if len(drivers) < _SWEPT_AT_A_TIME:
                gevent.sleep(round_s)

    def _stalls(self) -> None:
        """How late the hub comes round at the worst: nothing else it does can be more punctual."""
        while True:
            asked = time.monotonic_ns()
            gevent.sleep(_STALL_PROBE_S)
            late = time.monotonic_ns() - asked - int(_STALL_PROBE_S * NS_PER_S)
            self._health.stall_max_ns = max(self._health.stall_max_ns, late)
