"""The master's part of a run: it sets the phases, adds up what the engines report, and leaves the result.

It runs beside the engine in a single process, and alone in a Locust master. Everything ends in `finish`, whoever calls
it first: the measure phase is over, somebody pressed Stop, --run-time is up, Ctrl-C.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

import gevent
import msgspec
from gevent.event import Event
from gevent.queue import Queue

from wsbench.errors import ExitCode, WsbenchError
from wsbench.locust_plugin.locust_stats import StatsFeed
from wsbench.master.interval_spill import IntervalSpill
from wsbench.master.live import LiveView
from wsbench.master.result_builder import ResultBuilder
from wsbench.master.target_usage import TargetSampler
from wsbench.master.worker_registry import WorkerRegistry
from wsbench.measure.phases import FOREVER_NS, Phase, PhasePlan
from wsbench.measure.totals import Totals
from wsbench.results.directory import ResultNotStored, Staging
from wsbench.results.run_result import Run, exit_code
from wsbench.run import handoff as launching
from wsbench.run.handoff import FAILURE_FILE, Failure, Handoff, Progress
from wsbench.run.options import RunOptions
from wsbench.run.protocol import PhaseUpdate, Report
from wsbench.units import NS_PER_S

logger = logging.getLogger(__name__)

_GIVE_UP_AFTER = 10
"""So many failed connections and not one open: the target cannot be measured."""
_FINAL_PATIENCE_S = 10.0
YIELD_S = 0.001
_PROGRESS_INTERVAL_NS = 9 * NS_PER_S // 10
"""Progress is told once a second, however many workers report."""
_WATCHED_NS = 5 * NS_PER_S
"""So long after somebody looked, the run goes on being prepared for the next look."""
_SETTLING_NS = 10 * NS_PER_S
"""So long after --timeout nothing comes for a second any more, unless a worker was cut off."""
_LATECOMERS_NS = 3 * NS_PER_S
_GROUP_PATIENCE_NS = 5 * NS_PER_S
"""So long after the time allowed for a reply, all workers have told what they have of a group."""


class Ending(Enum):
    """Why a run ends."""

    DONE = "done"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"


class Director:
    """Directs one run.

    Attributes:
        run: the result, once it is made; None when there was nothing to keep.
        stored: its directory; None when it could not be written.
        failure: why nothing could be measured, or stored.
        registry: the workers that take part.
        live: what it looks like while it goes on.
        scenario: its name.
        started: when it began.
    """

    def __init__(
        self,
        options: RunOptions,
        *,
        scenario: str,
        staging: Staging,
        launch: Handoff,
        broadcast: Callable[[PhaseUpdate], None],
        missing: Callable[[], set[int]],
        settings: Mapping[str, str],
        conclude: Callable[[dict[str, int]], None],
        feed: StatsFeed | None,
        on_done: Callable[[ExitCode], None],
        beside_engine: bool = True,
    ) -> None:
        self.options = options
        self.staging = staging
        self.run: Run | None = None
        self.stored: Path | None = None
        self.failure: WsbenchError | None = None
        self.done = Event()
        self.scenario = scenario
        self._launch = launch
        self._broadcast = broadcast
        self._missing = missing
        self._settings = settings
        self._conclude_counters = conclude
        self._feed = feed
        self._on_done = on_done
        self.started = datetime.now(UTC)
        self._plan = PhasePlan()
        self._totals = Totals()
        self._spill = IntervalSpill(staging.path)
        self.registry = WorkerRegistry()
        # Without an engine in this process nobody minds, but for whoever waits to be answered.
        self._yield_s = YIELD_S if beside_engine else 0.0
        self.live = LiveView(options, self.registry, yield_control=self.yield_control)
        self._last_progress = (Phase.RAMP, 0)
        self._watched_ns = -_WATCHED_NS
        self._spawned = Event()
        self._spawned_ns = 0
        self._news = Event()
        self._ending: Ending | None = None
        self._target = TargetSampler(launch.target)
        if launch.progress_fd is not None:
            os.set_blocking(launch.progress_fd, False)
        self._inbox: Queue[Report | None] = Queue()
        self._closed = False
        self._greenlet = gevent.spawn(self._direct)
        self._taking_in = gevent.spawn(self._take_in)

    # -- what comes in ---------------------------------------------------------------------------------------------

    def receive(self, report: Report) -> bool:
        """A worker's report. It is taken in by and by; one that came before is not counted again.

        False when it comes too late: the result is made without it.
        """
        if self._closed:
            return self.registry.knows(report)
        self._inbox.put(report)
        return True

    def _take_in(self) -> None:
        """What takes long is done in pieces: an engine in this process must not be kept from its work."""
        while (report := self._inbox.get()) is not None:
            if self.registry.knows(report):
                continue
            self._totals.add(report.deltas)
            self._totals.settle_groups(time.time_ns() - self.options.timeout_ns - _GROUP_PATIENCE_NS)
            self.yield_control()
            latest = self.live.take(report)
            if self._feed is not None:
                self._feed.take(report, latest)
                self.yield_control()
            self.registry.take(report)
            self._news.set()
            self._send_progress()
            settled_ns = time.time_ns() - self.options.timeout_ns - _SETTLING_NS
            self._spill.spill(self._totals, settled_ns, self.yield_control)

    def yield_control(self) -> None:
        """Let an engine in this process do its work."""
        gevent.sleep(self._yield_s)

    def spawning_complete(self) -> None:
        """Locust has started all users."""
        self._spawned_ns = time.monotonic_ns()
        self._spawned.set()
        self._news.set()

    @property
    def plan(self) -> PhasePlan:
        """The phases as they are known."""
        return self._plan

    @property
    def phase(self) -> Phase:
        """The phase of now."""
        return self._plan.phase_at(time.time_ns())

    # -- the course of a run ---------------------------------------------------------------------------------------

    def _direct(self) -> None:
        self._target.sample_before_ramp()
        while not self._ramp_is_over():
            if self._hopeless():
                gevent.spawn(self.finish, Ending.DONE)
                return
            self._news.wait(1.0)
            self._news.clear()
        self._target.sample_after_ramp(self.registry.opened)
        now = time.time_ns()
        measure = now + self.options.warmup_ns
        drain = measure + self.options.duration_ns if self.options.duration_ns is not None else FOREVER_NS
        self._order(PhasePlan(now, measure, drain))
        self._sleep_until(measure)
        self._target.sample_measure_begin()
        if drain != FOREVER_NS:
            self._sleep_until(drain)
            self._target.sample_measure_end()
            gevent.spawn(self.finish, Ending.DONE)

    def _ramp_is_over(self) -> bool:
        settled = self.registry.opened + self.registry.failed
        all_here = settled >= self.options.users or self._no_more_to_come() or bool(self._gone())
        return self._spawned.is_set() and all_here and not self._hopeless()

    def _gone(self) -> set[int]:
        """Workers of this run that can say nothing now."""
        return self._missing() & {worker.index for worker in self.registry.workers}

    def _no_more_to_come(self) -> bool:
        """A scenario may have users without a connection: then nobody asks for one for a while after the last."""
        waited_ns = time.monotonic_ns() - self._spawned_ns
        return self.registry.attempted == self.registry.opened + self.registry.failed > 0 and waited_ns > _LATECOMERS_NS

    def _hopeless(self) -> bool:
        return self.registry.opened == 0 and self.registry.failed >= min(self.options.users, _GIVE_UP_AFTER)

    def _order(self, plan: PhasePlan) -> None:
        self._plan = plan
        self._broadcast(PhaseUpdate(plan))

    @staticmethod
    def _sleep_until(instant_ns: int) -> None:
        while (left := instant_ns - time.time_ns()) > 0:
            gevent.sleep(left / NS_PER_S)

    @property
    def watched(self) -> bool:
        """Whether somebody looks at the run while it goes on."""
        return self._launch.progress_fd is not None or time.monotonic_ns() - self._watched_ns < _WATCHED_NS

    def watch(self) -> None:
        """Somebody looks."""
        self._watched_ns = time.monotonic_ns()

    def left_ns(self) -> int | None:
        """What is left of the present phase; None when nobody knows."""
        end = {Phase.WARMUP: self._plan.measure_ns, Phase.MEASURE: self._plan.drain_ns}.get(self.phase, FOREVER_NS)
        return max(0, end - time.time_ns()) if end != FOREVER_NS else None

    def _send_progress(self) -> None:
        told = (self.phase, time.monotonic_ns())
        soon = told[0] == self._last_progress[0] and told[1] - self._last_progress[1] < _PROGRESS_INTERVAL_NS
        if soon or self.done.is_set() or not self.watched:
            return
        self._last_progress = told
        self.live.judge(self._gone())
        descriptor = self._launch.progress_fd
        if descriptor is None:
            return
        counts, latest = self._totals.counts(), self.live.latest()
        verdict, found = self.live.verdict or (None, [])
        progress = Progress(
            phase=told[0],
            connections=counts.get("connections_opened", 0) - counts.get("connections_closed", 0),
            asked=self.options.users,
            received=counts["received"],
            lost=counts["lost"],
            per_s=latest.received_per_s if latest else 0.0,
            p50_ns=latest.response[0] if latest else None,
            p99_ns=latest.response[2] if latest else None,
            left_ns=self.left_ns(),
            verdict=verdict,
            evidence=found[0].evidence if verdict not in (None, "ok") else "",
        )
        try:
            os.write(descriptor, msgspec.json.encode(progress) + b"\n")
        except BlockingIOError:
            pass  # whoever listens does not read: no reason to wait
        except BrokenPipeError:
            # Whoever started us died without a word, and our target goes with it.
            gevent.spawn(self.finish, Ending.INTERRUPTED)

    # -- the end ---------------------------------------------------------------------------------------------------

    def finish(self, ending: Ending) -> None:
        """End the run, collect what the workers have left, write the result. Blocks until that is done; once."""
        if self._ending is not None:
            self.done.wait()
            return
        self._ending = ending
        if self._greenlet is not gevent.getcurrent():
            self._greenlet.kill()
        self._target.sample_measure_end()
        self._order(self._plan.ended_at(time.time_ns()))
        self._collect()
        try:
            code = self._write_result()
        except Exception:
            logger.exception("The result could not be written")
            code = ExitCode.NOT_MEASURED
        self._spill.close()
        self.done.set()
        self._on_done(code)

    def _collect(self) -> None:
        patience_s = min(self.options.drain_ns, self.options.timeout_ns) / NS_PER_S + _FINAL_PATIENCE_S
        with gevent.Timeout(patience_s, False):
            while not self.registry.all_final_but(self._gone()):
                self._news.clear()
                self._news.wait(1.0)
        # What was accepted is counted, whole.
        self._closed = True
        self._inbox.put(None)
        self._taking_in.join()

    def _write_result(self) -> ExitCode:
        self._totals.settle_groups(FOREVER_NS)
        builder = ResultBuilder(
            options=self.options,
            scenario=self.scenario,
            run_id=self.staging.run_id,
            started=self.started,
            command=self._launch.command,
            plan=self._plan,
            totals=self._totals,
            spill=self._spill,
            workers=self.registry.workers,
            complete=self._complete(),
            target=self._target.usage(),
            settings=self._settings,
            counters=self._counters(),
        )
        if not builder.measured_something:
            self.failure = builder.failure()
            return self._fail(self.failure)
        self.run, files = builder.result()
        try:
            missing = self.staging.store(files)
        except OSError as error:
            self.failure = ResultNotStored(self.staging.path.parent, error)
            logger.error("%s", self.failure.what)
            self._hand_over(self.run, self.failure)
            return self.failure.exit_code
        self.stored = self.staging.final
        if missing:
            logger.error("%s; `wsbench report` would make it again", missing)
        logger.info("Result: %s", self.stored)
        return exit_code(self.run, strict=self.options.strict, interrupted=self._ending is Ending.INTERRUPTED)

    def _counters(self) -> dict[str, int]:
        counters = self._totals.counters()
        try:
            self._conclude_counters(counters)
        except Exception:  # the scenario's own code
            logger.exception("The scenario could not conclude")
        return counters

    def _hand_over(self, run: Run, failure: WsbenchError) -> None:
        """A result that no file can hold goes to whoever started us."""
        descriptor = self._launch.progress_fd
        self.staging.discard()
        if descriptor is None:
            return
        told = msgspec.json.encode(launching.NotStored(run, failure.what, failure.remedy)) + b"\n"
        os.set_blocking(descriptor, True)
        try:
            while told:
                told = told[os.write(descriptor, told) :]
        except OSError as error:
            logger.error("nor could it be handed over: %s", error)

    def _fail(self, failure: WsbenchError) -> ExitCode:
        logger.error("Nothing was measured: %s", failure.what)
        if self._launch.progress_fd is None:
            self.staging.discard()
        else:
            told = Failure(failure.what, failure.remedy, str(failure.side), failure.kind)
            self.staging.write({FAILURE_FILE: msgspec.json.encode(told)})
        return ExitCode.INTERRUPTED if self._ending is Ending.INTERRUPTED else ExitCode.NOT_MEASURED

    def _complete(self) -> bool:
        if self._ending is Ending.INTERRUPTED or self._plan.drain_ns <= self._plan.measure_ns:
            return False
        if not self.registry.all_final:
            return False
        asked = self.options.duration_ns
        return asked is None or self._plan.drain_ns - self._plan.measure_ns >= asked
