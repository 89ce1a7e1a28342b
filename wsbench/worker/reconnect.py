"""Opening a dropped connection again: with a pause that grows, and jitter, as long as the run goes on."""

from __future__ import annotations

import random
from collections.abc import Callable

import gevent

from wsbench.errors import ConnectError
from wsbench.websocket.connect_options import ConnectOptions
from wsbench.worker.driver import Driver
from wsbench.worker.engine import Engine

_FIRST_S = 0.1
_MOST_S = 5.0


def reconnect(
    engine: Engine,
    driver: Driver,
    options: ConnectOptions | None = None,
    *,
    wanted: Callable[[], bool] = lambda: True,
) -> bool:
    """Open the driver's connection again, from a greenlet; False when the run is over first, or it is not wanted."""
    pause_s = _FIRST_S
    while not engine.finished.is_set():
        # Jitter, so that thousands of dropped connections do not come back in the same instant.
        gevent.sleep(pause_s * random.uniform(0.5, 1.5))
        if not wanted():
            return False
        try:
            engine.connections.connect(driver, again=True, options=options)
        except ConnectError:
            pause_s = min(pause_s * 2, _MOST_S)
        else:
            return True
    return False
