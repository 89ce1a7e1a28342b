"""The Locust process of a run: start it, follow its progress, pass Ctrl-C on, read the result back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec
import psutil
from msgspec.structs import replace

from wsbench import machine
from wsbench.errors import Side, UsageError, WsbenchError
from wsbench.launcher.interruptions import Interrupted, counting_presses
from wsbench.results.directory import LOG_FILE, Staging
from wsbench.results.run_result import Run, load
from wsbench.run.handoff import FAILURE_FILE, VARIABLE, Failure, Handoff, NotStored, Progress
from wsbench.run.option_table import OPTIONS

_FOLLOWER_PATIENCE_S = 10.0
_OUR_OPTIONS = frozenset(option.env for option in OPTIONS)
_OF_WEB_UI = ("LOCUST_WEB_", "LOCUST_TLS_")


@dataclass(frozen=True)
class FinishedRun:
    """A run that has ended.

    Attributes:
        run: the result; `path` is its directory, None if it could not be stored.
        interrupted: the user pressed Ctrl-C.
        not_stored: why it was not stored.
        scenario_code: the exit code that the scenario has set (`environment.process_exit_code`); 0 if it has not.
    """

    run: Run
    path: Path | None
    interrupted: bool
    not_stored: WsbenchError | None = None
    scenario_code: int = 0


def run_locust(
    arguments: Sequence[str],
    *,
    staging: Staging,
    handoff: Handoff,
    on_progress: Callable[[Progress], None],
    patience_s: float,
) -> FinishedRun:
    """Run Locust until it ends. Workers that outlive their master have `patience_s` to save their results.

    Raise WsbenchError if there is no result, with the reason that the process left.
    """
    reading, writing = os.pipe()
    changed = replace(handoff, progress_fd=writing, arguments=[*arguments])
    with (staging.path / LOG_FILE).open("ab") as log, changed.file() as handed_over:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "wsbench.locust_plugin.launched"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**_environment(web=handoff.options is None), VARIABLE: str(handed_over)},
            pass_fds=(writing, handed_over),
            # Ctrl-C in the terminal reaches only this process: the master stops its workers.
            start_new_session=True,
        )
    os.close(writing)
    not_stored: list[NotStored] = []

    def stop(press: int) -> None:
        if process.poll() is not None:
            return
        if press == 1:
            process.terminate()
        else:
            os.killpg(process.pid, signal.SIGKILL)

    with counting_presses(stop) as presses, machine.in_background():
        follower = threading.Thread(
            target=_follow, args=(os.fdopen(reading, "rb"), on_progress, not_stored.append), daemon=True
        )
        follower.start()
        try:
            if process.wait() < 0 and not presses.count:
                _await_orphans(process.pid, patience_s, lambda: presses.count > 0)
        finally:
            _end_group(process)
        follower.join(_FOLLOWER_PATIENCE_S)
    interrupted = presses.count > 0
    if not_stored:
        [message] = not_stored
        error = WsbenchError(message.what, remedy=message.remedy, kind="not-stored")
        return FinishedRun(message.run, None, interrupted, error)
    return _ended(staging, process.returncode, presses.count)


def _environment(*, web: bool) -> dict[str, str]:
    """Return our environment without options: the launcher has read its own, and those of Locust are for plain Locust.

    With `web`, the variables of Locust's web UI stay.
    """

    def is_option(name: str) -> bool:
        return name in _OUR_OPTIONS or (name.startswith("LOCUST_") and not (web and name.startswith(_OF_WEB_UI)))

    return {name: value for name, value in os.environ.items() if not is_option(name)}


def _ended(staging: Staging, code: int, presses: int) -> FinishedRun:
    if staging.final.is_dir():
        return FinishedRun(load(staging.final), staging.final, presses > 0, scenario_code=max(0, code))
    try:
        if presses:
            raise Interrupted(presses)
        raise _killed(staging, -code) if code < 0 else _failure(staging, code)
    finally:
        staging.discard()


def _killed(staging: Staging, number: int) -> WsbenchError:
    """Return the error of a Locust, or of a master of its processes, that a signal killed."""
    what = f"Locust was killed by {signal.Signals(number).name}: there is no result"
    left = sorted(str(path) for path in staging.path.parent.glob(f"{staging.run_id}-worker-*"))
    if left:
        return WsbenchError(what, remedy=f"What its workers measured is in {', '.join(left)}.")
    return WsbenchError(what, remedy="If you did not kill it, the machine ran out of memory: see the kernel's log.")


def _await_orphans(group: int, patience_s: float, hurried: Callable[[], bool]) -> None:
    """Wait while workers whose master was killed save what they measured."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline and not hurried() and any(_of_group(group)):
        time.sleep(0.1)


def _of_group(group: int) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                yield process
        except (OSError, psutil.Error):
            continue


def _failure(staging: Staging, code: int) -> WsbenchError:
    """Return the failure that the Locust process left; what is known without it, if that process was cut short."""
    try:
        failure = msgspec.json.decode((staging.path / FAILURE_FILE).read_bytes(), type=Failure)
    except (OSError, msgspec.MsgspecError):
        if not staging.path.is_dir():
            return WsbenchError(f"the result is gone: {staging.path}", remedy="Something removed it during the run.")
        return WsbenchError(f"Locust ended with exit code {code} and left no result: {_last_line(staging)}")
    if failure.usage:
        return UsageError(failure.what, remedy=failure.remedy)
    return WsbenchError(failure.what, remedy=failure.remedy, side=Side(failure.side), kind=failure.kind)


def _last_line(staging: Staging) -> str:
    try:
        lines = (staging.path / LOG_FILE).read_text(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1].strip() if lines else "its log is empty"


def _follow(
    pipe: IO[bytes], on_progress: Callable[[Progress], None], on_not_stored: Callable[[NotStored], None]
) -> None:
    decoder: msgspec.json.Decoder[Progress | NotStored] = msgspec.json.Decoder(Progress | NotStored)
    with pipe:
        for line in pipe:
            message = decoder.decode(line)
            if isinstance(message, NotStored):
                on_not_stored(message)
            else:
                on_progress(message)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the process group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def free_port() -> int:
    """Return a free TCP port of loopback, for Locust's master."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
