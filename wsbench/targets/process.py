"""A target as a process of its own: started on a free port, asked for its statistics, stopped for certain."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import selectors
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any, Self
from urllib.parse import urlsplit

from wsbench.errors import Side, TargetError
from wsbench.targets.echo.lateness import Stall

START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 5.0
_STATS_TIMEOUT_S = 5.0
_READY = re.compile(r"listening on (?P<url>wss?://\S+)(?: \(CA: (?P<ca>.+)\))?")
_STDERR_TAIL = 2000


class TargetProcess:
    """A running target. Use it as a context manager: leaving it stops the target.

    The target runs in a session of its own, so that Ctrl-C in the terminal reaches only the program that started
    it, which then stops it. Should that program die without doing so, the target notices and stops by itself.

    Attributes:
        url: of its echo path, ws:// or wss://.
        ca_file: PEM of the authority to trust, when the target made its own certificate; it vanishes with the target.
        pid: of the process that was started; with several workers, of their parent.
        name, version: of the server implementation.
    """

    def __init__(self, process: subprocess.Popen[bytes], stderr: IO[bytes]) -> None:
        """Take over a process that was just started and read its readiness line.

        Raises:
            TargetError: it ended, or said nothing in time; it has been stopped then.
        """
        self._process = process
        self._stderr = stderr
        self._stderr_at_end = ""
        self.pid = process.pid
        try:
            ready = self._read_ready_line(START_TIMEOUT_S)
            self.url: str = ready["url"]
            self.ca_file = Path(ready["ca"]) if ready["ca"] else None
            statistics = self.stats()
        except BaseException:
            self.stop()
            raise
        self.name = str(statistics["name"])
        self.version = str(statistics["version"])

    @classmethod
    def start_embedded(
        cls,
        *,
        tls: bool = False,
        compression: str = "off",
        workers: int = 1,
        delay_ns: int = 0,
        jitter_ns: int = 0,
        stall: Stall | None = None,
    ) -> Self:
        """Start the echo target on a free port of 127.0.0.1. Options as in `EchoOptions`.

        Raises:
            TargetError: it did not come up; the message has what it wrote to standard error.
        """
        arguments = ["--host", "127.0.0.1", "--port", "0", "--workers", str(workers), "--compression", compression]
        if tls:
            arguments.append("--tls")
        if delay_ns:
            arguments += ["--delay", f"{delay_ns}ns"]
        if jitter_ns:
            arguments += ["--delay-jitter", f"{jitter_ns}ns"]
        if stall is not None:
            arguments += ["--stall", f"{stall.stop_ns}ns every {stall.every_ns}ns"]
        # a file: a pipe that nobody reads would block a target that has much to say
        stderr = tempfile.TemporaryFile()  # noqa: SIM115  # closed by stop()
        try:
            process = subprocess.Popen(
                # -P: a file of the user's called json.py is none of the target's business
                [sys.executable, "-P", "-m", "wsbench", "serve", "--exit-with-parent", *arguments],
                stdin=subprocess.PIPE,  # held open as long as we live: the target stops when it ends
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=_environment(),
                start_new_session=True,
            )
        except BaseException:
            stderr.close()
            raise
        return cls(process, stderr)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process.poll() is None

    @property
    def stderr_tail(self) -> str:
        """The last lines that the target wrote to standard error, 2,000 bytes at most."""
        if self._stderr.closed:
            return self._stderr_at_end
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(size - _STDERR_TAIL, 0))
        return self._stderr.read().decode(errors="replace").strip()

    def stats(self) -> dict[str, Any]:
        """The target's counters, current at this moment (see /stats in the README).

        Raises:
            TargetError: it does not answer.
        """
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        if parts.scheme == "wss":
            context = ssl.create_default_context(cafile=self.ca_file)
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=_STATS_TIMEOUT_S, context=context
            )
        else:
            connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=_STATS_TIMEOUT_S)
        try:
            with contextlib.closing(connection):
                connection.request("GET", "/stats")
                document = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError) as exc:
            state = "runs" if self.running else f"ended with exit code {self._process.returncode}"
            raise self._error(
                f"the target does not give its statistics: {exc or type(exc).__name__}; it {state}"
            ) from exc
        assert isinstance(document, dict)
        return document

    def stop(self, timeout: float = STOP_TIMEOUT_S) -> int:
        """SIGTERM, and after `timeout` seconds SIGKILL; the exit code (negative: the signal that ended it).

        Stopping what has stopped gives the same exit code again.
        """
        if self.running:
            self._process.terminate()
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                # with its workers: all are in the session, and so in the process group, that was made for them
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.pid, signal.SIGKILL)
        code = self._process.wait()
        self._stderr_at_end = self.stderr_tail
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            if stream is not None:
                stream.close()
        return code

    def _read_ready_line(self, timeout_s: float) -> re.Match[str]:
        assert self._process.stdout is not None
        descriptor, deadline_s, received = self._process.stdout.fileno(), time.monotonic() + timeout_s, b""
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while b"\n" not in received:
                if not selector.select(max(deadline_s - time.monotonic(), 0)):
                    raise self._error(f"the target was not ready after {timeout_s:g} s")
                chunk = os.read(descriptor, 4096)
                if not chunk:
                    raise self._error(f"the target did not start: it ended with exit code {self._process.wait()}")
                received += chunk
        line = received.partition(b"\n")[0].decode(errors="replace")
        match = _READY.fullmatch(line)
        if match is None:
            raise self._error(f"the target said {line!r} instead of where it listens")
        return match

    def _error(self, what: str) -> TargetError:
        """With the end of what the target wrote to standard error."""
        tail = self.stderr_tail
        return TargetError(what, remedy=f"it wrote: {tail}" if tail else "", side=Side.TARGET)


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
