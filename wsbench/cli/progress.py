"""Progress on standard error: one line that is kept current on a terminal, a line a phase anywhere else."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.status import Status

from wsbench.load.launch import Progress
from wsbench.units import format_count, format_duration, format_seconds


class ProgressLine:
    """Shows where a run stands. Use it as a context manager."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled
        self._console = Console(stderr=True, highlight=False)
        self._status: Status | None = None
        self._phase = ""

    def __enter__(self) -> ProgressLine:
        if self._enabled and self._console.is_terminal:
            self._status = self._console.status("starting")
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def say(self, text: str) -> None:
        """One line, whatever it is."""
        if not self._enabled:
            return
        if self._status is not None:
            self._console.print(text, markup=False)
        else:
            print(text, file=sys.stderr, flush=True)

    def update(self, progress: Progress) -> None:
        """The latest news."""
        if not self._enabled:
            return
        text = describe(progress)
        if self._status is not None:
            self._status.update(text)
        elif progress.phase != self._phase:
            print(text, file=sys.stderr, flush=True)
        self._phase = progress.phase


def describe(progress: Progress) -> str:
    """One line for a person."""
    left = f", {format_seconds(round(progress.left_ns, -9))} left" if progress.left_ns and progress.left_ns > 0 else ""
    lost = f", {format_count(progress.lost)} lost" if progress.lost else ""
    return (
        f"{progress.phase}{left}: {format_count(progress.connections)} of {format_count(progress.asked)} connections, "
        f"{format_count(progress.per_s)} replies/s, "
        f"p50 {format_duration(progress.p50_ns)}, p99 {format_duration(progress.p99_ns)}{lost}"
    )
