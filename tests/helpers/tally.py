"""What an echo server of the benchmarks counted, asked for by a signal: a reading costs a run nothing in between.

A server keeps a `Tally` and answers SIGUSR1 with a line on standard output; `read` sends the signal and reads it.
"""

from __future__ import annotations

import asyncio
import re
import signal
import time

from helpers import process

_LINE = re.compile(r"^(\d+) echoed, (\d+) connections$", re.MULTILINE)
_PATIENCE_S = process.scaled(20)


class Tally:
    """Messages echoed so far, connections open now."""

    def __init__(self) -> None:
        self.echoed = 0
        self.connections = 0

    def tell_on_signal(self, loop: asyncio.AbstractEventLoop) -> None:
        """Print a line at every SIGUSR1."""
        loop.add_signal_handler(signal.SIGUSR1, self._tell)

    def _tell(self) -> None:
        print(f"{self.echoed} echoed, {self.connections} connections", flush=True)


def read(server: process.Running) -> tuple[int, int]:
    """Messages echoed so far and connections open, of a server that keeps a tally. AssertionError: it says nothing."""
    before = len(_LINE.findall(server.stdout()))
    server.signal(signal.SIGUSR1)
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        lines = _LINE.findall(server.stdout())
        if len(lines) > before:
            echoed, connections = lines[-1]
            return int(echoed), int(connections)
        time.sleep(0.001)
    raise AssertionError(f"the server did not tell its counts\n{server.told()}")
