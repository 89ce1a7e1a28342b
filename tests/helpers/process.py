"""Processes of the tests: servers that say when they are ready, wsbench's command line, and what either leaves behind.

Every timeout is multiplied by WSBENCH_TEST_TIMEOUT_SCALE (default 1), for machines that are slow or busy.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

TESTS = Path(__file__).parent.parent
_MODULES = os.pathsep.join(filter(None, (str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH"))))
"""PYTHONPATH that finds `helpers` and `benchmarks`."""
_MARK = "WSBENCH_TEST_RUN"  # in the environment of whatever a test starts, so that its descendants are found


def scaled(seconds: float) -> float:
    return seconds * float(os.environ.get("WSBENCH_TEST_TIMEOUT_SCALE", "1"))


def eventually(condition: Callable[[], object], timeout: float = 15) -> None:
    """Waits until `condition` holds; AssertionError when it never does."""
    deadline = time.monotonic() + scaled(timeout)
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout} s"
        time.sleep(0.02)


class Running:
    """A process in a session of its own, its output in files (a pipe would fill, or be kept open by an orphan)."""

    live: list[Running] = []  # noqa: RUF012  # of all tests, so that a failure can show what its servers said

    def __init__(
        self, command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | str | None = None
    ) -> None:
        self.command = list(command)
        self.mark = uuid.uuid4().hex
        self._out, self._err = tempfile.TemporaryFile("w+b"), tempfile.TemporaryFile("w+b")  # noqa: SIM115
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=self._err,
            env={**os.environ, **(env or {}), _MARK: self.mark},
            cwd=cwd,
            start_new_session=True,
        )
        self.pid = self.process.pid
        """Also the id of its session and of its process group."""
        Running.live.append(self)

    def stdout(self) -> str:
        return _content(self._out)

    def stderr(self) -> str:
        return _content(self._err)

    def wait_for(self, pattern: str, timeout: float = 15) -> re.Match[str]:
        """Waits until standard output or error matches `pattern`; AssertionError with both when it never does."""
        deadline = time.monotonic() + scaled(timeout)
        while True:
            ended = self.process.poll() is not None  # before reading: what it said last is read then
            for text in (self.stdout(), self.stderr()):
                if found := re.search(pattern, text, re.MULTILINE):
                    return found
            if ended or time.monotonic() > deadline:
                what = f"ended with {self.process.returncode}" if ended else f"said nothing of it in {timeout} s"
                raise AssertionError(f"no {pattern!r}: the process {what}\n{self.told()}")
            time.sleep(0.01)

    def signal(self, number: signal.Signals) -> None:
        """To the process alone, as `kill` does; a terminal's Ctrl-C goes to the whole group: `os.killpg(pid, …)`."""
        self.process.send_signal(number)

    def finish(self, timeout: float = 60) -> CliResult:
        """Waits for its end; past the timeout kills all of it and raises AssertionError with what it said."""
        try:
            code = self.process.wait(scaled(timeout))
        except subprocess.TimeoutExpired:
            told = self.told()
            self.kill()
            raise AssertionError(f"still running after {scaled(timeout):g} s, killed\n{told}") from None
        result = CliResult(self.command, code, self.stdout(), self.stderr(), self.pid, self.mark)
        self._close()
        return result

    def stop(self, timeout: float = 5) -> None:
        """Ends the process with SIGTERM, and with SIGKILL it and its descendants if that does not do."""
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(scaled(timeout))
        self.kill()

    def kill(self) -> None:
        for process in leftovers(self.pid, self.mark):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(scaled(10))
        self._close()

    def told(self) -> str:
        return f"$ {' '.join(self.command)}\n--- stdout\n{self.stdout()}\n--- stderr\n{self.stderr()}"

    def _close(self) -> None:
        self._out.close()
        self._err.close()
        with contextlib.suppress(ValueError):
            Running.live.remove(self)


class CliResult(subprocess.CompletedProcess[str]):
    """A command that ended; `session` and `mark` find what it left running (`no_leftovers`)."""

    def __init__(self, args: list[str], code: int, stdout: str, stderr: str, session: int, mark: str) -> None:
        super().__init__(args, code, stdout, stderr)
        self.session = session
        self.mark = mark

    def json(self) -> Any:
        """Standard output, which must be exactly one JSON document."""
        return json.loads(self.stdout)


def start_cli(*args: str, env: Mapping[str, str] | None = None, cwd: Path | str | None = None) -> Running:
    """`wsbench ARGS`, running; the caller ends it with `finish()` or `stop()`."""
    return Running([sys.executable, "-m", "wsbench", *args], env=env, cwd=cwd)


def run_cli(
    *args: str, timeout: float = 60, env: Mapping[str, str] | None = None, cwd: Path | str | None = None
) -> CliResult:
    """`wsbench ARGS`, finished. Past `timeout` (s) it and all it started are killed: AssertionError with its output.

    Args:
        env: added to this process's environment.
    """
    return start_cli(*args, env=env, cwd=cwd).finish(timeout)


def leftovers(session: int, mark: str = "") -> list[psutil.Process]:
    """Live processes of a session or its group, or with our mark in their environment, which setsid does not shed."""
    return [process for process in psutil.process_iter() if _belongs(process, session, mark)]


def _belongs(process: psutil.Process, session: int, mark: str) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False  # it has ended; its parent, not wsbench, owes it a wait
        if session in (os.getsid(process.pid), os.getpgid(process.pid)):
            return True
        return bool(mark) and process.environ().get(_MARK) == mark
    except (psutil.Error, OSError):
        return False


def no_leftovers(result: CliResult | Running | int, *, grace: float = 2) -> None:
    """Asserts that nothing a command started is left, `grace` seconds after its end; kills what is, for later tests.

    Args:
        result: what `run_cli` gave; or a session's (or process group's) id.
    """
    session, mark = _session(result)
    deadline = time.monotonic() + scaled(grace)
    while (left := leftovers(session, mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    described = []
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            described.append(f"{process.pid}: {' '.join(process.cmdline())}")
            process.kill()
    assert not described, "still running:\n" + "\n".join(described)


def _session(result: CliResult | Running | int) -> tuple[int, str]:
    if isinstance(result, int):
        return result, ""
    return (result.session if isinstance(result, CliResult) else result.pid), result.mark


def start_server(*command: str, timeout: float = 15) -> tuple[Running, str]:
    """Start a server and wait until it is ready; return it and its ws:// URL.

    Args:
        command: name of a module (helpers.… or benchmarks.…) or absolute path of a program, and its options.
    """
    program = [*command] if Path(command[0]).is_absolute() else [sys.executable, "-m", *command]
    server = Running(program, env={"PYTHONPATH": _MODULES}, cwd=TESTS)
    try:
        return server, server.wait_for(r"^listening on (ws\S+)", timeout)[1]
    except BaseException:
        server.stop()
        raise


def http_json(url: str, path: str) -> Any:
    """GET `path` from the server of a ws:// or http:// URL."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever http_proxy says
    with direct.open(f"http://{urlsplit(url).netloc}{path}", timeout=scaled(10)) as answer:
        return json.load(answer)


def _content(file: Any) -> str:
    """All of it so far. By pread: the child writes through the same open file, whose position must stay its own."""
    size = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), size, 0).decode(errors="replace")
