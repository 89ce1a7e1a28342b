"""A Locust master: it sends the phases to the workers, and receives and acknowledges their reports."""

from __future__ import annotations

import time
from typing import Any

from locust.env import Environment
from locust.runners import STATE_MISSING

from wsbench import machine
from wsbench.locust_plugin import locust_options
from wsbench.locust_plugin.directing_session import DirectingSession
from wsbench.master.director import Director
from wsbench.run.packing import pack, unpack
from wsbench.run.protocol import ACK, PHASE_UPDATE, REPORT, SETUP, PhaseUpdate, Report, RunSetup


class MasterSession(DirectingSession):
    """Directs runs of the engines in the workers, over Locust's connections."""

    beside_engine = False

    def __init__(self, environment: Environment, runner: Any) -> None:
        super().__init__(environment, runner)
        runner.register_message(REPORT, self._on_report)

    def start(self) -> None:
        runner = self._runner
        workers = [*runner.clients.ready, *runner.clients.running, *runner.clients.spawning]
        options = locust_options.options_of(self._environment, runner.target_user_count, len(workers))
        director = self._direct(options)
        for worker in workers:
            director.collector.registry.expect(runner.get_worker_index(worker.id))
        self._set_up(director, PhaseUpdate(director.phases.plan))

    def _set_up(self, director: Director, phases: PhaseUpdate) -> None:
        """Put the run's setup into the options that Locust sends to workers with every order to spawn users."""
        setattr(self._environment.parsed_options, SETUP, pack(RunSetup(director.described, phases)))

    def broadcast(self, update: PhaseUpdate) -> None:
        assert self.director is not None
        self._set_up(self.director, update)
        self._runner.send_message(PHASE_UPDATE, {"body": pack(update)})

    def missing_workers(self) -> set[int]:
        runner = self._runner
        here = {runner.get_worker_index(client.id) for client in runner.clients.all if client.state != STATE_MISSING}
        return set(runner.worker_indexes.values()) - here

    def _on_report(self, msg: Any, **_: Any) -> None:
        director, run_id = self.director, msg.data["run"]
        if director is None or director.described.run_id != run_id:
            return  # of an earlier run: without an acknowledgement the worker knows that it was not counted
        report = unpack(msg.data["body"], Report)
        if director.collector.receive(report):
            answer = {"run": run_id, "number": report.number, "clock_ns": time.time_ns(), "host": machine.host_id()}
            self._runner.send_message(ACK, answer, client_id=msg.node_id)
