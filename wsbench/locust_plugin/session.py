"""A Locust process's part in a run: what Locust's events mean for the engine and the director.

There is an engine where users run (a single process, a worker) and a director where the run is directed (a single
process, the master); between processes they talk over Locust's own connection. Locust swallows exceptions of
listeners: each one here that can fail ends the run with a message instead.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import gevent
from locust.env import Environment
from locust.runners import STATE_MISSING, LocalRunner, MasterRunner, WorkerRunner

from wsbench import machine
from wsbench.errors import ExitCode, UsageError
from wsbench.locust_plugin import locust_stats
from wsbench.locust_plugin.worker_session import WorkerSession
from wsbench.master.director import Director, Ending
from wsbench.master.measurement import RunDescription
from wsbench.master.result_writer import WrittenResult, leave_failure, print_summary
from wsbench.measure.histogram import Buckets
from wsbench.results.directory import LOG_FILE, Staging
from wsbench.run import gates, settings
from wsbench.run.handoff import Handoff
from wsbench.run.options import RunOptions
from wsbench.run.packing import pack, unpack
from wsbench.run.protocol import ACK, PHASE_UPDATE, REPORT, SETUP, PhaseUpdate, Report, RunSetup
from wsbench.units import NS_PER_MS
from wsbench.worker.engine import Engine

logger = logging.getLogger("wsbench")

_ONE_PRESS_S = 1.0
_FAILED_TASK_DELAY_S = 1.0
"""A scenario whose tasks all fail, one after another without a pause, would fill the disk with Locust's tracebacks."""


