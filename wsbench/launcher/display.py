"""Where the launcher reports what goes on: the command line's progress line is one."""

from __future__ import annotations

from typing import Protocol

from wsbench.run.handoff import Progress


class Display(Protocol):
    """What a user watches while runs are made."""

    def say(self, text: str) -> None:
        """Show a line that stays."""

    def begin(self, step: str) -> None:
        """Show that one of many runs begins."""

    def update(self, progress: Progress) -> None:
        """Show where the run stands."""
