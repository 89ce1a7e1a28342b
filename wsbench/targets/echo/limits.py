"""The limits of one worker on sockets, connections and memory, and how much of them its clients use."""

from __future__ import annotations

import resource
from typing import Protocol

from websockets.asyncio.server import ServerConnection

from wsbench.targets.echo.counters import BUFFERED, CLOSED, OPENED, Counters
from wsbench.targets.echo.fair_queue import FairQueue
from wsbench.targets.echo.serve_options import EchoOptions
from wsbench.targets.echo.socket_room import most_connections, most_sockets
from wsbench.units import NS_PER_S


class Evictable(Protocol):
    """A connection whose handshake is not complete."""

    def evict(self) -> None:
        """Refuse the connection, to free its socket."""


class Buffering(Protocol):
    """A connection for which the worker keeps bytes in memory."""

    buffered: int

    def fail_over_memory(self) -> None:
        """Close the connection and free its buffers."""


class WorkerLimits:
    """The limits of one worker, and their present use.

    Attributes:
        cells: the worker's row of counters.
        live: every connection that has a socket; the connections add and remove themselves.
        handshaking: connections whose request is not complete, oldest first.
        buffering: connections with buffered bytes, except those already asked to release them.
    """

    def __init__(self, options: EchoOptions, counters: Counters, worker: int) -> None:
        open_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.cells = counters.row(worker)
        self.live: set[ServerConnection] = set()
        self.handshaking: dict[Evictable, None] = {}
        self.buffering: set[Buffering] = set()
        self._releasing: set[Buffering] = set()
        self.fair_queue = FairQueue()
        self.handshake_timeout_s = options.handshake_timeout_ns / NS_PER_S
        self.write_timeout_s = options.write_timeout_ns / NS_PER_S
        self._counters = counters
        self._max_sockets = most_sockets(open_files)
        self._max_per_worker = most_connections(open_files)
        self._max_connections = options.max_connections or self._max_per_worker * options.workers
        self._max_buffered = max(options.max_buffered // options.workers, 1)

    def admit(self) -> bool:
        """Count one more open connection; return False, without counting it, at the limit."""
        cells = self.cells
        # Counted before the sum is read: two workers that race for the last place must not exceed the limit.
        cells[OPENED] += 1
        if (
            self._counters.connections_open() <= self._max_connections
            and cells[OPENED] - cells[CLOSED] <= self._max_per_worker
        ):
            return True
        cells[OPENED] -= 1
        return False

    def connection_to_evict(self) -> Evictable | None:
        """Return the oldest connection without a complete request when there are too many sockets, else None."""
        if len(self.live) <= self._max_sockets:
            return None
        return next(iter(self.handshaking), None)

    def add_buffered(self, connection: Buffering, change: int) -> Buffering | None:
        """Add `change` (may be negative) to the buffered bytes; return the connection that must release its own.

        That is the one with the most buffered bytes, or None below the limit. Each is returned once, until it calls
        `finish_release` or has nothing buffered.
        """
        cells = self.cells
        cells[BUFFERED] += change
        if not connection.buffered:
            self.buffering.discard(connection)
            self._releasing.discard(connection)
        elif connection not in self._releasing:
            self.buffering.add(connection)
        if change <= 0 or cells[BUFFERED] <= self._max_buffered:
            return None
        if cells[BUFFERED] - sum(releasing.buffered for releasing in self._releasing) <= self._max_buffered:
            return None  # the pending releases will suffice
        largest = max(self.buffering, key=lambda buffering: buffering.buffered, default=None)
        if largest is not None:
            self.buffering.remove(largest)
            self._releasing.add(largest)
        return largest

    def finish_release(self, connection: Buffering) -> None:
        """Count what `connection` still buffers like any other connection's."""
        self._releasing.discard(connection)
        if connection.buffered:
            self.buffering.add(connection)
