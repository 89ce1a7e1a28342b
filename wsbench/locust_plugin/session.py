"""The handlers of Locust's events in a process.

Users run beside an engine (in a single process or a worker), and a director directs the run (in a single process or the
master). Locust swallows exceptions of listeners: a listener that can fail ends the run with a message instead.
"""

from __future__ import annotations

import inspect
import logging
import sys
from pathlib import Path
from typing import Any

import gevent
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from wsbench.errors import ExitCode, UsageError
from wsbench.locust_plugin import locust_options
from wsbench.locust_plugin.directing_session import DirectingSession
from wsbench.locust_plugin.local_session import LocalSession
from wsbench.locust_plugin.master_session import MasterSession
from wsbench.locust_plugin.process_exit import InterruptHandler, exit_with
from wsbench.locust_plugin.worker_session import WorkerSession
from wsbench.master.director import Director, Ending
from wsbench.worker.engine import Engine

logger = logging.getLogger("wsbench")

_FAILED_TASK_DELAY_S = 1.0
"""Without a delay, a scenario whose tasks all fail would fill the disk with Locust's tracebacks."""


class Session:
    """The part of one Locust process in its runs."""

    def __init__(self, environment: Environment, runner: Any) -> None:
        self._environment = environment
        self._runner = runner
        inspect.stack()  # Locust calls this when a run stops; the first call takes 0.1 s, while messages are due
        try:
            locust_options.check(environment, runner)
        except UsageError as error:
            exit_with(error)
        self._role = _role(environment, runner)
        events = environment.events
        events.test_start.add_listener(self._test_start)
        events.spawning_complete.add_listener(self._spawning_complete)
        events.test_stopping.add_listener(self._test_stopping)
        events.quitting.add_listener(self._quitting)
        events.user_error.add_listener(self._user_error)
        InterruptHandler()

    @property
    def director(self) -> Director | None:
        """Directs the present or the latest run; None in a worker, and before the first run."""
        return self._role.director if isinstance(self._role, DirectingSession) else None

    @property
    def finished(self) -> list[Path]:
        """The result directories of this process, the latest last."""
        return self._role.finished if isinstance(self._role, DirectingSession) else []

    def current_engine(self) -> Engine | None:
        """Return the engine of the present run, which a worker that missed the begin of the run makes now."""
        if isinstance(self._role, WorkerSession):
            self._role.catch_up()
        return self._role.engine

    # -- events ----------------------------------------------------------------------------------------------------

    def _test_start(self, **_: Any) -> None:
        try:
            self._role.start()
        except UsageError as error:
            logger.error("%s", error)
            if self._environment.parsed_options.headless:
                exit_with(error)
            gevent.spawn(self._runner.stop)
        except Exception:  # Locust would log it and continue without wsbench
            logger.exception("The run could not be started")
            sys.exit(int(ExitCode.NOT_MEASURED))

    def _user_error(self, exception: Exception, **_: Any) -> None:
        """Count an exception of a task and delay its user, in whose greenlet this is called."""
        if self._role.engine is not None:
            self._role.engine.errors.count_scenario_failure(exception, logged=True)
        gevent.sleep(_FAILED_TASK_DELAY_S)

    def _spawning_complete(self, **_: Any) -> None:
        if self.director is not None:
            self.director.phases.spawning_complete()

    def _test_stopping(self, **_: Any) -> None:
        """End the run before Locust stops all users: --run-time is over, or Stop was pressed."""
        self._finish(Ending.STOPPED)

    def _quitting(self, **_: Any) -> None:
        """End the run before the process ends; if the run is still in progress, that is an interrupt."""
        self._finish(Ending.INTERRUPTED)

    def _finish(self, ending: Ending) -> None:
        if isinstance(self._role, WorkerSession):
            self._role.finish()
        elif self.director is not None:
            self.director.finish(ending)


def _role(environment: Environment, runner: Any) -> DirectingSession | WorkerSession:
    if isinstance(runner, WorkerRunner):
        return WorkerSession(environment, runner)
    return MasterSession(environment, runner) if isinstance(runner, MasterRunner) else LocalSession(environment, runner)
