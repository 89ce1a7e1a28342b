"""A program as a process of ours: started, listened to until it is ready, stopped for certain."""

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
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from wsbench.errors import Side, TargetError

START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 5.0
_POLL_S = 0.01
_READY = re.compile(r"listening on (?P<url>wss?://\S+)(?: \(CA: (?P<ca>.+)\))?")
_STDERR_TAIL = 2000


class Child:
    """A process and all that descends from it.

    It runs in a session of its own, so that Ctrl-C in the terminal reaches only the program that started it, which
    then stops it. Should that program die without doing so, the pipe that is the child's standard input ends: either
    the child notices that itself, or `wsbench.targets.guard`, which runs it, does.

    Attributes:
        name: as errors call it.
        pid: of the process that was started; also of its session.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        guarded: bool = True,
        says_when_ready: bool = True,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start `command`.

        Args:
            guarded: run it under the guard: it knows nothing of us and would outlive us.
            says_when_ready: it prints `listening on URL`, and nothing after that; else whatever it prints is kept
                with what it writes to standard error.
            environment: variables to set besides ours.

        Raises:
            TargetError: there is no such program.
        """
        self.name = name
        self._guarded = guarded
        self._output_at_end = ""
        # a file: a pipe that nobody reads would block a program that has much to say
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  # closed by stop()
        # -P: a file of the user's called json.py is none of the guard's business
        guard = [sys.executable, "-P", "-m", "wsbench.targets.guard"] if guarded else []
        try:
            self._process = subprocess.Popen(
                [*guard, *command],
                stdin=subprocess.PIPE,  # held open as long as we live
                stdout=subprocess.PIPE if says_when_ready else self._output,
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
        """Whether the process lives."""
        return self._process.poll() is None

    @property
    def pids(self) -> list[int]:
        """The process whose CPU and memory, with its descendants', are the program's: not the guard's."""
        if not self._guarded:
            return [self.pid]
        try:
            return [process.pid for process in psutil.Process(self.pid).children()]
        except psutil.Error:
            return []

    @property
    def output_tail(self) -> str:
        """The last lines that it wrote to standard error, 2,000 bytes at most."""
        if self._output.closed:
            return self._output_at_end
        size = os.fstat(self._output.fileno()).st_size
        # by pread: the child writes through the same open file, whose position must stay its own
        tail = os.pread(self._output.fileno(), _STDERR_TAIL, max(size - _STDERR_TAIL, 0))
        return tail.decode(errors="replace").strip()

    def ready_line(self) -> tuple[str, Path | None]:
        """Wait until it says where it listens: URL, and file of the CA if it names one.

        Raises:
            TargetError: it ended, said something else, or nothing in time.
        """
        line = self._first_line(START_TIMEOUT_S)
        match = _READY.fullmatch(line)
        if match is None:
            raise self.error(f"{self.name} said {line!r} instead of where it listens")
        return match["url"], Path(match["ca"]) if match["ca"] else None

    def wait_until_it_accepts(self, host: str, port: int) -> None:
        """Wait until TCP connections to it come about.

        Raises:
            TargetError: it ended, or accepts none in time.
        """
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while True:
            if not self.running:
                raise self._ended()
            with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=START_TIMEOUT_S):
                return
            if time.monotonic() > deadline_s:
                raise self.error(f"{self.name} accepted no connection on port {port} within {START_TIMEOUT_S:g} s")
            time.sleep(_POLL_S)

    def stop(self, timeout: float | None = None) -> int:
        """SIGTERM, and after `timeout` seconds (default 5) SIGKILL; the exit code (negative: the signal that ended it).

        Stopping what has stopped gives the same exit code again.
        """
        if self.running:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S if timeout is None else timeout)
            except subprocess.TimeoutExpired:
                # with its descendants: all are in the session, and so in the process group, that was made for them
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.pid, signal.SIGKILL)
        code = self._process.wait()
        self._output_at_end = self.output_tail
        for stream in (self._process.stdin, self._process.stdout, self._output):
            if stream is not None:
                stream.close()
        return code

    def error(self, what: str) -> TargetError:
        """With the end of what the program wrote to standard error."""
        tail = self.output_tail
        return TargetError(what, remedy=f"it wrote: {tail}" if tail else "", side=Side.TARGET)

    def state(self) -> str:
        """In words: 'runs', or how it ended."""
        return "runs" if self.running else f"ended with exit code {self._process.returncode}"

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


def _environment() -> dict[str, str]:
    """Ours without what sets options of wsbench, and with the way to this very package.

    WSBENCH_PORT or WSBENCH_DELAY are meant for the command that the user called, not for what that starts.
    """
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("WSBENCH_") or name == "WSBENCH_DEBUG"
    }
    root = Path(__file__).parents[2]
    if not root.name.endswith("-packages"):  # a source tree that may not be installed
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), environment.get("PYTHONPATH")]))
    return environment