class _RunLog(logging.FileHandler):
    """The log in a result's directory."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """On a full disk: the same lines go to the terminal, and need no tracebacks between them."""


class Session:
    """This process's part in a run.

    Attributes:
        director: where the run is directed; None in a worker, and before the first run.
        finished: the results of this process, the latest last.
    """

    def __init__(self, environment: Environment, runner: Any) -> None:
        self.director: Director | None = None
        self.finished: list[Path] = []
        self._environment = environment
        self._runner = runner
        self._engine: Engine | None = None
        self._worker: WorkerSession | None = None
        self._stats: locust_stats.StatsFeed | None = None
        self._log: logging.Handler | None = None
        self._interrupted = 0.0
        inspect.stack()  # Locust does this when a run is stopped: the first time takes 0.1 s, in which messages are due
        self._check_options()
        self._listen()
        # Ctrl-C as a KeyboardInterrupt would strike anywhere, in the middle of counting a reply too.
        gevent.signal_handler(signal.SIGINT, self._interrupt)

    def _check_options(self) -> None:
        """What can be known to be wrong before anything is started, ends the process at once."""
        if isinstance(self._runner, WorkerRunner) or self._environment.parsed_options is None:
            return
        parsed = self._environment.parsed_options
        host = self._environment.host
        if not host and parsed.headless:
            _exit(
                UsageError(
                    "no URL to measure",
                    remedy="Give --host ws://…, or use `wsbench run`, which can start an echo target of its own.",
                )
            )
        try:
            users, processes = parsed.num_users or 1, parsed.processes or 1
            options = self._options(users, processes, url=host or "ws://localhost")
            self._settings(options)
            self._check_gates(options)
            if isinstance(self._runner, LocalRunner) or parsed.processes:
                machine.check_descriptors(users, processes)
        except UsageError as error:
            _exit(error)

    def _listen(self) -> None:
        events_ = self._environment.events
        events_.test_start.add_listener(self._test_start)
        events_.spawning_complete.add_listener(self._spawning_complete)
        events_.test_stopping.add_listener(self._test_stopping)
        events_.quitting.add_listener(self._quitting)
        events_.user_error.add_listener(self._user_error)
        runner = self._runner
        if isinstance(runner, WorkerRunner):
            self._worker = WorkerSession(self._environment, runner, on_request=self._fire_request)
        elif isinstance(runner, MasterRunner):
            runner.register_message(REPORT, self._on_report)

    @property
    def engine(self) -> Engine | None:
        """Where users run; None in a master, and before the first run."""
        return self._worker.engine if self._worker is not None else self._engine

    def current_engine(self) -> Engine | None:
        """The engine of the run that goes on; of a worker that missed its beginning, it is made now."""
        if self._worker is not None:
            self._worker.catch_up()
        return self.engine

    # -- the course of a run ---------------------------------------------------------------------------------------

    def _test_start(self, **_: Any) -> None:
        runner = self._runner
        try:
            if self._worker is not None:
                self._worker.start()
            elif isinstance(runner, MasterRunner):
                self._start_master()
            elif isinstance(runner, LocalRunner):
                self._start_local()
        except UsageError as error:
            logger.error("%s", error)
            if self._environment.parsed_options.headless:
                _exit(error)
            gevent.spawn(runner.stop)
        except Exception:  # Locust would log it and go on without us
            logger.exception("The run could not be started")
            sys.exit(int(ExitCode.NOT_MEASURED))

    def _start_local(self) -> None:
        options = self._options(self._runner.target_user_count, 1)
        collector = self._direct(options).collector
        collector.registry.expect(0)
        self._engine = Engine(options, worker=0, send=collector.receive, on_request=self._fire_request)

    def _start_master(self) -> None:
        runner = self._runner
        workers = [*runner.clients.ready, *runner.clients.running, *runner.clients.spawning]
        options = self._options(runner.target_user_count, len(workers))
        director = self._direct(options)
        for worker in workers:
            director.collector.registry.expect(runner.get_worker_index(worker.id))
        self._set_up(director, PhaseUpdate(director.phases.plan))

    def _set_up(self, director: Director, order: PhaseUpdate) -> None:
        """What workers are told that begin from now on: those of the start, and whoever joins while the run goes on."""
        described = director.described
        setup = RunSetup(
            run_id=described.run_id,
            scenario=described.scenario,
            settings=dict(described.settings),
            started_s=described.started.timestamp(),
            options=described.options,
            phases=order,
        )
        setattr(self._environment.parsed_options, SETUP, pack(setup))

    def _options(self, users: int, processes: int, url: str | None = None) -> RunOptions:
        """Return the options of a run that begins now, with the scenario's defaults for the rate and the name.

        They are the launcher's, if it handed over any; else those of Locust's command line and start form.
        """
        handoff = Handoff.from_environment()
        if handoff is not None and handoff.options is not None:
            options = replace(handoff.options, users=users, processes=processes)
        else:
            texts = vars(self._environment.parsed_options)
            options = RunOptions.from_texts(
                texts, url=url or self._environment.host or "", users=users, processes=processes
            )
        rates = [rate for user in self._environment.user_classes if (rate := getattr(user, "rate", None)) is not None]
        if options.rate is None and rates:
            options = replace(options, rate=float(sum(rates)))
        return replace(options, name=options.name or re.sub(r"[^\w.+-]+", "-", self._scenario()))

    def _scenario(self) -> str:
        """What the locustfile is called; `locustfile.py`, as ours is, says nothing."""
        return Path(self._environment.locustfile or "echo").stem.replace("locustfile", "echo")

    def _settings(self, options: RunOptions) -> dict[str, str]:
        declared = (getattr(user, "settings", {}) for user in self._environment.user_classes)
        return settings.effective(declared, options.settings)

    def _check_gates(self, options: RunOptions) -> None:
        """A scenario may have series and counters of its own; the echo users have not."""
        if not any(hasattr(user, "settings") for user in self._environment.user_classes):
            gates.check_known(options.gates)

    def _direct(self, options: RunOptions) -> Director:
        handoff = Handoff.from_environment()
        if handoff is None or not Path(handoff.staging).is_dir():  # the web UI can start one run after another
            staging = Staging.create(options.results, options.name)
            command = handoff.command if handoff else ["locust", *sys.argv[1:]]
            handoff = Handoff(str(staging.path), command, target=handoff.target if handoff else None)
            self._log = _RunLog(staging.path / LOG_FILE)
            self._log.setFormatter(logging.Formatter("[%(asctime)s] %(levelname)s/%(name)s: %(message)s"))
            logging.getLogger().addHandler(self._log)
        staging = Staging(Path(handoff.staging))
        # With --request-events Locust counts requests itself.
        self._stats = None if options.request_events else locust_stats.StatsFeed(self._environment.stats)
        self.director = Director(
            RunDescription(
                options=options,
                scenario=self._scenario(),
                run_id=staging.run_id,
                started=datetime.now(UTC),
                command=handoff.command,
                settings=self._settings(options),
            ),
            staging=staging,
            handoff=handoff,
            host=self,
            beside_engine=isinstance(self._runner, LocalRunner),
        )
        return self.director

    def _user_error(self, exception: Exception, **_: Any) -> None:
        """A task raised what it should not have. Called in the user's greenlet; Locust begins the next task at once."""
        if self.engine is not None:
            self.engine.errors.count_scenario_failure(exception, logged=True)
        gevent.sleep(_FAILED_TASK_DELAY_S)

    def _spawning_complete(self, **_: Any) -> None:
        if self.director is not None:
            self.director.phases.spawning_complete()

    def _test_stopping(self, **_: Any) -> None:
        """Locust is about to stop all users: --run-time is up, or somebody pressed Stop."""
        self._finish(Ending.STOPPED)

    def _quitting(self, **_: Any) -> None:
        """The process is about to end, by Ctrl-C or a signal, if not because all is done."""
        self._finish(Ending.INTERRUPTED)

    def _finish(self, ending: Ending) -> None:
        if self.director is not None:
            self.director.finish(ending)
        elif self._worker is not None:
            self._worker.finish()

    def check_form(self, check: Callable[..., str | None]) -> str | None:
        """What `check` has against a start form that was posted; logged, as Locust logs its own complaints."""
        environment, runner = self._environment, self._runner
        workers = runner.worker_count if isinstance(runner, MasterRunner) else 1
        problem = check(parsed=vars(environment.parsed_options), host=environment.host or "", processes=workers or 1)
        if problem is not None:
            logger.error("%s", problem)
        return problem

    def _interrupt(self) -> None:
        if self._interrupted:
            # A second press means it; the same signal to the process and to its group is still the first.
            if time.monotonic() - self._interrupted > _ONE_PRESS_S:
                os._exit(int(ExitCode.INTERRUPTED))
            return
        self._interrupted = time.monotonic()
        os.kill(os.getpid(), signal.SIGTERM)

    # -- what the director needs (`RunHost`) -----------------------------------------------------------------------

    def broadcast(self, update: PhaseUpdate) -> None:
        """Send the phases to every worker."""
        if self._engine is not None:
            self._engine.apply_plan(update)
        elif self.director is not None:
            self._set_up(self.director, update)
            self._runner.send_message(PHASE_UPDATE, {"body": pack(update)})

    def missing_workers(self) -> set[int]:
        """Return the workers that Locust has not heard of for some seconds, or that have left."""
        runner = self._runner
        if not isinstance(runner, MasterRunner):
            return set()
        here = {runner.get_worker_index(client.id) for client in runner.clients.all if client.state != STATE_MISSING}
        return set(runner.worker_indexes.values()) - here

    def show(self, report: Report, response: Buckets) -> None:
        """Add a report to Locust's statistics."""
        if self._stats is not None:
            self._stats.take(report, response)

    def finalize_counters(self, counters: dict[str, int]) -> None:
        """Let the user classes complete the scenario's counters."""
        for user in self._environment.user_classes:
            if hasattr(user, "finalize_counters"):
                user.finalize_counters(counters)

    def run_ended(self, code: ExitCode) -> None:
        """Show the result and end Locust's run."""
        if self._log is not None:
            logging.getLogger().removeHandler(self._log)
            with contextlib.suppress(OSError):  # a full disk
                self._log.close()
            self._log = None
        runner, parsed = self._runner, self._environment.parsed_options
        if code is not ExitCode.OK:
            self._environment.process_exit_code = int(code)
        if self.director is not None:
            self._keep(self.director.result, quiet=self.director.described.options.quiet)
        # In a greenlet of its own: quitting may kill the present one.
        gevent.spawn(runner.quit if parsed.headless else runner.stop)

    def _keep(self, result: WrittenResult, *, quiet: bool) -> None:
        if result.directory is not None:
            self.finished.append(result.directory)
        if Handoff.from_environment() is not None:
            return  # the launcher prints it
        if result.run is not None and (result.directory is None or not quiet):
            print_summary(result.run, result.directory)
        if result.failure is not None:
            print(f"wsbench: error: {result.failure}", file=sys.stderr)

    # -- messages --------------------------------------------------------------------------------------------------

    def _on_report(self, msg: Any, **_: Any) -> None:
        director, run_id = self.director, msg.data["run"]
        if director is None or director.described.run_id != run_id:
            return  # of a run that is over: the worker must not think that it was counted
        report = unpack(msg.data["body"], Report)
        if director.collector.receive(report):
            answer = {"run": run_id, "number": report.number, "clock_ns": time.time_ns(), "host": machine.host_id()}
            self._runner.send_message(ACK, answer, client_id=msg.node_id)

    # -- Locust's own statistics -----------------------------------------------------------------------------------

    def _fire_request(self, latency_ns: int | None, size: int, problem: str | None, name: str) -> None:
        self._environment.events.request.fire(
            request_type=locust_stats.METHOD,
            name=name,
            response_time=None if latency_ns is None else latency_ns / NS_PER_MS,
            response_length=size,
            exception=problem,
            context={},
        )


def _exit(error: UsageError) -> NoReturn:
    handoff = Handoff.from_environment()
    if handoff is not None:
        leave_failure(error, Staging(Path(handoff.staging)), usage=True)
    print(f"wsbench: error: {error}", file=sys.stderr)
    sys.exit(int(error.exit_code))
