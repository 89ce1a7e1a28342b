"""Work on many drivers in small steps, so that it delays no message that is due."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import gevent

from wsbench.measure.recorder import Recorder
from wsbench.worker.driver import Driver

_RESUMED_AT_A_TIME = 64


def yield_control() -> None:
    """Run other greenlets, and let the hub look at its sockets: after a sleep of 0, gevent would not."""
    gevent.sleep(0.001)


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
