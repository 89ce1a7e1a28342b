"""Who sends more at once than is worked off in one go waits for its turn, of which there is one an event loop's round.

So a client that floods the target takes from the others the time of one turn, and ten that do take no more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

TURN_NS = 250_000
"""How long a turn lasts, but for the slice that is under way."""
MOST_AT_ONCE = 8 * 1024
"""Bytes that need no turn: they are worked off as they come."""
MOST_A_ROUND = 64 * 1024
"""Bytes: who has sent so much in one piece is not read from again in this round, in which event loops would go on."""
LEAST_SLICE, MOST_SLICE = 1024, 32 * 1024
"""Bytes. Small, since there may be a hundred messages in them; larger within a message, where nothing is to be done."""


class Turns:
    """The turns of one worker, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()

    def ask(self, turn: Callable[[], None]) -> None:
        """Have `turn` called when it is its turn."""
        self._waiting.append(turn)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        turn = self._waiting.popleft()
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._next)
        turn()
