"""The engine of one load-generating process: it joins connections, schedule, recorder and reports into one run.

The engine knows nothing of Locust. Users register drivers and open connections, the master's phases arrive through
`apply_plan`, and reports leave through the function `send`.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import TypeVar, cast

import gevent
from gevent.event import Event

from wsbench.cgroup_cpu import cpu_quotas
from wsbench.measure.phases import Phase, PhasePlan
from wsbench.measure.recorder import Recorder
from wsbench.results.run_result import ConnectionCounts
from wsbench.run.options import MOST_WORKERS, RunOptions
from wsbench.run.protocol import NOT_SHARED, Health, Report, Sharing
from wsbench.source_addresses import round_robin
from wsbench.transport.connect import Connector
from wsbench.transport.poller import hub_poller
from wsbench.transport.timestamps import TimestampingKeepalive
from wsbench.transport.traffic import Traffic
from wsbench.units import NS_PER_S
from wsbench.websocket.tls import client_context
from wsbench.worker.clocks import OffsetWatch
from wsbench.worker.connection_time import ConnectionTime
from wsbench.worker.connections import Connections
from wsbench.worker.error_counter import ErrorCounter
from wsbench.worker.health import HealthMonitor
from wsbench.worker.load_schedule import LoadSchedule
from wsbench.worker.pacer import Pacer
from wsbench.worker.reply_examples import ReplyExamples
from wsbench.worker.reporter import Reporter

T = TypeVar("T")

ECHO = "echo"
"""Name of an echo user's messages where messages have names."""
_MAX_SLEEP_S = 0.5
_LAST_SENDS_S = 0.002
"""For the messages that were due before the drain and that the pacer is about to send."""


