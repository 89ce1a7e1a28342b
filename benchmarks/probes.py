"""Probes of a running generator. Each observes one process for some seconds, and disturbs it in its own way.

A probe without a figure raises `Unavailable`.
"""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from helpers import components, echo_counter, process

from benchmarks.bench import GENERATOR_CORE, locust_process, pinned, serving

_SETTLE_S = 1.5
_FREQUENCY_HZ = 997
"""Not synchronous with events at 1,000 per second."""
_SCENARIO = Path(__file__).parent / "scenarios" / "function_calls.py"
_ECHO = Path(__file__).parents[1] / "scenarios" / "echo.py"
_KERNEL_CALLS = (
    ("kernel: send", re.compile(r"sys_send|__send$")),
    ("kernel: receive", re.compile(r"sys_recv|libc_recv|__recv")),
    ("kernel: epoll", re.compile(r"epoll")),
    ("kernel: timer", re.compile(r"timerfd")),
)
_FRAME = re.compile(r"^\s*([0-9a-f]+) (.*) \((.*)\)$", re.MULTILINE)
"""Address, symbol and library."""
_IN_KERNEL = re.compile(r"^f{4}[0-9a-f]{12}$")


class Unavailable(Exception):
    """A probe that does not work on this machine; the text says why, or what to install."""


@dataclass(frozen=True)
class Load:
    """Options of `wsbench run`, and the seconds that a probe observes."""

    options: Sequence[str]
    connections: int
    seconds: float


class AtWork:
    """A generator with all its connections open and busy.

    Attributes:
        pid: id of the process that sends and receives.
        messages: number of messages echoed during `watch`.
        lasted_s: duration of `watch`.
        run: run.json, after `finish`.
    """

    def __init__(self, server: process.Running, generator: process.Running, pid: int) -> None:
        self._server, self._generator = server, generator
        self.pid = pid
        self.messages, self.lasted_s = 0, 0.0
        self.run: Any = None

    @contextlib.contextmanager
    def watch(self) -> Iterator[None]:
        """Count the messages echoed during the block."""
        before, started = echo_counter.read(self._server)[0], time.monotonic()
        yield
        self.lasted_s = time.monotonic() - started
        self.messages = echo_counter.read(self._server)[0] - before

    def finish(self) -> None:
        """Wait for the end of the run."""
        self.run = self._generator.finish(60).json()


@contextlib.contextmanager
def at_work(load: Load, directory: Path, *extra: str, environment: Mapping[str, str] | None = None) -> Iterator[AtWork]:
    """Run `wsbench run` against a new server during the block."""
    with serving("benchmarks.c_server") as (server, url):
        lasting = f"{_SETTLE_S + load.seconds + 2:g}s"
        arguments = (*load.options, "-u", str(load.connections), "-d", lasting, "--warmup", "0s", "--json", *extra)
        with pinned(GENERATOR_CORE):
            generator = process.start_cli("run", url, *arguments, cwd=directory, env=environment)
        try:
            _await_connections(server, load.connections)
            time.sleep(_SETTLE_S)
            yield AtWork(server, generator, locust_process(generator.pid).pid)
        finally:
            generator.stop()


def _await_connections(server: process.Running, connections: int) -> None:
    deadline = time.monotonic() + process.scaled(60)
    while echo_counter.read(server)[1] < connections:
        if time.monotonic() > deadline:
            raise Unavailable(f"{connections} connections did not come about")
        time.sleep(0.1)


def _program(name: str, remedy: str) -> str:
    path = components.tool(name)
    if not path:
        raise Unavailable(f"no {name} ({remedy})")
    return path


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def _refused(what: str, answer: subprocess.CompletedProcess[str]) -> Unavailable:
    lines = [line for line in answer.stderr.strip().splitlines() if line.strip()]
    return Unavailable(f"{what} may not watch here: {lines[0] if lines else f'exit code {answer.returncode}'}")


def time_shares(worker: AtWork, load: Load, directory: Path) -> Counter[str]:
    """Return samples by activity: a system call in the kernel, or a library in user space (perf)."""
    perf, data = _program("perf", "apt-get install linux-perf"), str(directory / "perf.data")
    how = ("record", "-g", "-F", str(_FREQUENCY_HZ), "-p", str(worker.pid), "-o", data)
    with worker.watch():
        answer = _run(perf, *how, "--", "sleep", f"{load.seconds:g}")
    if answer.returncode:
        raise _refused("perf", answer)
    script = _run(perf, "script", "-i", data, "-F", "ip,sym,dso").stdout
    stacks = re.split(r"\n\s*\n", script.strip())
    return Counter(_doing(frames) for stack in stacks if (frames := _FRAME.findall(stack)))


