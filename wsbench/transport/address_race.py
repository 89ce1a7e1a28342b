"""Connecting to the first of several addresses that answers (RFC 8305, 5)."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import gevent

from wsbench.transport.resolver import Address

HEAD_START_S = 0.25


def first_to_accept(
    addresses: Sequence[Address], connect: Callable[[Address], Any], on_failure: Callable[[Address, OSError], None]
) -> tuple[Address, Any] | None:
    """Return the first address that accepts, and its socket; None if all fail.

    Each address has a head start before the next one is tried as well, which happens at once when it fails. `connect`
    returns a socket, or closes it and raises OSError; each address that fails is reported to `on_failure`.
    """
    if len(addresses) == 1:
        return _connect_alone(addresses[0], connect, on_failure)
    upcoming, running = deque(addresses), dict[gevent.Greenlet, Address]()
    next_start_s, latest = time.monotonic(), None
    try:
        while upcoming or running:
            left_s = next_start_s - time.monotonic()
            if upcoming and left_s <= 0:
                address = upcoming.popleft()
                latest = gevent.spawn(_outcome, connect, address)
                running[latest] = address
                next_start_s, left_s = time.monotonic() + HEAD_START_S, HEAD_START_S
            for ended in gevent.wait(list(running), left_s if upcoming else None, count=1):
                address, outcome = running.pop(ended), ended.get()
                if not isinstance(outcome, Exception):
                    return address, outcome
                if not isinstance(outcome, OSError):
                    raise outcome
                on_failure(address, outcome)
                if ended is latest:
                    next_start_s = time.monotonic()
        return None
    finally:
        _stop(list(running))


def _connect_alone(
    address: Address, connect: Callable[[Address], Any], on_failure: Callable[[Address, OSError], None]
) -> tuple[Address, Any] | None:
    """Connect in the caller's greenlet, as nearly all connections do."""
    try:
        return address, connect(address)
    except OSError as error:
        on_failure(address, error)
        return None


def _outcome(connect: Callable[[Address], Any], address: Address) -> Any:
    """Return the socket or the exception: gevent prints an exception that ends a greenlet."""
    try:
        return connect(address)
    except Exception as error:
        return error


def _stop(running: list[gevent.Greenlet]) -> None:
    """End the attempts that are left, and close the socket of one that has just succeeded."""
    gevent.killall(running)
    for greenlet in running:
        if hasattr(greenlet.value, "close"):
            greenlet.value.close()
