"""The interface through which the launcher shows progress; the command line implements it."""

from __future__ import annotations

from typing import Protocol

from wsbench.run.handoff import Progress


class Display(Protocol):
    """The display that a user watches during runs."""

    def say(self, text: str) -> None:
        """Show a line that stays on the screen."""

    def begin(self, step: str) -> None:
        """Show that a run begins, one of many."""

    def update(self, progress: Progress) -> None:
        """Show the state of the run."""
