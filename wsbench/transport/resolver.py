"""Name resolution."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any

from gevent import monkey
from gevent import socket as green

Address = tuple[Any, ...]
"""An entry of `getaddrinfo`: family, type, protocol, canonical name, socket address."""

_getaddrinfo: Callable[..., Sequence[Any]] = monkey.get_original("socket", "getaddrinfo")


def look_up(host: str, port: int) -> Sequence[Address]:
    """Return the addresses of a host for TCP in the order of RFC 6724, each once.

    Raise OSError or UnicodeError if there is none.
    """
    return list(dict.fromkeys(_numeric(host, port) or green.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


def _numeric(host: str, port: int) -> Sequence[Address]:
    """Return the address if `host` is one already; this needs no name server, and so no thread."""
    try:
        return _getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return ()
