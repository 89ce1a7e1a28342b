"""Fair scheduling: a connection with more input than one slice is queued; one runs per event-loop iteration.

So a client that floods the target costs the others one turn per iteration, and ten such clients cost no more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

TURN_NS = 250_000
"""Length of a turn, which ends with the slice that is being processed then."""
MAX_UNQUEUED_BYTES = 8 * 1024
"""Input up to this size is processed on arrival, without a turn."""
MAX_BYTES_PER_ITERATION = 64 * 1024
"""After a read of more than this, the socket is not read again in the same iteration, as event loops would do."""
MIN_SLICE, MAX_SLICE = 1024, 32 * 1024
"""Bytes. Small where a slice may hold a hundred messages; larger within one long message."""


class FairQueue:
    """Turns of one worker's connections, first in, first out."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()

    def append(self, turn: Callable[[], None]) -> None:
        """Call `turn` after those already queued."""
        self._waiting.append(turn)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        turn = self._waiting.popleft()
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._next)
        turn()
