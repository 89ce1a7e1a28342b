"""Numbers of sockets and connections that a worker of the echo target may have; without asyncio."""

from __future__ import annotations

from wsbench.targets.echo.serve_options import MAX_WORKERS

_RESERVED_FILES = 64 + MAX_WORKERS
"""Descriptors that a worker itself needs: sockets to the other workers, pipes, libraries."""
_SPARE_SOCKETS = 192
"""Sockets kept free of WebSocket connections: for handshakes, /stats and /healthz."""


def most_sockets(open_files: int) -> int:
    """Return how many sockets of clients a worker has that may open this many files."""
    return max(open_files - _RESERVED_FILES, open_files // 2)


def most_connections(open_files: int) -> int:
    """Return how many WebSocket connections a worker accepts that may open this many files."""
    sockets = most_sockets(open_files)
    return sockets - min(_SPARE_SOCKETS, sockets // 4)
