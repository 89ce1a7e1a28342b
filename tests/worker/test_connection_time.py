"""Connection time: what was open, what was away, and when nothing was open."""

from __future__ import annotations

import pytest
from helpers.driver import LoggedDriver

from wsbench.worker.connection_time import ConnectionTime


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def counted(clock: Clock) -> ConnectionTime:
    return ConnectionTime(clock)


def test_a_connection_counts_from_its_opening_on(clock: Clock, counted: ConnectionTime) -> None:
    clock.now = 50  # the first attempt took that long
    assert counted.opened(LoggedDriver()) is None
    clock.now = 80
    assert counted.totals() == {"open_ns": 30, "away_ns": 0, "connections_wanted": 1}


def test_a_dropped_connection_is_away_until_it_is_open_again(clock: Clock, counted: ConnectionTime) -> None:
    driver = LoggedDriver()
    counted.opened(driver)
    clock.now = 10
    counted.dropped(driver)
    clock.now = 17
    assert counted.totals() == {"open_ns": 10, "away_ns": 7, "connections_wanted": 1}
    clock.now = 30
    assert counted.opened(driver) == 20
    clock.now = 35
    assert counted.totals() == {"open_ns": 15, "away_ns": 20, "connections_wanted": 1}
    assert counted.end() == 0


def test_one_that_does_not_come_back_is_away_until_the_end(clock: Clock, counted: ConnectionTime) -> None:
    back, gone = LoggedDriver(), LoggedDriver()
    for driver in (back, gone):
        counted.opened(driver)
    clock.now = 10
    for driver in (back, gone):
        counted.dropped(driver)
    clock.now = 15
    counted.opened(back)
    clock.now = 100
    assert counted.end() == 1
    clock.now = 999
    assert counted.totals() == {"open_ns": 20 + 85, "away_ns": 5 + 90, "connections_wanted": 1}


def test_one_that_was_never_open_is_away_and_is_none_that_did_not_come_back(
    clock: Clock, counted: ConnectionTime
) -> None:
    counted.failed(LoggedDriver())
    clock.now = 40
    assert counted.totals()["away_ns"] == 40
    assert counted.end() == 0


def test_what_was_closed_on_purpose_is_not_wanted(clock: Clock, counted: ConnectionTime) -> None:
    closed, left_while_away, tried_once = LoggedDriver(), LoggedDriver(), LoggedDriver()
    counted.opened(closed)
    counted.opened(left_while_away)
    counted.failed(tried_once)
    counted.dropped(left_while_away)
    clock.now = 10
    for driver in (closed, left_while_away, tried_once):
        counted.released(driver)
    counted.closed()
    clock.now = 99
    assert counted.totals() == {"open_ns": 10, "away_ns": 20, "connections_wanted": 0}
    assert counted.outages() == []
    assert counted.end() == 0


def test_what_ends_in_the_drain_is_no_outage(clock: Clock, counted: ConnectionTime) -> None:
    dropped, closed = LoggedDriver(), LoggedDriver()
    counted.opened(dropped)
    counted.opened(closed)
    counted.end()
    clock.now = 10
    counted.dropped(dropped)
    counted.failed(LoggedDriver())
    counted.closed()
    clock.now = 20
    assert counted.totals() == {"open_ns": 0, "away_ns": 0, "connections_wanted": 0}
    assert counted.outages() == []


def test_an_outage_lasts_while_not_one_is_open(clock: Clock, counted: ConnectionTime) -> None:
    first, second = LoggedDriver(), LoggedDriver()
    counted.opened(first)
    counted.opened(second)
    counted.dropped(first)
    clock.now = 10
    counted.dropped(second)
    clock.now = 25
    assert counted.outages() == [(10, 25)], "one that goes on is reported, too"
    counted.opened(first)
    clock.now = 40
    assert counted.outages() == [(10, 25)]
    counted.dropped(first)
    clock.now = 70
    counted.end()
    clock.now = 80
    assert counted.outages() == [(10, 25), (40, 70)]


def test_there_is_no_outage_before_the_first_connection_is_open(clock: Clock, counted: ConnectionTime) -> None:
    counted.failed(LoggedDriver())
    clock.now = 10
    counted.opened(LoggedDriver())
    assert counted.outages() == []
    counted.closed()
    clock.now = 15
    assert counted.outages() == [(10, 15)], "that which could not be opened is still wanted"


def test_of_many_outages_the_longest_are_kept(clock: Clock, counted: ConnectionTime) -> None:
    driver = LoggedDriver()
    for length in (500, *range(1, 300)):
        counted.opened(driver)
        counted.dropped(driver)
        clock.now += length
    counted.opened(driver)
    lengths = sorted(end - start for start, end in counted.outages())
    assert lengths == [*range(201, 300), 500]
