"""A Locust worker: an engine, its reports to the master, and a result of this worker if the master is lost.

A worker can end a run without its master: it knows when the drain begins, and Locust stops a worker that has not heard
from its master for a minute. Reports that the master has not acknowledged by then exist only in this worker.
"""

from __future__ import annotations

import functools
import logging
import os
import time
from dataclasses import replace
from typing import Any

import gevent
from gevent.event import Event
from locust import runners
from locust.env import Environment

from wsbench import machine
from wsbench.errors import ExitCode, UsageError, WsbenchError
from wsbench.locust_plugin import user_classes
from wsbench.locust_plugin.log_secrets import hide_in_logs
from wsbench.locust_plugin.session import Session
from wsbench.locust_plugin.stats_feed import fire_request
from wsbench.master import orphan_result
from wsbench.measure.phases import PhasePlan
from wsbench.results.run_result import Ending
from wsbench.run.handoff import Handoff
from wsbench.run.option_table import BY_NAME
from wsbench.run.packing import unpack
from wsbench.run.protocol import ACK, PHASE_UPDATE, REPORT, SETUP, SHARING_UPDATE, RunSetup, Sharing
from wsbench.worker.clocks import ClockOffsetEstimator
from wsbench.worker.engine import Engine
from wsbench.worker.report_queue import ReportQueue

logger = logging.getLogger("wsbench")

_PARENT_POLL_S = 0.5
_MASTER_S, _SILENT_MASTER_S = 10.0, 3.0


class WorkerSession(Session):
    """The runs of one worker."""

    def __init__(self, environment: Environment, runner: Any) -> None:
        super().__init__(environment, runner)
        self._setup: RunSetup | None = None
        self._reports: ReportQueue | None = None
        self._ended: Event | None = None
        self._orphan = False
        self._offset = ClockOffsetEstimator(machine.host_id())
        # Addresses belong to a machine: the master's are of use only to the workers that it forked. A worker's own are
        # kept here, because Locust replaces its options by the master's later on.
        handoff = Handoff.from_environment()
        self._shares_sources = handoff is not None and handoff.options is not None
        self._sources = BY_NAME["source_ip"].value_of(getattr(environment.parsed_options, "source_ip", None))
        runner.register_message(PHASE_UPDATE, self._on_phase_update)
        runner.register_message(SHARING_UPDATE, self._on_sharing_update)
        runner.register_message(ACK, self._on_ack)
        parsed = environment.parsed_options
        if parsed is not None and parsed.processes:
            gevent.spawn(self._watch_parent, os.getppid())

    def start(self) -> None:
        setup = self._setup = self._latest_setup()
        if setup is None:
            raise UsageError("the master runs no wsbench scenario", remedy="Give master and workers the same -f FILE.")
        options = setup.run.options
        if not self._shares_sources:
            options = replace(options, connect=replace(options.connect, sources=self._sources))
        options.check_machine()
        hide_in_logs(options.secrets)
        user_classes.host_others(self._environment, options.connect.url)
        if self._reports is not None:
            self._reports.close()
        run = setup.run.run_id
        self._reports = ReportQueue(lambda packed: self._runner.send_message(REPORT, {"run": run, "body": packed}))
        self._ended = None
        self.engine = Engine(
            options,
            worker=self._runner.worker_index,
            send=self._reports.send,
            on_request=functools.partial(fire_request, self._environment),
            shared_sources=self._shares_sources,
            sharing=setup.sharing,
        )
        self.engine.apply_plan(setup.phases)

    def current_engine(self) -> Engine | None:
        """Return the engine of the run that the master's latest spawn message belongs to; begin it if necessary."""
        setup = self._latest_setup()
        if setup is not None and (self._setup is None or setup.run.run_id != self._setup.run.run_id):
            self.start()
        return self.engine

    def _latest_setup(self) -> RunSetup | None:
        """Return the setup that came with the master's latest spawn message; None if there is none."""
        packed: bytes | None = getattr(self._environment.parsed_options, SETUP, None)
        return None if packed is None else _unpack_setup(packed)

    def finish(self, _: Ending) -> None:
        """End the run; return when the master has all reports or, if it is lost, when the result is stored here."""
        if self.engine is None or self._reports is None:
            return
        if self._ended is not None:
            self._ended.wait()
            return
        self._ended = Event()
        try:
            self.engine.finish()
            if not self._reports.flush(self._patience_s()):
                self._save_result(self.engine, self._reports)
            self._reports.close()
        finally:
            self._ended.set()

    def fail(self, failure: WsbenchError) -> None:
        if self.engine is not None:
            self.engine.errors.count(failure)
            self.engine.fail(failure.what)

    def count_scenario_failure(self, error: BaseException) -> None:
        if self.engine is not None:
            self.engine.errors.count_scenario_failure(error, logged=True)

    def _patience_s(self) -> float:
        """Return the time to wait for the master's acknowledgements."""
        if self._orphan:
            return 0.0
        heard_s = self._runner.last_heartbeat_timestamp
        # Locust gives up on the master then. If this process was only stopped, the answers are about to be read.
        silent = heard_s is not None and time.time() - heard_s > runners.MASTER_HEARTBEAT_TIMEOUT
        return _SILENT_MASTER_S if silent else _MASTER_S

    def _save_result(self, engine: Engine, reports: ReportQueue) -> None:
        assert self._setup is not None
        orphan_result.save(
            reports.replay(),
            self._setup.run,
            worker=engine.worker,
            plan=engine.recorder.plan.shifted(engine.clock_offset_ns),
            unacknowledged=reports.unacknowledged,
            persistent=reports.persistent,
        )
        self._environment.process_exit_code = int(ExitCode.NOT_MEASURED)

    def _watch_parent(self, parent: int) -> None:
        """End this worker when its parent dies: with --processes, that is the master, and there is no need to wait."""
        while os.getppid() == parent:
            gevent.sleep(_PARENT_POLL_S)
        logger.error("The process that started this worker is gone")
        self._orphan = True
        self._runner.quit()

    # -- messages --------------------------------------------------------------------------------------------------

    def _on_phase_update(self, msg: Any, **_: Any) -> None:
        if self.engine is not None:
            self.engine.apply_plan(unpack(msg.data["body"], PhasePlan))

    def _on_sharing_update(self, msg: Any, **_: Any) -> None:
        if self.engine is not None:
            self.engine.schedule.apply(unpack(msg.data["body"], Sharing))

    def _on_ack(self, msg: Any, **_: Any) -> None:
        answer, reports = msg.data, self._reports
        if reports is None or self._setup is None or answer["run"] != self._setup.run.run_id:
            return
        sent_ns = reports.acknowledged(answer["number"])
        if sent_ns is not None and self.engine is not None:
            self._offset.record_exchange(
                sent_ns=sent_ns, answered_ns=answer["clock_ns"], received_ns=time.time_ns(), host=answer["host"]
            )
            self.engine.set_clock_offset(self._offset.offset_ns)


@functools.lru_cache(maxsize=1)
def _unpack_setup(packed: bytes) -> RunSetup:
    """Unpack a setup once, not for every user that starts."""
    return unpack(packed, RunSetup)
