"""Name resolution with a cache for the life of the process."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from gevent import socket as green

from wsbench.websocket.connect_errors import unknown_host


class Resolver:
    """Resolves each name once a process: a load test must not measure (or flood) the name server."""

    def __init__(self) -> None:
        self._cache: dict[tuple[str, int], Sequence[Any]] = {}

    def addresses(self, host: str, port: int) -> Sequence[Any]:
        """Return `getaddrinfo` for TCP; raise ConnectError if the name is unknown."""
        key = (host, port)
        if key not in self._cache:
            try:
                self._cache[key] = _numeric(host, port) or green.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError) as error:
                raise unknown_host(host, error) from error
        return self._cache[key]


def _numeric(host: str, port: int) -> Sequence[Any]:
    """Return the address if `host` is one already; this needs no name server, and so no thread."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return ()
