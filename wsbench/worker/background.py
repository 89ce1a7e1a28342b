"""Work on many drivers in small steps, so that it delays no message that is due."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import NoReturn

import gevent

from wsbench.measure.recorder import Recorder
from wsbench.units import NS_PER_S
from wsbench.worker.driver import Driver

_SWEPT_AT_A_TIME = 100
_RESUMED_AT_A_TIME = 64


def yield_control() -> None:
    """Run other greenlets, and let the hub look at its sockets: after a sleep of 0, gevent would not."""
    gevent.sleep(0.001)


def sweep_timeouts(drivers: Mapping[Driver, None], timeout_ns: int) -> NoReturn:
    """Let each of `drivers` give up overdue messages, about twenty times per timeout; never return.

    A sweep over thousands at once would keep the pacer from its work for milliseconds.
    """
    round_s = min(max(timeout_ns / NS_PER_S / 20, 0.01), 1.0)
    while True:
        count = len(drivers)
        for batch in _batches(drivers, _SWEPT_AT_A_TIME):
            now = time.time_ns()
            for driver in batch:
                driver.expire(now)
            gevent.sleep(round_s * _SWEPT_AT_A_TIME / count)
        if count < _SWEPT_AT_A_TIME:
            gevent.sleep(round_s)


def resume_closed_loops(drivers: Iterable[Driver], recorder: Recorder) -> None:
    """Let `drivers` go on after a pause; stop when closed loops are paused again."""
    for batch in _batches(drivers, _RESUMED_AT_A_TIME):
        if not recorder.closed_loops_active:
            break
        for driver in batch:
            driver.resume()
        yield_control()


def _batches(drivers: Iterable[Driver], size: int) -> Iterator[list[Driver]]:
    """Split `drivers`, as they are now, into lists of at most `size`."""
    remaining = iter(list(drivers))
    while batch := list(islice(remaining, size)):
        yield batch
