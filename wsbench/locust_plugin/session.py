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
from locust.env import Environment

from wsbench.credentials import DEFAULT_SECRETS
from wsbench.errors import ExitCode, UsageError
from wsbench.locust_plugin import locust_options
from wsbench.master.director import Director
from wsbench.master.phase_control import Ending
from wsbench.master.result_writer import leave_failure
from wsbench.results.directory import Staging
from wsbench.run.handoff import Handoff
from wsbench.run.presses import Presses
from wsbench.worker.engine import Engine

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

    @abstractmethod
    def start(self) -> None:
        """Begin a run.

        Raises:
            UsageError: an option is wrong.
        """

    @abstractmethod
    def finish(self, ending: Ending) -> None:
        """End the run; return when its result is safe."""

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

    def _user_error(self, exception: Exception, **_: Any) -> None:
        """Count an exception of a task and delay its user, in whose greenlet this is called."""
        if self.engine is not None:
            self.engine.errors.count_scenario_failure(exception, logged=True)
        gevent.sleep(_FAILED_TASK_DELAY_S)

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
    """Turn the first Ctrl-C into Locust's orderly shutdown, and exit on the second one.

    As a KeyboardInterrupt, Ctrl-C could strike at any place, for example while a reply is counted.
    """
    presses = Presses()

    def interrupt() -> None:
        if presses.signal():
            if presses.count > 1:
                os._exit(int(ExitCode.INTERRUPTED))
            os.kill(os.getpid(), signal.SIGTERM)

    gevent.signal_handler(signal.SIGINT, interrupt)


def _exit_with(error: UsageError) -> NoReturn:
    """End the process with an error message, also for the launcher if there is one."""
    if (handoff := Handoff.from_environment()) is not None:
        leave_failure(error, Staging(Path(handoff.staging)))
    print(DEFAULT_SECRETS.text(f"wsbench: error: {error}"), file=sys.stderr)
    sys.exit(int(error.exit_code))
