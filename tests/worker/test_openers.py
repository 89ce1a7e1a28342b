"""Openers call functions in order, in a bounded number of greenlets."""

from __future__ import annotations

from functools import partial

import gevent
from gevent.event import Event

from wsbench.worker.openers import Openers


def test_at_most_so_many_open_at_once_and_in_order() -> None:
    openers, begun, go_on = Openers(3), list[int](), Event()

    def opening(number: int) -> None:
        begun.append(number)
        go_on.wait()

    for number in range(7):
        openers.append(partial(opening, number))
    gevent.sleep(0.01)
    assert begun == [0, 1, 2]
    go_on.set()
    gevent.sleep(0.01)
    assert begun == list(range(7))


def test_those_after_one_that_fails_are_called_too() -> None:
    openers, done = Openers(1), Event()

    def fail() -> None:
        raise LookupError("of the test")

    openers.append(fail)
    openers.append(done.set)
    assert done.wait(timeout=10)