class Engine:
    """Runs the connections of one process.

    Attributes:
        options: of the run; `users` counts the connections of all workers together.
        ramped: set when the ramp is over: all connections are open.
        finished: set when all connections are closed and everything is reported.
        schedule: the due instants of open loops.
        echo_path: "native", "python" or "mixed", by what serves echo connections; None without any.

    Args:
        shared_sources: all workers share the source addresses; otherwise they are this worker's alone.
        handshakes: maximum number of simultaneous handshakes.
        sharing: the users of all workers that share the rate, as far as they are known at the start.
    """

    def __init__(
        self,
        options: RunOptions,
        *,
        worker: int,
        send: Callable[[Report], object],
        on_request: Callable[..., None] | None = None,
        shared_sources: bool = True,
        handshakes: int = 64,
        handshake_patience_s: float = 1.0,
        sharing: Sharing = NOT_SHARED,
    ) -> None:
        self.options = options
        self.worker = worker
        self._on_request = on_request
        self._stamping = TimestampingKeepalive()
        self.traffic = Traffic()
        self.errors = ErrorCounter(options.secrets)
        self.examples = ReplyExamples(options.secrets.text)
        clock = OffsetWatch()
        self._pacer = Pacer(
            offset_ns=clock.offset_ns,
            backlog_ns=options.timeout_ns,
            on_error=self._pacer_failed,
            interval_end=lambda due_ns: self.recorder.plan.interval_at(due_ns).end_ns,
            read=hub_poller().poll_once,
        )
        self._connection_tally = ConnectionCounts()
        self._connection_time = ConnectionTime()
        self.recorder = Recorder(
            PhasePlan(),
            time.time_ns(),
            closed_loop=options.closed_loop,
            sample=self._running_totals,
            reply_size=options.payload_size,
        )
        self.connections = Connections(
            _connector(options, self.traffic, worker=worker, share=options.processes if shared_sources else 1),
            traffic=self.traffic,
            recorder=self.recorder,
            tally=self._connection_tally,
            connection_time=self._connection_time,
            errors=self.errors,
            pacer=self._pacer,
            timeout_ns=options.timeout_ns,
            handshakes=handshakes,
            handshake_patience_s=handshake_patience_s,
        )
        self.schedule = LoadSchedule(options, self._pacer, worker=worker, sharing=sharing, on_error=self._pacer_failed)
        self._health = HealthMonitor(
            clock,
            kernel_timestamps=self._stamping.available,
            exact_timer=self._pacer.exact,
            quotas=cpu_quotas(),
        )
        self._reporter = Reporter(
            send,
            worker=worker,
            recorder=self.recorder,
            connections=self.connections,
            schedule=self.schedule,
            errors=self.errors,
            examples=self.examples,
            sample_health=self._sample_health,
        )
        self._singletons: dict[Callable[[Engine], object], object] = {}
        self._ids = itertools.count()
        self._users = itertools.count()
        self._finishing = False
        self.echo_path: str | None = None
        self.ramped = Event()
        self.finished = Event()
        self._plan_changed = Event()
        self._plan_watch = gevent.spawn(self._follow_plan)

    def new_id(self) -> int:
        """Return a number that no other connection of the run has."""
        return next(self._ids) * MOST_WORKERS + self.worker

    def new_user(self) -> int:
        """Return the number of one more user: from 0 on, over all workers."""
        return next(self._users) * self.options.processes + self.worker

    def singleton(self, kind: Callable[[Engine], T]) -> T:
        """Return the one object of `kind` that all drivers of this process share; make it at the first call."""
        if kind not in self._singletons:
            self._singletons[kind] = kind(self)
        return cast("T", self._singletons[kind])

    def fire_request(self, latency_ns: int | None, size: int, problem: str | None = None, name: str = ECHO) -> None:
        """Fire Locust's request event for one message (--request-events)."""
        if self._on_request is None or not self.options.request_events:
            return
        try:
            self._on_request(latency_ns, size, problem, name)
        except Exception as error:  # Locust lets some exceptions of listeners pass, such as StopUser
            self.errors.count_scenario_failure(error)

    def _pacer_failed(self, error: Exception) -> None:
        self.errors.count_internal("the pacer failed", error)

    # -- phases ----------------------------------------------------------------------------------------------------

    def apply_plan(self, plan: PhasePlan) -> None:
        """Follow the master's phases, which another plan may move; finish the run when the drain phase begins."""
        now = time.time_ns()
        plan = plan.shifted(-self.clock_offset_ns)
        self.recorder.set_plan(plan, now)
        if plan.phase_at(now) is not Phase.RAMP:
            self._end_ramp()
        self._plan_changed.set()

    def _follow_plan(self) -> None:
        # The master's instants may lie in the future, the begin of the warm-up included: the clock offset is estimated.
        self._wait_until(lambda plan: plan.warmup_ns)
        self._end_ramp()
        self._wait_until(lambda plan: plan.measure_ns)
        self._health.reset_maxima()
        self._wait_until(lambda plan: plan.drain_ns)
        gevent.spawn(self.finish)

    def _wait_until(self, begin_ns: Callable[[PhasePlan], int]) -> None:
        """Sleep until a phase or the drain begins; the plan may change, and CLOCK_REALTIME step."""
        while (left := min(begin_ns(self.recorder.plan), self.recorder.plan.drain_ns) - time.time_ns()) > 0:
            self._plan_changed.clear()
            self._plan_changed.wait(min(left / NS_PER_S, _MAX_SLEEP_S))

    @property
    def clock_offset_ns(self) -> int:
        """Estimate of the master's clock minus ours."""
        return self._reporter.clock_offset_ns

    def set_clock_offset(self, offset_ns: int) -> None:
        """Set the master's clock minus ours; ignored after the ramp, because intervals must keep their place."""
        if not self.ramped.is_set():
            self._reporter.clock_offset_ns = offset_ns

    def _end_ramp(self) -> None:
        if not self.ramped.is_set():
            self.ramped.set()
            self.connections.end_ramp()
            self._health.end_ramp(self.connections.open_now)

    def finish(self) -> None:
        """Drain, close every connection, send the final report. Blocks until that is done."""
        if self._finishing:
            self.finished.wait()
            return
        self._finishing = True
        for step in (
            self._stop_sending,
            self._health.stop_watching,
            self._drain,
            self._pacer.stop,
            self.connections.close_all,
            self._stamping.close,
            self._health.unfreeze,
            self._reporter.finish,
        ):
            try:
                step()
            except Exception as error:  # the other steps, the last report above all, are due all the same
                self.errors.count_internal("the run could not be ended in order", error)
        self.finished.set()

    def _stop_sending(self) -> None:
        self._plan_watch.kill()
        self.schedule.close()
        now = time.time_ns()
        self.recorder.set_plan(self.recorder.plan.ended_at(now), now)

    def _drain(self) -> None:
        gevent.sleep(_LAST_SENDS_S)
        self.connections.drain(min(self.options.drain_ns, self.options.timeout_ns) / NS_PER_S)

    def fail(self, failure: str) -> None:
        """Finish because a part of this process has failed, and report `failure`, so that the whole run ends."""
        self._reporter.failure = self.options.secrets.text(failure)
        gevent.spawn(self.finish)

    # -- watching --------------------------------------------------------------------------------------------------

    def _running_totals(self) -> dict[str, int]:
        connections = self._connection_tally
        return {
            "cpu_ns": time.process_time_ns(),
            "polled_ns": self._pacer.polled_ns,
            "wall_ns": time.monotonic_ns(),
            "wire_sent": self.traffic.sent,
            "wire_received": self.traffic.received,
            "connections_opened": connections.opened + connections.reconnected,
            "connections_closed": sum(connections.close_codes.values()),
            "connect_failed": connections.attempts_failed,
            "reconnects_failed": connections.reconnects_failed,
            "dropped": connections.dropped,
            "errors_listed": self.errors.total,
            **self._connection_time.totals(),
        }

    def _sample_health(self) -> Health:
        health = self._health.sample(self.connections.open_now)
        health.handshakes_queued_ns, health.handshakes_queued_cpu_ns = self.connections.handshakes_queued
        self._pacer.offset_ns = self._health.clock.offset_ns
        health.echo_path = self.echo_path
        return health


def _connector(options: RunOptions, traffic: Traffic, *, worker: int, share: int) -> Connector:
    """Return a connector that takes every `share`-th source address, beginning with the worker's."""
    connect, sources = options.connect, options.sources
    context = client_context(ca_file=connect.ca_file, insecure=connect.insecure)
    addresses = round_robin(sources, start=worker, step=share) if sources else None
    return Connector(connect, context=context, traffic=traffic, sources=addresses, turn=worker)
