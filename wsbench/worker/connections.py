"""The connections of one process: they are opened, counted, and closed at the end of the run."""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent

from wsbench.errors import ConnectError, ConnectionLost, Side
from wsbench.measure.delta import merge_counts
from wsbench.measure.recorder import Recorder
from wsbench.measure.series import AWAY
from wsbench.results.run_result import ConnectionCounts, NegotiatedWith
from wsbench.transport.connect import Connector
from wsbench.transport.connect_attempt import HandshakeResult
from wsbench.transport.connection import Connection
from wsbench.transport.traffic import Traffic
from wsbench.websocket import connect_errors
from wsbench.websocket.connect_options import ConnectOptions
from wsbench.websocket.retry_after import retry_after_s
from wsbench.worker import mass_close
from wsbench.worker.back_off import BackOff
from wsbench.worker.background import resume_closed_loops
from wsbench.worker.connection_time import ConnectionTime
from wsbench.worker.driver import Driver
from wsbench.worker.error_counter import ErrorCounter
from wsbench.worker.handshake_limiter import HandshakeLimiter, QueuedTime
from wsbench.worker.openers import Openers
from wsbench.worker.pacer import Pacer
from wsbench.worker.timeout_sweep import TimeoutSweep

_CLOSE_TIMEOUT_S = 2.0
_TOO_LATE = "too-late"
_CHECK_S = 0.01


