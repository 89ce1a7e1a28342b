"""Runs a program, and stops it with all its descendants when the parent process ends.

    python -m wsbench.targets.guard PROGRAM [ARGUMENT...]

On SIGTERM, and when standard input (a pipe that the parent holds open) ends, the guard stops the program. After the
program's end it kills all descendants of it. The guard's exit code, or signal, is the program's.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import NoReturn

from wsbench.machine import raise_descriptor_limit

_KILL_AFTER_S = 2.0
_NOT_FOUND = 127
# linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


class _StopError(Exception):
    """SIGTERM was received."""


def main(command: Sequence[str]) -> NoReturn:
    """Run `command`, and exit with its exit code or signal."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)  # the program's orphans become the guard's children, even if they detach
    raise_descriptor_limit()  # which the program inherits
    # blocked until there is a program to stop
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    signal.signal(signal.SIGTERM, _stop)
    try:
        program = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_in_the_child)  # noqa: PLW1509  # no thread yet
    except OSError as exc:
        print(f"{command[0]}: {exc.strerror}", file=sys.stderr)
        sys.exit(_NOT_FOUND)
    threading.Thread(target=_watch_lifeline, daemon=True).start()
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        program.wait()
    except _StopError:
        _end(program)
    _kill_descendants()
    if program.returncode < 0:
        _die_of(signal.Signals(-program.returncode))
    sys.exit(program.returncode)


def _in_the_child() -> None:
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # in case the guard is killed
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])


def _prctl(option: int, value: int) -> None:
    """Call prctl(2) on Linux. On other systems only the process group remains, which `Child.stop` kills."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _stop(_signum: int, _frame: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _StopError


def _watch_lifeline() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _end(program: subprocess.Popen[bytes]) -> None:
    program.terminate()
    try:
        program.wait(_KILL_AFTER_S)
    except subprocess.TimeoutExpired:
        program.kill()
        program.wait()


def _kill_descendants() -> None:
    import psutil  # noqa: PLC0415  # saves its memory until it is needed, at the end

    while left := psutil.Process().children(recursive=True):
        for process in left:
            process.kill()
        psutil.wait_procs(left, timeout=_KILL_AFTER_S)


def _die_of(number: signal.Signals) -> None:
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


if __name__ == "__main__":
    main(sys.argv[1:])
