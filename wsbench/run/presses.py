"""Presses of Ctrl-C: one press can be more than one signal."""

from __future__ import annotations

import time

_ONE_PRESS_S = 1.0


class Presses:
    """Counter of the user's presses of Ctrl-C so far.

    Signals within a second are one press: timeout(1) signals its child and then the child's process group.
    """

    def __init__(self, one_press_s: float = _ONE_PRESS_S) -> None:
        self._one_press_s = one_press_s
        self.count = 0
        self._last_s = 0.0

    def signal(self) -> bool:
        """Count a signal; return whether it is a new press."""
        now_s = time.monotonic()
        if self.count and now_s - self._last_s < self._one_press_s:
            return False
        self._last_s = now_s
        self.count += 1
        return True
