"""The handlers of Locust's events in a process.

Users run beside an engine (in a single process or a worker), and a director directs the run (in a single process or the
master). Locust swallows exceptions of listeners: a listener that can fail ends the run with a message instead.
"""

from __future__ import annotations

import inspect
import logging
import os
import signal
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, NoReturn

import gevent
from gevent import GreenletExit
from locust import TaskSet
from locust.env import Environment
from locust.exception import RescheduleTask

from wsbench.credentials import DEFAULT_SECRETS
from wsbench.errors import ExitCode, UsageError, WsbenchError, internal_error
from wsbench.locust_plugin import locust_options
from wsbench.locust_plugin.log_secrets import hide_in_logs
from wsbench.master.director import Director
from wsbench.master.result_writer import leave_failure
from wsbench.results.directory import Staging
from wsbench.results.run_result import Ending
from wsbench.run.handoff import Handoff
from wsbench.run.presses import Presses
from wsbench.worker.busy_watch import BusyWatch
from wsbench.worker.engine import Engine
from wsbench.worker.error_counter import is_ours, scenario_failure

logger = logging.getLogger("wsbench")

_FAILED_TASK_DELAY_S = 1.0
"""Without a delay, a scenario whose tasks all fail would fill the disk with Locust's tracebacks."""


class Session(ABC):
    """The part of one Locust process in its runs.

    Attributes:
        engine: runs the users; None in a master, and before the first run.
        director: directs the present or the latest run; None in a worker, and before the first run.
        finished: the result directories of this process, the latest last.
    """

    def __init__(self, environment: Environment, runner: Any) -> None:
        self.engine: Engine | None = None
        self.director: Director | None = None
        self.finished: list[Path] = []
        self._environment = environment
        self._runner = runner
        inspect.stack()  # Locust calls this when a run stops; the first call takes 0.1 s, while messages are due
        hide_in_logs(DEFAULT_SECRETS)
        try:
            locust_options.check(environment, runner)
        except UsageError as error:
            _exit_with(error)
        events = environment.events
        events.test_start.add_listener(self._test_start)
        events.spawning_complete.add_listener(self._spawning_complete)
        events.test_stopping.add_listener(self._test_stopping)
        events.quitting.add_listener(self._quitting)
        events.user_error.add_listener(self._user_error)
        _handle_interrupts()
        BusyWatch()
        self._watch_greenlets()

    @abstractmethod
    def start(self) -> None:
        """Begin a run.

        Raises:
            UsageError: an option is wrong.
        """

    @abstractmethod
    def finish(self, ending: Ending) -> None:
        """End the run; return when its result is safe."""

    @abstractmethod
    def fail(self, failure: WsbenchError) -> None:
        """End the run in a new greenlet, because a part of this process has failed."""

    @abstractmethod
    def count_scenario_failure(self, error: BaseException) -> None:
        """Count an exception of the scenario's code, which has been logged."""

    def current_engine(self) -> Engine | None:
        """Return the engine of the present run."""
        return self.engine

    # -- events ----------------------------------------------------------------------------------------------------

    def _test_start(self, **_: Any) -> None:
        try:
            self.start()
        except UsageError as error:
            logger.error("%s", error)
            if self._environment.parsed_options.headless:
                _exit_with(error)
            gevent.spawn(self._runner.stop)
        except Exception:  # Locust would log it and continue without wsbench
            logger.exception("The run could not be started")
            sys.exit(int(ExitCode.NOT_MEASURED))

    def _user_error(self, user_instance: Any, exception: Exception, **_: Any) -> None:
        """Count an exception of a task and delay its user, in whose greenlet this is called.

        One that Locust raises again, such as one of `on_start`, ends the user and is counted there.
        """
        if isinstance(user_instance, TaskSet) and self._environment.catch_exceptions:
            self.count_scenario_failure(exception)
            gevent.sleep(_FAILED_TASK_DELAY_S)

    def _watch_greenlets(self) -> None:
        """Learn of every exception that ends a greenlet or a callback of this process. gevent only prints it."""
        hub = gevent.get_hub()
        report = hub.handle_error

        def handle_error(context: Any, kind: Any, error: Any, trace: Any) -> None:
            report(context, kind, error, trace)  # SystemExit ends the process from here
            of_thread = isinstance(context, tuple)  # of a pool, such as a name server's answer: its caller gets it too
            if not of_thread and not isinstance(error, GreenletExit | SystemExit | KeyboardInterrupt | RescheduleTask):
                self._greenlet_failed(context, error)

        hub.handle_error = handle_error

    def _greenlet_failed(self, greenlet: Any, error: BaseException) -> None:
        if greenlet is self._runner.spawning_greenlet:
            self.fail(scenario_failure(error, "Locust could not start the users"))
        elif is_ours(error):
            self.fail(internal_error("a part of wsbench failed", error))
        else:
            self.count_scenario_failure(error)

    def _spawning_complete(self, **_: Any) -> None:
        if self.director is not None:
            self.director.phases.spawning_complete()

    def _test_stopping(self, **_: Any) -> None:
        """End the run before Locust stops all users: --run-time is over, or Stop was pressed."""
        self.finish(Ending.STOP)

    def _quitting(self, **_: Any) -> None:
        """End the run before the process ends; if the run is still in progress, that is an interrupt."""
        self.finish(Ending.INTERRUPT)


def _handle_interrupts() -> None:
    """Turn the first Ctrl-C or SIGHUP into Locust's orderly shutdown, and exit on the second one.

    As a KeyboardInterrupt, Ctrl-C could strike at any place, for example while a reply is counted.
    """
    presses = Presses()

    def interrupt() -> None:
        if presses.signal():
            if presses.count > 1:
                os._exit(int(ExitCode.INTERRUPTED))
            os.kill(os.getpid(), signal.SIGTERM)

    gevent.signal_handler(signal.SIGINT, interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
        gevent.signal_handler(signal.SIGHUP, interrupt)


def leave_for_launcher(failure: WsbenchError) -> None:
    """Leave the reason why there is no result, if there is a launcher."""
    if (handoff := Handoff.from_environment()) is not None:
        leave_failure(failure, Staging(Path(handoff.staging)))


def _exit_with(error: UsageError) -> NoReturn:
    """End the process with an error message, also for the launcher if there is one."""
    leave_for_launcher(error)
    print(DEFAULT_SECRETS.text(f"wsbench: error: {error}"), file=sys.stderr)
    sys.exit(int(error.exit_code))
