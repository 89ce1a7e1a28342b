"""Sessions of Locust processes that direct runs: a single process, and a master."""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import gevent
import msgspec
from locust.env import Environment
from locust.runners import STATE_MISSING

from wsbench import machine
from wsbench.errors import ExitCode, WsbenchError, internal_error
from wsbench.locust_plugin import locust_options, stats_feed, user_classes
from wsbench.locust_plugin.log_secrets import hide_in_logs
from wsbench.locust_plugin.session import Session, leave_for_launcher
from wsbench.locust_plugin.stats_feed import StatsFeed, fire_request
from wsbench.master.director import Director
from wsbench.master.result_writer import print_summary
from wsbench.master.run_host import RunHost
from wsbench.measure.histogram import Buckets
from wsbench.measure.phases import PhasePlan
from wsbench.results.directory import LOG_FILE, Staging
from wsbench.results.run_result import Ending, OtherRequests
from wsbench.run.handoff import Handoff
from wsbench.run.options import RunOptions
from wsbench.run.packing import pack, unpack
from wsbench.run.protocol import (
    ACK,
    PHASE_UPDATE,
    REPORT,
    SETUP,
    SHARING_UPDATE,
    Report,
    RunDescription,
    RunSetup,
    Sharing,
)
from wsbench.worker.engine import Engine
from wsbench.worker.error_counter import describe_scenario_error, scenario_failure

_RAMP_PATIENCE_S = 60.0
_QUIT_PATIENCE_S = 30.0
_RUN_TIME_TOLERANCE_S = 0.5
"""Locust's timer for --run-time and the clock differ by less."""


logger = logging.getLogger("wsbench")


class DirectingSession(Session, RunHost):
    """The host of a director."""

    beside_engine: ClassVar[bool]
    _stats: StatsFeed | None = None
    _log: RunLog | None = None

    def finish(self, ending: Ending) -> None:
        if self.director is not None:
            planned = ending is Ending.STOP and (self._run_time_is_over() or self._shape_is_over())
            self.director.finish(Ending.DURATION if planned else ending)

    def fail(self, failure: WsbenchError) -> None:
        if self.director is not None:
            self.director.fail(failure)

    def count_scenario_failure(self, error: BaseException) -> None:
        if self.director is not None:
            self.director.collector.registry.add_error(scenario_failure(error))
        else:  # there will be no run
            leave_for_launcher(scenario_failure(error))

    def _run_time_is_over(self) -> bool:
        run_time_s, began_s = self._environment.parsed_options.run_time, self._environment.stats.start_time
        return bool(run_time_s) and time.time() - began_s >= run_time_s - _RUN_TIME_TOLERANCE_S

    def _shape_is_over(self) -> bool:
        """Return whether this is called because the LoadTestShape has ended."""
        return self._runner.shape_greenlet is not None and self._runner.shape_greenlet is gevent.getcurrent()

    @property
    def _shape(self) -> str:
        shape = self._environment.shape_class
        return "" if shape is None else type(shape).__name__

    def _direct(self, options: RunOptions) -> Director:
        handoff = Handoff.from_environment()
        if handoff is None or not Path(handoff.staging).is_dir():  # the web UI can start one run after another
            staging = Staging.create(options.results, options.name)
            command = handoff.command if handoff else options.secrets.command(["locust", *sys.argv[1:]])
            handoff = Handoff(str(staging.path), command, target=handoff.target if handoff else None)
            self._log = RunLog(staging.path)
        hide_in_logs(options.secrets)
        notices = locust_options.notices_of(self._environment, options)
        for notice in notices:
            logger.warning("%s", notice)
        staging = Staging(Path(handoff.staging))
        measures_it = handoff.options is None or handoff.options.connect.url == options.connect.url
        # With --request-events Locust counts requests itself.
        self._stats = None if options.request_events else StatsFeed(self._environment.stats)
        self.director = Director(
            RunDescription(
                options=options,
                scenario=locust_options.scenario_of(self._environment),
                custom=locust_options.is_custom(self._environment),
                users=self.users_wanted(),
                shape=self._shape,
                notices=notices,
                run_id=staging.run_id,
                started=datetime.now(UTC),
                command=handoff.command,
                settings=options.secrets.settings(locust_options.settings_of(self._environment, options)),
            ),
            staging=staging,
            handoff=handoff if measures_it else msgspec.structs.replace(handoff, target=None),
            host=self,
            beside_engine=self.beside_engine,
        )
        return self.director

    # -- `RunHost` -------------------------------------------------------------------------------------------------

    def show(self, report: Report, response: Buckets) -> None:
        if self._stats is not None:
            self._stats.take(report, response)

    def users_wanted(self) -> dict[str, int]:
        return user_classes.connecting(self._environment, self._runner.target_user_count)

    def ramp_patience_s(self) -> float:
        options = self._environment.parsed_options
        if not options.headless or self._environment.shape_class is not None:
            return math.inf  # somebody is watching, or has planned it
        return max(_RAMP_PATIENCE_S, 3 / options.spawn_rate)

    def other_requests(self) -> OtherRequests:
        return stats_feed.other_requests(self._environment.stats)

    def finalize_counters(self, counters: dict[str, int]) -> None:
        for user in self._environment.user_classes:
            if hasattr(user, "finalize_counters"):
                try:
                    user.finalize_counters(counters)
                except (Exception, SystemExit) as error:
                    raise WsbenchError(describe_scenario_error(error)) from error

    def run_ended(self, code: ExitCode) -> None:
        if self._log is not None:
            self._log.detach()
            self._log = None
        environment = self._environment
        if code is not ExitCode.OK:
            environment.process_exit_code = int(code)
        elif Handoff.from_environment() is not None and environment.process_exit_code is None:
            environment.process_exit_code = int(code)  # so that any other one is the scenario's
        if self.director is not None:
            self._show_result(self.director)
        # In new greenlets: quitting may kill the present one.
        if self._environment.parsed_options.headless:
            gevent.spawn(self._runner.quit)
            gevent.spawn_later(_QUIT_PATIENCE_S, self._exit)
        else:
            gevent.spawn(self._runner.stop)

    def _exit(self) -> None:
        """End the process, which Locust should have ended: it waits without limit for `on_stop` of each user."""
        logger.error("Locust has not ended within %g s: an on_stop of the scenario may not return", _QUIT_PATIENCE_S)
        os._exit(int(self._environment.process_exit_code or ExitCode.OK))

    def _show_result(self, director: Director) -> None:
        result = director.result
        if result.directory is not None:
            self.finished.append(result.directory)
        if Handoff.from_environment() is not None:
            return  # the launcher prints it
        if result.run is not None and (result.directory is None or not director.described.options.quiet):
            print_summary(result.run, result.directory)
        if result.failure is not None:
            print(f"wsbench: error: {result.failure}", file=sys.stderr)


