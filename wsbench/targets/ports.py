"""Free ports, for servers that cannot choose one themselves."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TypeVar

from wsbench.errors import TargetError

HOST = "127.0.0.1"
_ATTEMPTS = 3
_Started = TypeVar("_Started")


def on_a_free_port(start: Callable[[int], _Started]) -> _Started:
    """Return `start(port)` for a free port; try another when its TargetError states that the port is in use."""
    for left in reversed(range(_ATTEMPTS)):
        try:
            return start(_free_port())
        except TargetError as exc:
            if not left or "in use" not in str(exc).lower():
                raise
    raise AssertionError


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
