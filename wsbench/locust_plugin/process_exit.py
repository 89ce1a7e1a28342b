"""The exit of a Locust process: on Ctrl-C, and on an error before the run."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

import gevent

from wsbench.errors import ExitCode, UsageError
from wsbench.master.result_writer import leave_failure
from wsbench.results.directory import Staging
from wsbench.run.handoff import Handoff
from wsbench.run.presses import Presses


class InterruptHandler:
    """Turns the first Ctrl-C into Locust's orderly shutdown and exits on the second one.

    As a KeyboardInterrupt, Ctrl-C could strike at any place, for example while a reply is counted.
    """

    def __init__(self) -> None:
        self._presses = Presses()
        gevent.signal_handler(signal.SIGINT, self._interrupt)

    def _interrupt(self) -> None:
        if not self._presses.signal():
            return
        if self._presses.count > 1:
            os._exit(int(ExitCode.INTERRUPTED))
        os.kill(os.getpid(), signal.SIGTERM)


def exit_with(error: UsageError) -> NoReturn:
    """End the process with an error message, also for the launcher if there is one."""
    handoff = Handoff.from_environment()
    if handoff is not None:
        leave_failure(error, Staging(Path(handoff.staging)), usage=True)
    print(f"wsbench: error: {error}", file=sys.stderr)
    sys.exit(int(error.exit_code))
