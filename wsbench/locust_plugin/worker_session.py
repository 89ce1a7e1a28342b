"""A Locust worker's part in a run: an engine, what it says to the master, and what it does when there is none any more.

A worker does not need its master to end: it knows when the drain begins, and Locust ends a worker that has not heard
from its master for a minute. What the master has not acknowledged by then, nobody else has.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import gevent
from gevent.event import Event
from locust import runners
from locust.env import Environment

from wsbench import machine
from wsbench.errors import ExitCode, UsageError
from wsbench.master import orphan_result
from wsbench.master.measurement import RunDescription
from wsbench.run.handoff import Handoff
from wsbench.run.options import BY_NAME
from wsbench.run.packing import unpack
from wsbench.run.protocol import ACK, PHASE_UPDATE, REPORT, SETUP, PhaseUpdate, RunSetup
from wsbench.worker.clock_sync import ClockOffsetEstimator
from wsbench.worker.engine import Engine
from wsbench.worker.report_queue import ReportQueue

logger = logging.getLogger("wsbench")

_PARENT_LOOK_S = 0.5
_MASTER_S, _SILENT_MASTER_S = 10.0, 3.0


class WorkerSession:
    """This process as a worker.

    Attributes:
        engine: where users run; None before the first run.
    """

    def __init__(self, environment: Environment, runner: Any, *, on_request: Callable[..., None]) -> None:
        self.engine: Engine | None = None
        self._environment = environment
        self._runner = runner
        self._on_request = on_request
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
        runner.register_message(PHASE_UPDATE, self._on_order)
        runner.register_message(ACK, self._on_ack)
        parsed = environment.parsed_options
        if parsed is not None and parsed.processes:
            gevent.spawn(self._watch_parent, os.getppid())

    def start(self) -> None:
        """A run begins.

        Raises:
            UsageError: the master has said nothing of it.
        """
        setup = self._setup = self._setup_of_now()
        if setup is None:
            raise UsageError("the master runs no wsbench scenario", remedy="Give master and workers the same -f FILE.")
        options = setup.options
        if not self._shares_sources:
            options = replace(options, connect=replace(options.connect, sources=self._sources))
        options.check_machine()
        if self._reports is not None:
            self._reports.close()
        run = setup.run_id
        self._reports = ReportQueue(lambda packed: self._runner.send_message(REPORT, {"run": run, "body": packed}))
        self._ended = None
        self.engine = Engine(
            options,
            worker=self._runner.worker_index,
            send=self._reports.send,
            on_request=self._on_request,
            shared_sources=self._shares_sources,
        )
        self.engine.apply_plan(setup.phases)

    def catch_up(self) -> None:
        """Begin the run that the master's latest order to spawn belongs to, if that has not been done."""
        setup = self._setup_of_now()
        if setup is not None and (self._setup is None or setup.run_id != self._setup.run_id):
            self.start()

    def _setup_of_now(self) -> RunSetup | None:
        """Return the setup that came with the master's latest spawn message; None if there is none."""
        packed = getattr(self._environment.parsed_options, SETUP, None)
        return None if packed is None else unpack(packed, RunSetup)

    def finish(self) -> None:
        """End the run. Blocks until the master has everything, or, without a master, until it is stored here."""
        if self.engine is None or self._reports is None:
            return
        if self._ended is not None:
            self._ended.wait()
            return
        self._ended = Event()
        self.engine.finish()
        if not self._reports.flush(self._patience_s()):
            self._save_result(self.engine, self._reports)
        self._reports.close()
        self._ended.set()

    def _patience_s(self) -> float:
        """How long to wait for the master's acknowledgement."""
        if self._orphan:
            return 0.0
        heard_s = self._runner.last_heartbeat_timestamp
        # Locust gives up on it then. If that was because we stood still ourselves, its answer is about to be read.
        silent = heard_s is not None and time.time() - heard_s > runners.MASTER_HEARTBEAT_TIMEOUT
        return _SILENT_MASTER_S if silent else _MASTER_S

    def _save_result(self, engine: Engine, reports: ReportQueue) -> None:
        setup = self._setup
        assert setup is not None
        orphan_result.save(
            reports.replay(),
            RunDescription(
                options=engine.options,
                scenario=setup.scenario,
                run_id=setup.run_id,
                started=datetime.fromtimestamp(setup.started_s, UTC),
                command=["locust", *sys.argv[1:]],
                settings=setup.settings,
            ),
            worker=engine.worker,
            plan=engine.recorder.plan.shifted(engine.clock_offset_ns),
            unacknowledged=reports.unacknowledged,
            persistent=reports.persistent,
        )
        self._environment.process_exit_code = int(ExitCode.NOT_MEASURED)

    def _watch_parent(self, parent: int) -> None:
        """With --processes, workers are children of the master's: they see it die, and need not wait to miss it."""
        while os.getppid() == parent:
            gevent.sleep(_PARENT_LOOK_S)
        logger.error("The process that started this worker is gone")
        self._orphan = True
        self._runner.quit()

    # -- messages --------------------------------------------------------------------------------------------------

    def _on_order(self, msg: Any, **_: Any) -> None:
        if self.engine is not None:
            self.engine.apply_plan(unpack(msg.data["body"], PhaseUpdate))

    def _on_ack(self, msg: Any, **_: Any) -> None:
        answer, reports = msg.data, self._reports
        if reports is None or self._setup is None or answer["run"] != self._setup.run_id:
            return
        sent_ns = reports.acknowledged(answer["number"])
        if sent_ns is not None and self.engine is not None:
            self._offset.record_exchange(
                sent_ns=sent_ns, answered_ns=answer["clock_ns"], received_ns=time.time_ns(), host=answer["host"]
            )
            self.engine.set_clock_offset(self._offset.offset_ns)
