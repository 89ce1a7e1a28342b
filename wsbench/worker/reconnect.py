"""Reconnection after a drop, with exponential back-off and jitter, until the run ends."""

from __future__ import annotations

import random
from collections.abc import Callable

import gevent

from wsbench.errors import ConnectError
from wsbench.websocket.connect_options import ConnectOptions
from wsbench.worker.driver import Driver
from wsbench.worker.engine import Engine

_FIRST_PAUSE_S = 0.1
_MAX_PAUSE_S = 5.0


def reconnect(
    engine: Engine,
    driver: Driver,
    options: ConnectOptions | None = None,
    *,
    wanted: Callable[[], bool] = lambda: True,
) -> bool:
    """Reopen a driver's connection; blocks. Return False if the run ends first or the connection is not `wanted`."""
    pause_s = _FIRST_PAUSE_S
    while not engine.finished.is_set():
        # Jitter, so that thousands of dropped connections do not return at the same instant.
        gevent.sleep(pause_s * random.uniform(0.5, 1.5))
        if not wanted():
            return False
        try:
            engine.connections.connect(driver, again=True, options=options)
        except ConnectError:
            pause_s = min(pause_s * 2, _MAX_PAUSE_S)
        else:
            return True
    return False
