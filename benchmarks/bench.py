"""Common parts of the benchmarks: a core each for server and generator, medians, and a description of the machine."""

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
"""Share of a core; more use by other programs is visible in the figures."""


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Run processes that are started within the block on `core`, with all their threads and children."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def serving(*command: str) -> Iterator[tuple[process.Running, str]]:
    """Run a server (see `process.start_server`) on the server's core; yield it and its URL."""
    with pinned(SERVER_CORE):
        server, url = process.start_server(*command)
    try:
        yield server, url
    finally:
        server.stop()


def run_wsbench(*arguments: str, timeout: float = 120) -> Any:
    """Run `wsbench run ARGUMENTS` on the generator's core; return its run.json."""
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
    """Return '12.1 (11.9..12.6)': median, minimum and maximum."""
    shown = [f"{value:,.{digits}f}" for value in (statistics.median(values), min(values), max(values))]
    return f"{shown[0]} ({shown[1]}..{shown[2]})"


def used_by_others() -> float:
    """Return the share of a core that other programs use now; no program of the benchmark may be running."""
    cores = len(psutil.cpu_percent(percpu=True))
    return psutil.cpu_percent(_LOOK_S) / 100 * cores


def disturbance(others: float) -> str:
    """Return a warning for under a table if other programs used too much of a core, or an empty text."""
    if others < _DISTURBED:
        return ""
    return f"Other programs used up to {others:.0%} of a core meanwhile: repeat this on a machine that is idle."


def machine_line() -> str:
    """Return a line with the machine, the cores of server and generator, and the date."""
    here = environment()
    placed = f"server on core {SERVER_CORE}, generator on core {GENERATOR_CORE}"
    if len(_CORES) == 1:
        placed = "only one core: server and generator share it"
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    return f"{here.cpu}, {here.cores} cores ({placed}), {here.kernel}, {here.python}, {day}"


def stop_on_signals() -> None:
    """Raise KeyboardInterrupt on SIGTERM and SIGINT, also where a shell ignores them for background jobs."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
