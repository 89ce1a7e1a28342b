"""Progress on standard error: two or three lines that are updated on a terminal, plain lines anywhere else.

The terminal is redrawn only when there is news, once a second: a thread that redraws in between would take processor
time from the generator whose progress it shows.
"""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.live import Live
from rich.text import Text

from wsbench.run.handoff import Progress
from wsbench.units import format_count, format_counted, format_duration, format_seconds

_PLAIN_EVERY_S = 60.0
"""CI servers stop a job that prints nothing for minutes."""
_STYLES = {"late": "yellow", "saturated": "bold red"}


class ProgressLine:
    """Shows the state of a run. Use it as a context manager."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled
        self._console = Console(stderr=True, highlight=False)
        self._live: Live | None = None
        self._phase = ""
        self._step = ""
        self._printed_s = 0.0

    def __enter__(self) -> ProgressLine:
        # rich takes a pipe for a terminal if FORCE_COLOR is set.
        if self._enabled and sys.stderr.isatty() and not self._console.is_dumb_terminal:
            self._live = Live(
                Text("starting"),
                console=self._console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """Print a line that stays."""
        if not self._enabled:
            return
        if self._live is not None:
            self._console.print(text, markup=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def begin(self, step: str) -> None:
        """Show which of many runs begins: in the first of the updated lines, or in the run's only line."""
        self._step = step
        if not self._enabled:
            return
        if self._live is not None:
            self._live.update(Text(step), refresh=True)
        else:
            print(step, file=sys.stderr, flush=True)
            self._printed_s = time.monotonic()

    def update(self, progress: Progress) -> None:
        """Show the latest state."""
        if not self._enabled:
            return
        for notice in () if self._phase else progress.notices:
            self.say(notice)
        new_phase = progress.phase != self._phase and not self._step
        if self._live is not None:
            self._live.update(_lines(progress, self._step), refresh=True)
        elif new_phase or time.monotonic() - self._printed_s >= _PLAIN_EVERY_S:
            print(describe(progress), file=sys.stderr, flush=True)
            self._printed_s = time.monotonic()
        self._phase = progress.phase


def describe(progress: Progress) -> str:
    """Return the state in one line."""
    left = f", {_left(progress)}" if _left(progress) else ""
    errors = f", {format_counted(progress.errors, 'error')}" if progress.errors else ""
    verdict = f", generator {progress.verdict}" if progress.verdict not in (None, "ok") else ""
    return (
        f"{progress.phase}{left}: {_connections(progress)}, "
        f"{format_count(progress.per_s)} replies/s, "
        f"p50 {format_duration(progress.p50_ns)}, p99 {format_duration(progress.p99_ns)}{errors}{verdict}"
    )


def _lines(progress: Progress, step: str = "") -> Text:
    """Return the lines for a terminal, with columns of fixed width so that figures do not move."""
    style = _STYLES.get(progress.verdict or "", "")
    lines = Text(f"{step}\n" if step else "", no_wrap=True, overflow="ellipsis")
    lines.append(f"{progress.phase:<8}", "bold cyan").append(f"{_left(progress):<12}").append(_connections(progress))
    lines.append(f"\n{format_count(progress.per_s):>9} replies/s   p50 {format_duration(progress.p50_ns):>7}   ")
    lines.append(f"p99 {format_duration(progress.p99_ns):>7}   ")
    lines.append(f"{format_counted(progress.errors, 'error')}   ", "red" if progress.errors else "")
    if progress.verdict is not None:
        lines.append(f"generator {progress.verdict}", style)
    if progress.evidence:
        lines.append(f"\n  {progress.evidence}", "dim")
    return lines


def _left(progress: Progress) -> str:
    if progress.left_ns is None or progress.left_ns <= 0:
        return ""
    return f"{format_seconds(round(progress.left_ns, -9))} left"


def _connections(progress: Progress) -> str:
    return f"{format_count(progress.connections)} of {format_count(progress.asked)} connections"
