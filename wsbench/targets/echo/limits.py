"""What one worker lets its clients use of it: sockets, connections, memory."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

from wsbench.targets.echo.counters import BUFFERED, CLOSED, OPENED, Counters
from wsbench.targets.echo.fair_queue import Turns
from wsbench.targets.echo.serve_options import MAX_WORKERS, EchoOptions
from wsbench.units import NS_PER_S

if TYPE_CHECKING:
    from wsbench.targets.echo.accept import OpeningConnection
    from wsbench.targets.echo.backpressure import FlowConnection

_OWN_FILES = 64 + MAX_WORKERS
"""Descriptors that a worker needs for itself: its sockets to the other workers, pipes, libraries."""
_SPARE_SOCKETS = 192
"""Of those open files allow: for handshakes, /stats and /healthz, when connections have taken all others."""


class Quota:
    """The limits of one worker, and what its clients use at this moment.

    Attributes:
        cells: the worker's row of counters.
        live: every connection that has a socket, kept up to date by the connections themselves.
        opening: those of them whose request is not here yet, the oldest first.
        holders: those of them for which something is buffered, but for those that have been asked to go.
        turns: for those that send more at once than is worked off in one go.
        handshake_timeout_s, write_timeout_s: as in `EchoOptions`, in seconds.
    """

    def __init__(self, options: EchoOptions, counters: Counters, worker: int) -> None:
        open_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.cells = counters.row(worker)
        self.live: set[OpeningConnection] = set()
        self.opening: dict[OpeningConnection, None] = {}
        self.holders: set[FlowConnection] = set()
        self._going: set[FlowConnection] = set()
        self.turns = Turns()
        self.handshake_timeout_s = options.handshake_timeout_ns / NS_PER_S
        self.write_timeout_s = options.write_timeout_ns / NS_PER_S
        self._counters = counters
        self._max_sockets = max(open_files - _OWN_FILES, open_files // 2)
        self._max_own = self._max_sockets - min(_SPARE_SOCKETS, self._max_sockets // 4)
        self._max_connections = options.max_connections or self._max_own * options.workers
        self._max_buffered = max(options.max_buffered // options.workers, 1)

    def admit(self) -> bool:
        """Count one more open connection, if there may be one."""
        cells = self.cells
        # counted before the sum is taken: of two workers that take the last place at once, none may go over the limit
        cells[OPENED] += 1
        if (
            self._counters.connections_open() <= self._max_connections
            and cells[OPENED] - cells[CLOSED] <= self._max_own
        ):
            return True
        cells[OPENED] -= 1
        return False

    def crowded_out(self) -> OpeningConnection | None:
        """Who has to go now that there is a socket more: the oldest that has not yet sent its request; else nobody."""
        if len(self.live) <= self._max_sockets:
            return None
        return next(iter(self.opening), None)

    def hold(self, connection: FlowConnection, more: int) -> FlowConnection | None:
        """Buffer so many bytes more (or fewer) for a connection; who has to go for it: who holds most, or nobody.

        Who has to go is named once, until it is told that it `stays`, or holds nothing any more.
        """
        cells = self.cells
        cells[BUFFERED] += more
        if not connection.held:
            self.holders.discard(connection)
            self._going.discard(connection)
        elif connection not in self._going:
            self.holders.add(connection)
        if more <= 0 or cells[BUFFERED] <= self._max_buffered:
            return None
        if cells[BUFFERED] - sum(leaving.held for leaving in self._going) <= self._max_buffered:
            return None  # there will be room at once
        heaviest = max(self.holders, key=lambda holder: holder.held, default=None)
        if heaviest is not None:
            self.holders.remove(heaviest)
            self._going.add(heaviest)
        return heaviest

    def stays(self, connection: FlowConnection) -> None:
        """It has given back what it could, for now: what it still holds counts again like anybody's."""
        self._going.discard(connection)
        if connection.held:
            self.holders.add(connection)
