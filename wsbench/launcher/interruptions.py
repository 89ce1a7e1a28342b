"""SIGINT, SIGTERM and SIGHUP while runs are made."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from wsbench.errors import ExitCode, WsbenchError
from wsbench.run.presses import Presses

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(WsbenchError):
    """Ended by the user before a result was stored: before the measure phase, or by a second press."""

    exit_code = ExitCode.INTERRUPTED

    def __init__(self, presses: int = 1) -> None:
        again = presses > 1
        what = "stopped by a second Ctrl-C, without a result" if again else "interrupted before anything was measured"
        super().__init__(
            what, remedy="Press Ctrl-C once to keep what was measured." if again else "", kind="interrupted"
        )


@contextmanager
def counting_presses(on_press: Callable[[int], None]) -> Iterator[Presses]:
    """Call `on_press` with the number of each press of Ctrl-C, SIGTERM and SIGHUP, while the context lasts."""
    presses = Presses()

    def handle(number: int, frame: Any) -> None:  # noqa: ARG001 - a handler's signature
        if presses.signal():
            on_press(presses.count)

    with _handling(handle):
        yield presses


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a series of runs as Ctrl-C does: by one KeyboardInterrupt."""
    with _handling(_interrupt):
        yield


@contextmanager
def deferring_interrupt() -> Iterator[None]:
    """Raise KeyboardInterrupt for a signal only at the end of the context.

    In an import it could be lost (Python ignores exceptions where it releases a module's lock), or end Python by the
    signal although it is handled (if it strikes in `exec`, with which dataclasses are made).
    """
    caught: list[int] = []
    with _handling(lambda number, _: caught.append(number)):
        yield
    if caught:
        raise KeyboardInterrupt


def ignore_interruptions() -> None:
    """Ignore further signals: what is left to do takes a moment only."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _hangup_ignored() -> bool:
    """Return whether the process must survive its terminal, as nohup arranges it."""
    return signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def _interrupt(number: int, frame: Any) -> NoReturn:  # noqa: ARG001 - a handler's signature
    ignore_interruptions()
    raise KeyboardInterrupt


@contextmanager
def _handling(handler: Callable[[int, Any], object]) -> Iterator[None]:
    handled = [number for number in _SIGNALS if number != signal.SIGHUP or not _hangup_ignored()]
    before = {number: signal.signal(number, handler) for number in handled}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
