"""Pauses before the attempts to reopen one connection."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable

_FIRST_S, _LONGEST_S = 0.1, 5.0
_LASTING_S = 5.0


class BackOff:
    """Exponential back-off with jitter for one connection.

    A server that accepts connections and closes them at once is no better off than one that refuses them: the pauses
    grow until a connection has lasted for 5 s. Instants are of `clock`, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next_s = _FIRST_S
        self._opened_s = math.inf

    def opened(self) -> None:
        """Record that the connection is open again."""
        self._opened_s = self._clock()

    def pause_s(self, retry_after_s: float = 0.0) -> float:
        """Return the pause from now until the next attempt; the server asked for at least `retry_after_s`."""
        lasted_s, self._opened_s = self._clock() - self._opened_s, math.inf
        pause_s = _FIRST_S if lasted_s >= _LASTING_S else self._next_s
        self._next_s = min(2 * pause_s, _LONGEST_S)
        # Jitter, so that thousands of dropped connections do not return at the same instant.
        return retry_after_s + pause_s * random.uniform(0.5, 1.5)