class Connections:
    """Opens, counts and closes the connections of all drivers of one process.

    Attributes:
        negotiated: what the server granted the first connection; None before.
        quiet_s: at the end, connections are closed when nothing has arrived for this long.
        handshakes_queued: time in the ramp in which handshakes queued; known when it is over.
        time: how long connections were open, and how long they were away.
    """

    def __init__(
        self,
        connector: Connector,
        *,
        traffic: Traffic,
        recorder: Recorder,
        tally: ConnectionCounts,
        connection_time: ConnectionTime,
        errors: ErrorCounter,
        pacer: Pacer,
        timeout_ns: int,
        handshakes: int,
        handshake_patience_s: float,
    ) -> None:
        self.tally = tally
        self.time = connection_time
        self.negotiated: NegotiatedWith | None = None
        self.quiet_s = 0.0
        self.handshakes_queued = QueuedTime()
        self._connector = connector
        self._traffic = traffic
        self._recorder = recorder
        self._errors = errors
        self._pacer = pacer
        self._limiter = HandshakeLimiter(
            handshakes,
            self._pause_closed_loops,
            patience_s=handshake_patience_s,
            cpu_ns=lambda: time.process_time_ns() - pacer.polled_ns,  # polling leaves its time to handshakes
        )
        self._openers = Openers(2 * handshakes)  # more than the limiter lets run: it has to see that handshakes queue
        self._drivers: dict[Driver, None] = {}
        self._back_offs: dict[Driver, BackOff] = {}
        self._opening = self._closing = 0
        self._ramping = True
        self._ending = False
        self._sweep = TimeoutSweep(timeout_ns)

    @property
    def open_now(self) -> int:
        """Number of open connections."""
        return self.tally.opened + self.tally.reconnected - sum(self.tally.close_codes.values())

    def register(self, driver: Driver) -> None:
        """Add a driver, whose connection will be opened next."""
        self._drivers[driver] = None
        self._sweep.add(driver)
        self._pacer.has_waiters |= driver.has_waiters
        self.tally.asked += 1

    def unregister(self, driver: Driver) -> None:
        """Remove a driver whose connection is closed and will not be opened again."""
        self.time.released(driver)
        self._drivers.pop(driver, None)
        self._back_offs.pop(driver, None)
        self._sweep.remove(driver)

    def withdraw(self, driver: Driver) -> None:
        """Remove a registered driver that does not want its connection any more, before the first attempt."""
        self.unregister(driver)
        self.tally.asked -= 1

    def open_soon(self, opening: Callable[[], None]) -> None:
        """Call `opening`, which opens a connection, in a greenlet that many share: it must not block for long."""
        self._openers.append(opening)

    def expect(self, driver: Driver, deadline_ns: int) -> None:
        """Note a deadline of a driver's message that is earlier than the run's timeout would have it."""
        self._sweep.expect(driver, deadline_ns)

    def count_failed_user(self) -> None:
        """Count a user of the scenario that ended before it registered a driver."""
        self.tally.asked += 1
        self.tally.failed += 1
        self.tally.attempts += 1
        self.tally.attempts_failed += 1

    def connect(self, driver: Driver, *, again: bool = False, options: ConnectOptions | None = None) -> None:
        """Open a connection for a driver, with its own `options` if given, and attach it.

        Raises:
            ConnectError: it failed; this has been counted, unless the run ends and it was not tried.
        """
        try:
            with self._limiter.slot():
                handshake = self._open(options)
        except ConnectError as error:
            if error.kind == _TOO_LATE:
                self.tally.asked -= not again
                raise
            self._count_failed(driver, error, again)
            raise
        except BaseException:  # the waiting greenlet is stopped
            self.tally.asked -= not again
            raise
        self._count_opened(driver, handshake, again)
        driver.attach(Connection(handshake, driver, self._traffic))

    def reconnect(
        self, driver: Driver, options: ConnectOptions | None = None, *, wanted: Callable[[], bool] = lambda: True
    ) -> bool:
        """Reopen a dropped connection, with a growing pause before each attempt; blocks.

        Return False if the run ends first or the connection is not `wanted` any more.
        """
        back_off = self._back_offs.setdefault(driver, BackOff())
        pause_s = back_off.pause_s()
        while not self._ending:
            gevent.sleep(pause_s)
            if not wanted():
                self._back_offs.pop(driver, None)  # it may have been unregistered before this call
                return False
            try:
                self.connect(driver, again=True, options=options)
            except ConnectError as error:
                pause_s = back_off.pause_s(retry_after_s(error))
            else:
                back_off.opened()
                return True
        return False

    def _open(self, options: ConnectOptions | None) -> HandshakeResult:
        if self._ending:
            raise ConnectError("the run is about to end", step="tcp", side=Side.GENERATOR, kind=_TOO_LATE)
        self._opening += 1
        try:
            return self._connector.connect(options)
        except ConnectError:
            raise
        except Exception as error:
            failed = connect_errors.internal(error)
            self._errors.log_once(failed.what, error)
            raise failed from error
        finally:
            self._opening -= 1

    def _count_failed(self, driver: Driver, error: ConnectError, again: bool) -> None:
        self._errors.count(error)
        self.tally.attempts += 1
        self.tally.attempts_failed += 1
        if again:
            self.tally.reconnects_failed += 1
        else:
            self.tally.failed += 1
            self.time.failed(driver)

    def _count_opened(self, driver: Driver, handshake: HandshakeResult, again: bool) -> None:
        steps = {name: ns for name, ns in handshake.times_ns.items() if name != "dns"}
        away_ns = self.time.opened(driver)
        away = {} if away_ns is None else {AWAY: away_ns}
        self._recorder.connected({"connect": sum(steps.values()), **steps, **away})
        self.tally.tls_resumed += handshake.tls is not None and handshake.tls.resumed
        self.tally.attempts += 1
        self.tally.reconnected += again
        self.tally.opened += not again
        merge_counts(self.tally.peers, handshake.peers)
        self.negotiated = self.negotiated or handshake.negotiated

    def disconnect(self, driver: Driver, code: int = 1000, reason: str = "") -> None:
        """Close a driver's connection with a closing handshake, and count how it closed."""
        connection = self._abandon(driver)
        if connection is not None:
            try:
                connection.close(code, reason, timeout_s=_CLOSE_TIMEOUT_S)
            finally:  # Locust may kill the user meanwhile
                self._count_close(connection)

    def _begin_close(self, driver: Driver) -> Connection | None:
        connection = self._abandon(driver)
        if connection is not None:
            connection.begin_close()
        return connection

    def _finish_close(self, connection: Connection) -> None:
        connection.finish_close(_CLOSE_TIMEOUT_S)
        self._count_close(connection)

    def _abandon(self, driver: Driver) -> Connection | None:
        """Give up a driver's messages; return its connection, which is to be closed."""
        connection = driver.connection
        if connection is None:
            self.time.released(driver)
            return None
        driver.abandon()
        self._closing += 1
        return connection

    def _count_close(self, connection: Connection) -> None:
        self._closing -= 1
        self.time.closed()
        self._count_closed(connection.close_code)
        if connection.unanswered is not None:
            self._errors.count(connection.unanswered)

    def count_dropped(self, driver: Driver, error: ConnectionLost) -> None:
        """Count a driver's connection that ended without our closing it."""
        self.time.dropped(driver)
        self.tally.dropped += 1
        self._count_closed(error.code)
        self._errors.count(error)

    def refuse(self, driver: Driver, error: ConnectError, *, again: bool) -> None:
        """Close a connection that is of no use, and count it as one that could not be opened.

        A protocol on top of WebSocket has refused it.
        """
        if driver.connection is None:  # it was dropped
            return
        connection = self._abandon(driver)
        assert connection is not None
        self.tally.opened -= not again
        self.tally.reconnected -= again
        self.tally.attempts -= 1
        if again:
            self.time.dropped(driver)
        else:
            self.time.closed()
        self._count_failed(driver, error, again)
        try:
            connection.close(timeout_s=_CLOSE_TIMEOUT_S)
        finally:
            self._closing -= 1

    def _count_closed(self, code: int | None) -> None:
        merge_counts(self.tally.close_codes, {str(code or 1006): 1})

    # -- ramp ------------------------------------------------------------------------------------------------------

    def end_ramp(self) -> None:
        """From now on, closed loops do not pause for handshakes."""
        self.handshakes_queued = self._limiter.queued
        self._ramping = False
        self._pause_closed_loops(False)

    def _pause_closed_loops(self, contended: bool) -> None:
        """In the ramp, pause closed loops while handshakes queue."""
        paused = contended and self._ramping
        if paused is not self._recorder.paused:
            self._recorder.pause_closed_loops(paused)
            if not paused:
                gevent.spawn(resume_closed_loops, self._drivers, self._recorder)

    # -- end of the run --------------------------------------------------------------------------------------------

    def drain(self, patience_s: float) -> None:
        """Open no more connections; wait up to `patience_s` for overdue messages, replies, and `quiet_s` of silence."""
        self._ending = True
        for _ in range(self.time.end()):
            self._recorder.current.unanswered(AWAY)
        with gevent.Timeout(patience_s, False):
            # Otherwise a moment without a message in flight would decide how many are sent late and how many missed.
            while self._pacer.is_behind(self._recorder.plan.drain_ns):
                gevent.sleep(_CHECK_S)
            self._await_replies()
            # How much the server still pushes is not known.
            quiet_since, received = time.monotonic(), self._traffic.received
            while time.monotonic() - quiet_since < self.quiet_s:
                gevent.sleep(_CHECK_S)
                if self._traffic.received != received:
                    quiet_since, received = time.monotonic(), self._traffic.received

    def _await_replies(self) -> None:
        """Wait until no message is in flight. With thousands of drivers, look at those that are done only once more."""
        while waiting := [driver for driver in self._drivers if driver.outstanding]:
            while waiting := [driver for driver in waiting if driver.outstanding]:
                gevent.sleep(_CHECK_S)

    def close_all(self) -> None:
        """Close every connection, and wait for those that are being opened or closed: the server counts them too."""
        with gevent.Timeout(_CLOSE_TIMEOUT_S, False):
            while self._opening:
                gevent.sleep(_CHECK_S)
        mass_close.close_all(self._drivers, self._begin_close, self._finish_close, patience_s=_CLOSE_TIMEOUT_S)
        with gevent.Timeout(_CLOSE_TIMEOUT_S, False):
            while self._closing:
                gevent.sleep(_CHECK_S)
        self._sweep.stop()