def _doing(frames: Sequence[tuple[str, str, str]]) -> str:
    """Return the activity of a stack, innermost frame first."""
    innermost = frames[0]
    if not _IN_KERNEL.match(innermost[0]):
        return f"user space: {Path(innermost[2]).name.partition('.')[0].strip('[]')}"
    for what, pattern in _KERNEL_CALLS:
        if any(pattern.search(name) for _, name, _ in frames):
            return what
    return "kernel: other"


def python_functions(worker: AtWork, load: Load, directory: Path) -> Counter[str]:
    """Return samples by the innermost Python function, including what it calls in C and the kernel (py-spy)."""
    spy, output = _program("py-spy", "pip install -e '.[peers]'"), directory / "stacks"
    how = ("--format", "raw", "--nolineno", "--rate", str(_FREQUENCY_HZ), "--duration", f"{load.seconds:g}")
    with worker.watch():
        answer = _run(spy, "record", "--pid", str(worker.pid), *how, "--output", str(output))
    if answer.returncode or not output.exists():
        raise _refused("py-spy", answer)
    samples: Counter[str] = Counter()
    for line in output.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        if "gevent/threadpool.py" not in stack:  # an idle thread that py-spy counts as busy
            samples[stack.rpartition(";")[2]] += int(count)
    return samples


def system_calls(worker: AtWork, load: Load, directory: Path) -> Counter[str]:
    """Return system calls by name (strace)."""
    strace, output = _program("strace", "apt-get install strace"), directory / "calls"
    tracer = subprocess.Popen(
        [strace, "-f", "-c", "-o", str(output), "-p", str(worker.pid)], stderr=subprocess.PIPE, text=True
    )
    try:
        assert tracer.stderr is not None
        line = tracer.stderr.readline().strip()
        if " attached" not in line:
            raise Unavailable(f"strace may not watch here: {line}")
        with worker.watch():
            time.sleep(load.seconds)
        tracer.send_signal(signal.SIGINT)
        tracer.wait(30)
    finally:
        tracer.kill()
        tracer.communicate()
    rows = (line.split() for line in output.read_text().splitlines())
    return Counter({row[-1]: int(row[3]) for row in rows if len(row) >= 5 and row[3].isdigit() and row[-1] != "total"})


def function_calls(load: Load, directory: Path) -> tuple[AtWork, Counter[str]]:
    """Return calls of Python and C functions by name (cProfile, in the process)."""
    results = directory / "function_calls.json"
    extra = ("--scenario", str(_SCENARIO))
    with at_work(load, directory, *extra, environment={"BENCHMARKS_CALLS": str(results)}) as worker:
        with worker.watch():
            psutil.Process(worker.pid).send_signal(signal.SIGUSR1)
            time.sleep(load.seconds)
            psutil.Process(worker.pid).send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + process.scaled(10)
        while not results.exists():
            if time.monotonic() > deadline:
                raise Unavailable("the scenario left no counts")
            time.sleep(0.05)
    return worker, Counter(json.loads(results.read_text()))


def instructions(load: Load, directory: Path) -> tuple[AtWork, int]:
    """Return the number of instructions in user space (valgrind's callgrind, about 30 times slower)."""
    valgrind = _program("valgrind", "apt-get install valgrind")
    control, output = _program("callgrind_control", "apt-get install valgrind"), directory / "callgrind.out"
    with serving("benchmarks.c_server") as (server, url):
        counted = (valgrind, "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={output}")
        users = ("-u", str(load.connections), "-r", str(load.connections), *load.options)
        lasting = ("--duration", f"{_SETTLE_S + 2 * load.seconds + 3:g}s", "--warmup", "0s")
        locust = (sys.executable, "-P", "-m", "locust", "-f", str(_ECHO), "--headless", "--only-summary")
        with pinned(GENERATOR_CORE):
            generator = process.Running([*counted, *locust, *users, *lasting, "--host", url], cwd=directory)
        try:
            _await_connections(server, load.connections)
            time.sleep(_SETTLE_S)
            worker = AtWork(server, generator, generator.pid)
            pid = str(worker.pid)
            _run(control, "--instr=on", pid)
            _run(control, "--zero", pid)
            with worker.watch():
                time.sleep(2 * load.seconds)
            _run(control, "--instr=off", pid)
            generator.finish(60)
        finally:
            generator.stop()
    totals = re.search(r"^totals: (\d+)", output.read_text(), re.MULTILINE) if output.exists() else None
    if totals is None or not worker.messages:
        raise Unavailable("valgrind left no count")
    return worker, int(totals[1])
