"""Running Locust in a process of its own: start it, follow its progress, pass Ctrl-C on, read the result back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

import msgspec

from wsbench import machine
from wsbench.errors import ExitCode, Side, UsageError, WsbenchError
from wsbench.load.launch import FAILURE_FILE, Failure, Launch, Progress, TargetInfo
from wsbench.results import LOG_FILE, Run, Staging, load

_ONE_PRESS_S = 1.0
"""timeout(1), for one, sends its signal to the process and to its group: that is one wish, not two."""


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        run: the result; `path` is its directory.
        interrupted: the user pressed Ctrl-C.
    """

    run: Run
    path: Path
    interrupted: bool


class Interruptions:
    """Turns SIGINT and SIGTERM into calls, for as long as the context lasts; the second one kills."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._before: dict[int, Any] = {}
        self._last = 0.0
        self.count = 0

    def __enter__(self) -> Interruptions:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: Any) -> None:  # noqa: ARG002 - a handler's signature
        now = time.monotonic()
        if self.count and now - self._last < _ONE_PRESS_S:
            return
        self._last = now
        self.count += 1
        if self._process.poll() is None:
            if self.count == 1:
                self._process.terminate()
            else:
                os.killpg(self._process.pid, signal.SIGKILL)


def ignore_interruptions() -> None:
    """From now on: one was enough, and what is left to do takes but a moment."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM stops what makes many runs as Ctrl-C does: by one KeyboardInterrupt."""
    before = {number: signal.signal(number, _interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: Any) -> NoReturn:  # noqa: ARG001 - a handler's signature
    ignore_interruptions()
    raise KeyboardInterrupt


def run_locust(
    arguments: Sequence[str],
    *,
    staging: Staging,
    command: list[str],
    target: TargetInfo | None,
    on_progress: Callable[[Progress], None],
) -> Ended:
    """Run Locust with wsbench's plugin until it is done.

    Raises:
        WsbenchError: nothing could be measured, with the reason that the process left; or it broke.
    """
    reading, writing = os.pipe()
    launch = Launch(str(staging.path.absolute()), command, target, progress_fd=writing)
    with (staging.path / LOG_FILE).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "locust", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **launch.environment()},
            pass_fds=(writing,),
            # Ctrl-C in the terminal reaches only us: the workers are the master's to stop.
            start_new_session=True,
        )
    os.close(writing)
    with Interruptions(process) as interruptions, machine.in_background():
        follower = threading.Thread(target=_follow, args=(os.fdopen(reading, "rb"), on_progress), daemon=True)
        follower.start()
        try:
            process.wait()
        finally:
            _end_group(process)
        follower.join(1.0)
    return _ended(staging, process.returncode, interrupted=interruptions.count > 0)


def _ended(staging: Staging, code: int, *, interrupted: bool) -> Ended:
    if staging.final.is_dir():
        return Ended(load(staging.final), staging.final, interrupted)
    try:
        if interrupted:
            raise Interrupted
        raise _failure(staging, code)
    finally:
        staging.discard()


class Interrupted(WsbenchError):
    """Ended by the user before anything could be measured."""

    exit_code = ExitCode.INTERRUPTED

    def __init__(self) -> None:
        super().__init__("interrupted before anything was measured", kind="interrupted")


def _failure(staging: Staging, code: int) -> WsbenchError:
    try:
        told = msgspec.json.decode((staging.path / FAILURE_FILE).read_bytes(), type=Failure)
    except (OSError, msgspec.MsgspecError):
        return _broken(staging, code)
    if told.usage:
        return UsageError(told.what, remedy=told.remedy)
    return WsbenchError(told.what, remedy=told.remedy, side=Side(told.side), kind=told.kind)


def _broken(staging: Staging, code: int) -> WsbenchError:
    """Locust ended without our plugin's having a say: mostly by a scenario that it could not load."""
    log = (staging.path / LOG_FILE).read_text(errors="replace").strip()
    last = log.splitlines()[-1].strip() if log else "nothing"
    if "Ramping to" in log:
        return WsbenchError(f"Locust ended with exit code {code} and left no result: {last}")
    if "unrecognized arguments" in log:
        last = "it has no user of wsbench (from wsbench import EchoUser)"
    return UsageError(f"the scenario cannot be run: {last}", remedy="`locust -f FILE --host URL` shows all of it.")


def _follow(pipe: IO[bytes], on_progress: Callable[[Progress], None]) -> None:
    decoder = msgspec.json.Decoder(Progress)
    with pipe:
        for line in pipe:
            on_progress(decoder.decode(line))


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Nothing of it may be left, whatever happened to its master."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def free_port() -> int:
    """A TCP port of loopback that nobody uses right now, for Locust's master."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
