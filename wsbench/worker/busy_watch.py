"""Interrupts code of a scenario that never lets the process do anything else, such as a loop without a wait."""

from __future__ import annotations

import signal
from types import FrameType
from typing import NoReturn

import gevent

from wsbench.worker.error_counter import is_scenario_file

_LIMIT_S, _LIMIT_AFTERWARDS_S = 10.0, 0.5
_ROUND_S = 1.0


class ScenarioBusy(BaseException):
    """Raised in the scenario's code. No Exception: the code may catch those, and go on."""


class BusyWatch:
    """Raises ScenarioBusy in code of the scenario that has kept the process busy for a time.

    The time is the process's own CPU time, which a busy machine or a stopped process does not use up. After the first
    interruption it is short: other users of the scenario are about to do the same.
    """

    def __init__(self) -> None:
        """Watch this process from now on; there must be one of these at most."""
        self._limit_s = _LIMIT_S
        signal.signal(signal.SIGVTALRM, self._busy)
        gevent.spawn(self._postpone)

    def _postpone(self) -> NoReturn:
        while True:
            signal.setitimer(signal.ITIMER_VIRTUAL, self._limit_s, _LIMIT_AFTERWARDS_S)
            gevent.sleep(_ROUND_S)

    def _busy(self, _number: int, frame: FrameType | None) -> None:
        """Look whether the scenario's code is running: wsbench's own may take long, to write a result for example."""
        while frame is not None:
            if is_scenario_file(frame.f_code.co_filename):
                self._limit_s = _LIMIT_AFTERWARDS_S
                raise ScenarioBusy("this code never waits, so that nothing else could run: use gevent.sleep")
            frame = frame.f_back
