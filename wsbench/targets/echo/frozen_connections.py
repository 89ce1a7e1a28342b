"""Open connections are kept from the garbage collector, which would examine all of them again and again.

While 10,000 connections open, that took a fifth of a worker's CPU, and stopped it for 0.3 s at a time.
"""

from __future__ import annotations

import asyncio
import gc
from typing import NoReturn

from wsbench.targets.echo.counters import CLOSED, OPENED

_LOOK_S = 1.0
_FEW = 100
"""Fewer new connections are not worth a freeze; fewer closed ones leave too little garbage to look for."""
_MANY = 1000


class FrozenConnections:
    """Freezes what exists (`gc.freeze`) while connections open, and collects garbage when many have closed.

    `cells` are the worker's counters.
    """

    def __init__(self, cells: memoryview) -> None:
        self._cells = cells
        self._opened = self._open = 0
        self._collected_at = self._closed = 0

    async def watch(self) -> NoReturn:
        """Look once a second."""
        while True:
            await asyncio.sleep(_LOOK_S)
            self.look()

    def look(self) -> None:
        """Freeze, or collect garbage, if enough connections have opened or closed since the last time.

        A collection stops the worker for 0.1 ms a connection. So it waits until no more close, or until a server that
        is never calm has as much garbage as twice the open connections.
        """
        opened, closed = self._cells[OPENED], self._cells[CLOSED]
        gone, calm, self._closed = closed - self._collected_at, closed == self._closed, closed
        if (calm and gone > _FEW + opened - closed) or gone > 2 * max(self._open, _MANY):
            self._collected_at = closed
            gc.unfreeze()
            gc.collect()
            gc.freeze()
        elif opened - self._opened >= _FEW:
            self._opened, self._open = opened, opened - closed
            gc.freeze()
