"""Closing many connections at the end of a run, for as long as the server answers."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable

import gevent

from wsbench.transport.connection import Connection
from wsbench.worker.driver import Driver

_AT_A_TIME = 256
_ALL = 10**9
_CHECK_S = 0.01


def close_all(
    drivers: Iterable[Driver],
    begin: Callable[[Driver], Connection | None],
    finish: Callable[[Connection], None],
    *,
    patience_s: float,
) -> None:
    """Run the closing handshakes of all drivers, at most 256 at a time, in this greenlet alone.

    A busy server may take minutes for tens of thousands: the patience begins anew with every answer. A server that
    answers none for `patience_s` gets all other close frames at once, and the same time for them.

    Args:
        begin: sends a driver's close frame; returns its connection, or None if it has none.
        finish: closes and counts a connection, whether or not the server has answered.
    """
    remaining, under_way = deque(drivers), list[Connection]()
    answered_s, at_a_time = time.monotonic(), _AT_A_TIME
    while remaining or under_way:
        while remaining and len(under_way) < at_a_time:
            if (connection := begin(remaining.popleft())) is not None:
                under_way.append(connection)
        gevent.sleep(_CHECK_S)
        now, waiting = time.monotonic(), [connection for connection in under_way if not connection.has_ended]
        if len(waiting) < len(under_way):
            answered_s, at_a_time = now, _AT_A_TIME
        elif now - answered_s > patience_s:
            waiting, answered_s, at_a_time = [], now, _ALL
        for connection in set(under_way).difference(waiting):
            finish(connection)
        under_way = waiting
