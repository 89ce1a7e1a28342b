"""Counts of an echo server in a benchmark, requested by a signal, so that they cost nothing between readings.

A server has an `EchoCounter` and prints a line at every SIGUSR1; `read` sends the signal and reads the line.
"""

from __future__ import annotations

import re
import signal
import time

from helpers import process

_LINE = re.compile(r"^(\d+) echoed, (\d+) connections$", re.MULTILINE)
_TIMEOUT_S = process.scaled(20)


class EchoCounter:
    """Counter of echoed messages and open connections."""

    def __init__(self) -> None:
        self.echoed = 0
        self.connections = 0

    def report_on_signal(self) -> None:
        """Print the counts at every SIGUSR1; call it before the server prints its URL."""
        signal.signal(signal.SIGUSR1, self._print)

    def _print(self, _signum: int, _frame: object) -> None:
        print(f"{self.echoed} echoed, {self.connections} connections", flush=True)


def read(server: process.Running) -> tuple[int, int]:
    """Return the numbers of echoed messages and of open connections of a server with an `EchoCounter`.

    Raises:
        AssertionError: the server does not answer.
    """
    before = len(_LINE.findall(server.stdout()))
    server.signal(signal.SIGUSR1)
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        lines = _LINE.findall(server.stdout())
        if len(lines) > before:
            echoed, connections = lines[-1]
            return int(echoed), int(connections)
        time.sleep(0.001)
    raise AssertionError(f"the server did not print its counts\n{server.told()}")
