"""What the benchmarks share: a server and a generator on cores of their own, medians, and what machine it was."""

from __future__ import annotations

import os
import signal
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from helpers import process

from wsbench.results.environment import environment

_CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, GENERATOR_CORE = _CORES[0], _CORES[-1]
_LOOK_S = 0.5
_DISTURBED = 0.05
"""Of a core: more than this can be seen in the figures."""


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """What is started within runs on `core`, with all its threads and children."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def serving(*command: str) -> Iterator[tuple[process.Running, str]]:
    """A server of tests/helpers (or with a whole command line any other) on the server's core, and its URL."""
    with pinned(SERVER_CORE):
        server, url = process.start_server(*command)
    try:
        yield server, url
    finally:
        server.stop()


def run_wsbench(*arguments: str, timeout: float = 120) -> Any:
    """run.json of `wsbench run ARGUMENTS` on the generator's core."""
    with tempfile.TemporaryDirectory() as directory, pinned(GENERATOR_CORE):
        command = process.start_cli("run", *arguments, "--json", cwd=Path(directory))
        try:
            result = command.finish(timeout)
        except BaseException:
            command.stop()
            raise
    if result.returncode:
        raise AssertionError(result.stderr.strip())
    return result.json()


def locust_process(pid: int) -> psutil.Process:
    """Return the Locust process of the `wsbench run` with this process id.

    Raises:
        AssertionError: it has none.
    """
    for child in psutil.Process(pid).children(recursive=True):
        if "wsbench.locust_plugin.launched" in child.cmdline():
            return child
    raise AssertionError("wsbench run has no Locust process")


def median_and_spread(values: Sequence[float], digits: int = 1) -> str:
    """'12.1 (11.9..12.6)': the median, the least and the most."""
    shown = [f"{value:,.{digits}f}" for value in (statistics.median(values), min(values), max(values))]
    return f"{shown[0]} ({shown[1]}..{shown[2]})"


def used_by_others() -> float:
    """Share of a core that other programs use just now; nothing of ours may be running."""
    cores = len(psutil.cpu_percent(percpu=True))
    return psutil.cpu_percent(_LOOK_S) / 100 * cores


def disturbance(others: float) -> str:
    """A line for under a table, when others used more of a core than can be overlooked; else nothing."""
    if others < _DISTURBED:
        return ""
    return f"Other programs used up to {others:.0%} of a core meanwhile: only a quiet machine gives figures to keep."


def machine_line() -> str:
    """The machine, the placing of server and generator, and the day."""
    here = environment()
    placed = f"server on core {SERVER_CORE}, generator on core {GENERATOR_CORE}"
    if len(_CORES) == 1:
        placed = "only one core: server and generator share it"
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    return f"{here.cpu}, {here.cores} cores ({placed}), {here.kernel}, {here.python}, {day}"


def stop_on_signals() -> None:
    """SIGTERM as Ctrl-C: an exception, so that whatever runs is stopped. In a shell's background both were ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
