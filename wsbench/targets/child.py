"""A child process: started, on a free port if needed, awaited, and stopped with all its descendants."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from wsbench.errors import Side, TargetError

HOST = "127.0.0.1"
START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 5.0
_POLL_S = 0.01
_ATTEMPTS = 3
_READY = re.compile(r"listening on (?P<url>wss?://\S+)(?: \(CA: (?P<ca>.+)\))?")
_STDERR_TAIL = 2000


class Child:
    """A child process and its descendants.

    It runs in a new session, so that Ctrl-C in the terminal reaches only the parent, which then stops the child. If
    the parent dies without stopping it, the pipe that is the child's standard input ends, and either the child stops
    itself, or `wsbench.targets.guard`, which runs it, stops it.
    `pid` is the id of the process that was started, and of its session. `name` appears in error messages.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        guarded: bool = True,
        prints_url: bool = True,
        environment: Mapping[str, str] | None = None,
        start_timeout_s: float = START_TIMEOUT_S,
        stop_timeout_s: float = STOP_TIMEOUT_S,
    ) -> None:
        """Start `command`; raise TargetError when it does not exist or cannot be executed.

        Args:
            guarded: run it under the guard, for a program that does not watch its standard input.
            prints_url: it prints `listening on URL`, and nothing after that. Otherwise its standard output is kept
                together with its standard error.
            environment: variables to add to this process's environment.
            start_timeout_s: time limit of `wait_for_url` and `wait_until_accepting`.
            stop_timeout_s: time from SIGTERM to SIGKILL.
        """
        self.name = name
        self._start_timeout_s = start_timeout_s
        self._stop_timeout_s = stop_timeout_s
        self._guarded = guarded
        self._output_at_end = ""
        # a file: a pipe that is not read would block a program with much output
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  # closed by stop()
        # -P: the guard must not import a json.py from the user's directory
        guard = [sys.executable, "-P", "-m", "wsbench.targets.guard"] if guarded else []
        try:
            self._process = subprocess.Popen(
                [*guard, *command],
                stdin=subprocess.PIPE,  # held open as long as this process lives
                stdout=subprocess.PIPE if prints_url else self._output,
                stderr=self._output,
                env={**_environment(), **(environment or {})},
                start_new_session=True,
            )
        except OSError as exc:
            self._output.close()
            raise TargetError(f"{name} cannot be started: {exc.strerror}: {command[0]}", side=Side.GENERATOR) from exc
        self.pid = self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is running."""
        return self._process.poll() is None

    @property
    def pids(self) -> list[int]:
        """The ids of the program's own process, or none after its end; not the guard's."""
        if not self._guarded:
            return [self.pid]
        try:
            return [process.pid for process in psutil.Process(self.pid).children()]
        except psutil.Error:
            return []

    @property
    def output_tail(self) -> str:
        """The end of what the program wrote to standard error, 2,000 bytes at most."""
        if self._output.closed:
            return self._output_at_end
        size = os.fstat(self._output.fileno()).st_size
        # pread, because the child writes through the same open file and uses its position
        tail = os.pread(self._output.fileno(), _STDERR_TAIL, max(size - _STDERR_TAIL, 0))
        return tail.decode(errors="replace").strip()

    def wait_for_url(self) -> tuple[str, Path | None]:
        """Wait for the line that states the URL; return it, and the CA file if the line has one.

        Raise TargetError when the program ended, printed another line, or printed none in time.
        """
        line = self._first_line(self._start_timeout_s)
        match = _READY.fullmatch(line)
        if match is None:
            raise self.error(f"{self.name} printed {line!r} instead of 'listening on URL'")
        return match["url"], Path(match["ca"]) if match["ca"] else None

    def wait_until_accepting(self, host: str, port: int) -> None:
        """Wait until the program accepts TCP connections; raise TargetError when it ended or accepted none in time."""
        timeout_s = self._start_timeout_s
        deadline_s = time.monotonic() + timeout_s
        while True:
            if not self.running:
                raise self._ended()
            with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=timeout_s):
                return
            if time.monotonic() > deadline_s:
                raise self.error(f"{self.name} accepted no connection on port {port} within {timeout_s:g} s")
            time.sleep(_POLL_S)

    def stop(self, timeout: float | None = None) -> int:
        """Send SIGTERM, and SIGKILL after `timeout` seconds; return the exit code (negative: the signal).

        On a process that has ended, return its exit code again.
        """
        if self.running:
            self._process.terminate()
            try:
                self._process.wait(self._stop_timeout_s if timeout is None else timeout)
            except subprocess.TimeoutExpired:
                # the process group includes the descendants, which are in the child's session
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.pid, signal.SIGKILL)
        code = self._process.wait()
        self._output_at_end = self.output_tail
        for stream in (self._process.stdin, self._process.stdout, self._output):
            if stream is not None:
                stream.close()
        return code

    def error(self, what: str) -> TargetError:
        """Return an error that quotes the end of the program's standard error."""
        tail = self.output_tail
        return TargetError(what, remedy=f"it wrote: {tail}" if tail else "", side=Side.TARGET)

    def describe_state(self) -> str:
        """Return 'is running', or how the program ended."""
        return "is running" if self.running else f"ended with exit code {self._process.returncode}"

    def _ended(self) -> TargetError:
        return self.error(f"{self.name} did not start: it ended with exit code {self._process.wait()}")

    def _first_line(self, timeout_s: float) -> str:
        assert self._process.stdout is not None
        descriptor, deadline_s, received = self._process.stdout.fileno(), time.monotonic() + timeout_s, b""
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while b"\n" not in received:
                if not selector.select(max(deadline_s - time.monotonic(), 0)):
                    raise self.error(f"{self.name} was not ready after {timeout_s:g} s")
                chunk = os.read(descriptor, 4096)
                if not chunk:
                    raise self._ended()
                received += chunk
        return received.partition(b"\n")[0].decode(errors="replace")


def on_a_free_port(start: Callable[[int], Child], host: str = HOST) -> tuple[int, Child]:
    """Return a free port and the child that `start(port)` returned, once it accepts connections.

    For servers that cannot choose a port. If the port is taken in between, another is tried.
    """
    for left in reversed(range(_ATTEMPTS)):
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port: int = probe.getsockname()[1]
        child = start(port)
        try:
            child.wait_until_accepting(host, port)
        except BaseException as exc:
            child.stop()
            if not left or not isinstance(exc, TargetError) or "in use" not in str(exc).lower():
                raise
        else:
            return port, child
    raise AssertionError


def _environment() -> dict[str, str]:
    """Return this process's environment without wsbench's options, and with the path of this package.

    WSBENCH_PORT or WSBENCH_DELAY are options of the command that the user called, not of the programs it starts.
    """
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("WSBENCH_") or name == "WSBENCH_DEBUG"
    }
    root = Path(__file__).parents[2]
    if not root.name.endswith("-packages"):  # a source tree that may not be installed
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), environment.get("PYTHONPATH")]))
    return environment