class LocalSession(DirectingSession):
    """A single process: its engine runs the users, and its director takes the engine's reports."""

    beside_engine = True

    def start(self) -> None:
        options = locust_options.options_of(self._environment, self._runner.target_user_count, 1)
        collector = self._direct(options).collector
        collector.registry.expect(0)
        user_classes.host_others(self._environment, options.connect.url)
        on_request = functools.partial(fire_request, self._environment)
        self.engine = Engine(
            options,
            worker=0,
            send=collector.receive,
            on_request=on_request,
            sharing=collector.registry.users.sharing,
        )

    def fail(self, failure: WsbenchError) -> None:
        super().fail(failure)
        if self.engine is not None:
            gevent.spawn(self.engine.finish)

    def count_scenario_failure(self, error: BaseException) -> None:
        if self.engine is not None:
            self.engine.errors.count_scenario_failure(error, logged=True)
        else:
            super().count_scenario_failure(error)

    def broadcast(self, plan: PhasePlan) -> None:
        assert self.engine is not None
        self.engine.apply_plan(plan)

    def share(self, sharing: Sharing) -> None:
        assert self.engine is not None
        self.engine.schedule.apply(sharing)

    def missing_workers(self) -> set[int]:
        return set()


class MasterSession(DirectingSession):
    """A master: it sends the phases to the workers, and receives and acknowledges their reports."""

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
        self._set_up()

    def _set_up(self) -> None:
        """Put the run's setup into the options that Locust sends to workers with every order to spawn users."""
        director = self.director
        assert director is not None
        setup = RunSetup(director.described, director.phases.plan, director.collector.registry.users.sharing)
        setattr(self._environment.parsed_options, SETUP, pack(setup))

    def broadcast(self, plan: PhasePlan) -> None:
        self._set_up()
        self._runner.send_message(PHASE_UPDATE, {"body": pack(plan)})

    def share(self, sharing: Sharing) -> None:
        self._set_up()
        self._runner.send_message(SHARING_UPDATE, {"body": pack(sharing)})

    def missing_workers(self) -> set[int]:
        runner = self._runner
        here = {runner.get_worker_index(client.id) for client in runner.clients.all if client.state != STATE_MISSING}
        return set(runner.worker_indexes.values()) - here

    def _on_report(self, msg: Any, **_: Any) -> None:
        director, run_id = self.director, msg.data["run"]
        if director is None or director.described.run_id != run_id:
            return  # of an earlier run: without an acknowledgement the worker knows that it was not counted
        try:
            report = unpack(msg.data["body"], Report)
        except msgspec.MsgspecError as error:  # of another version, perhaps; the worker keeps it
            director.fail(internal_error("a worker's report could not be read", error))
            return
        if director.collector.receive(report):
            answer = {"run": run_id, "number": report.number, "clock_ns": time.time_ns(), "host": machine.host_id()}
            self._runner.send_message(ACK, answer, client_id=msg.node_id)


class RunLog(logging.FileHandler):
    """locust.log in a result directory: a log handler that writes it until it is detached."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory / LOG_FILE, errors="backslashreplace")
        self.setFormatter(logging.Formatter("[%(asctime)s] %(levelname)s/%(name)s: %(message)s"))
        logging.getLogger().addHandler(self)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Ignore a full disk: the same lines go to the terminal, where a traceback per line would hide them."""

    def detach(self) -> None:
        """Stop logging and close the file."""
        logging.getLogger().removeHandler(self)
        with contextlib.suppress(OSError):  # a full disk
            self.close()
