"""The master's part of a run: it sets the phases, adds the workers' reports up, and writes the result.

It runs beside the engine in a single process, and alone in a Locust master. Every run ends in `finish`, which is called
when the measure phase is over, on Stop, on --run-time and on Ctrl-C; the first call counts.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import gevent
from gevent.event import Event

from wsbench.errors import WsbenchError, described, internal_error
from wsbench.master import live_gates, result_writer
from wsbench.master.collector import Collector
from wsbench.master.measurement import Measurement
from wsbench.master.phase_control import PhaseControl
from wsbench.master.progress_feed import ProgressFeed
from wsbench.master.result_writer import WrittenResult
from wsbench.master.run_host import RunHost
from wsbench.master.target_usage import TargetSampler
from wsbench.master.user_counts import UserCounts
from wsbench.measure.phases import Phase
from wsbench.results.directory import Staging
from wsbench.results.run_result import Ending, Gate, MessageCounts, Reason
from wsbench.run import outcome
from wsbench.run.handoff import Handoff
from wsbench.run.protocol import SCENARIO_FAILED, RunDescription
from wsbench.run.scenario_values import count_of, name_of
from wsbench.units import NS_PER_S

logger = logging.getLogger(__name__)

_FINAL_PATIENCE_S = 10.0


class Director:
    """Directs one run.

    Attributes:
        done: set when the result is written.
        result: the outcome of the run; empty until `done`.
    """

    def __init__(
        self, described: RunDescription, *, staging: Staging, handoff: Handoff, host: RunHost, beside_engine: bool
    ) -> None:
        options = described.options
        self.described = described
        self.done = Event()
        self.result = WrittenResult()
        self._staging = staging
        self._launched = handoff.progress_fd is not None
        self._host = host
        self._ending: Ending | None = None
        self._target = TargetSampler(handoff.target)
        self.collector = Collector(
            options,
            staging.path,
            host,
            beside_engine=beside_engine,
            users=UserCounts(options.users, described.users, described.shape),
            after_report=self._after_report,
            on_failure=self._not_counted,
        )
        self.phases = PhaseControl(options, self.collector, self._target, host, on_end=self.finish)
        self.progress = ProgressFeed(
            handoff.progress_fd,
            self.collector,
            self.phases,
            notices=described.notices,
            on_launcher_gone=lambda: self.finish(Ending.INTERRUPT),
        )

    def trouble(self) -> list[Reason]:
        """Return what has gone wrong so far."""
        workers, counts, requests = self.collector.registry, self.collector.totals.counts(), self._host.other_requests()
        whole = workers.whole_run(counts, requests)
        return [*outcome.trouble(whole, MessageCounts.of(counts), workers.connections(), workers.errors(), requests)]

    def gates(self) -> Iterator[Gate]:
        """Yield the gates of the run in progress, as they are now."""
        gates, requests = self.described.options.gates, self._host.other_requests()
        return live_gates.check(gates, self.collector, self.phases.plan, requests)

    def _after_report(self) -> None:
        if self.collector.registry.failure:
            gevent.spawn(self.finish, Ending.ERROR)
        if self._ending is None:
            self._follow_users()
        self.progress.update()

    def _follow_users(self) -> None:
        """Learn of an edit of the number of users, and let the workers share the rate among those that there are."""
        registry, missing = self.collector.registry, self.phases.lost_workers()
        registry.users.expect(self._host.users_wanted(), self.phases.plan)
        reports = (worker.report for worker in registry if worker.index not in missing)
        sharing = registry.users.news(reports, ramped=self.phases.phase is not Phase.RAMP)
        if sharing is not None:
            self._host.share(sharing)

    def _not_counted(self, error: Exception) -> None:
        logger.error("A report could not be counted", exc_info=error)
        self.fail(internal_error("a worker's report could not be counted", error))

    def fail(self, failure: WsbenchError) -> None:
        """End the run because a part of it has failed; what was measured until then is kept."""
        if self.collector.registry.fail(failure):
            gevent.spawn(self.finish, Ending.ERROR)

    def finish(self, ending: Ending) -> None:
        """End the run, collect what the workers still have, and write the result; later calls wait for the first."""
        if self._ending is not None:
            self.done.wait()
            return
        # Locust stops a run of which no worker is left.
        self._ending = Ending.ERROR if ending is Ending.STOP and self.phases.all_workers_lost() else ending
        for step in (self.phases.end, self._wait_for_final, self.collector.close):
            try:
                step()
            except Exception as error:  # the result is due all the same
                logger.exception("The run could not be ended in order")
                self.collector.registry.add_error(internal_error("the run could not be ended in order", error))
        try:
            self._write_result()
        except Exception as error:
            logger.exception("The result could not be written")
            self.result = WrittenResult(failure=internal_error("the result could not be written", error))
            self._leave_failure()
        self.collector.spill.close()
        self.done.set()
        self._host.run_ended(self.result.code)

    def _wait_for_final(self) -> None:
        options = self.described.options
        patience_s = min(options.drain_ns, options.timeout_ns) / NS_PER_S + _FINAL_PATIENCE_S
        self.collector.wait_for_final(self.phases.lost_workers, patience_s)

    def _write_result(self) -> None:
        collector = self.collector
        measured = Measurement(
            plan=self.phases.plan,
            totals=collector.totals,
            spill=collector.spill,
            workers=collector.registry,
            ended_by=self._ending or Ending.STOP,
            complete=self._complete(),
            target=self._target.usage(),
            counters=self._counters(),
            other_requests=self._host.other_requests(),
        )
        self.result = result = result_writer.write(self.described, measured, self._staging)
        if result.failure is None:
            return
        if result.run is None and self._launched:
            self._leave_failure()
            return
        self._staging.discard()
        if result.run is not None:
            self.progress.hand_over(result.run, result.failure)

    def _leave_failure(self) -> None:
        if self._launched and self.result.failure is not None:
            with contextlib.suppress(OSError):  # a full disk: the launcher knows the exit code
                result_writer.leave_failure(self.result.failure, self._staging)

    def _counters(self) -> dict[str, int]:
        counted = self.collector.totals.counters()
        try:
            counters = dict(counted)
            self._host.finalize_counters(counters)
            return {name_of(name): count_of(count) for name, count in counters.items()}
        except Exception as error:  # the scenario's own code
            what = f"the scenario failed in finalize_counters: {described(error)}"
            logger.exception("%s", what)
            remedy = "The log of the run has its traceback. The counters are as they were before."
            self.collector.registry.add_error(WsbenchError(what, kind=SCENARIO_FAILED, remedy=remedy))
            return counted

    def _complete(self) -> bool:
        plan, asked_ns = self.phases.plan, self.described.options.duration_ns
        measured_ns = plan.drain_ns - plan.measure_ns
        if self.collector.registry.not_final() or measured_ns <= 0:
            return False
        stopped_at_the_end = asked_ns is None or measured_ns >= asked_ns
        return self._ending is Ending.DURATION or (self._ending is Ending.STOP and stopped_at_the_end)
