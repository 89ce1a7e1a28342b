"""Pauses before attempts to reopen a connection."""

from __future__ import annotations

import pytest

from wsbench.worker.back_off import BackOff


class Clock:
    """A clock that stands still until a test sets it."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def check_pauses(back_off: BackOff, *centres_s: float) -> None:
    for centre_s in centres_s:
        assert 0.5 * centre_s <= back_off.pause_s() <= 1.5 * centre_s


def test_the_pauses_double_up_to_five_seconds(clock: Clock) -> None:
    check_pauses(BackOff(clock), 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5)


def test_a_long_outage_does_not_shorten_the_pauses(clock: Clock) -> None:
    back_off = BackOff(clock)
    check_pauses(back_off, 0.1, 0.2, 0.4)
    clock.now_s += 3600
    check_pauses(back_off, 0.8, 1.6)


@pytest.mark.parametrize(("lasted_s", "next_s"), [(0.0, 0.8), (4.9, 0.8), (5.0, 0.1), (3600.0, 0.1)])
def test_only_a_connection_that_lasted_shortens_the_next_pause(clock: Clock, lasted_s: float, next_s: float) -> None:
    back_off = BackOff(clock)
    check_pauses(back_off, 0.1, 0.2, 0.4)
    back_off.opened()
    clock.now_s += lasted_s
    check_pauses(back_off, next_s, 2 * next_s)


def test_every_pause_differs(clock: Clock) -> None:
    assert len({BackOff(clock).pause_s() for _ in range(20)}) > 10


def test_no_attempt_comes_earlier_than_the_server_asked(clock: Clock) -> None:
    for _ in range(20):
        assert 30 < BackOff(clock).pause_s(30) <= 30.15
