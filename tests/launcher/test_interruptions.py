"""SIGINT, SIGTERM and SIGHUP while runs are made."""

from __future__ import annotations

import signal

import pytest

from wsbench.launcher.interruptions import counting_presses, interruptible
from wsbench.run import presses


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_second_press_does_not_disturb_what_the_first_set_off(number: signal.Signals) -> None:
    before, count = signal.getsignal(number), 0
    with interruptible():
        for _ in range(2):
            try:
                signal.raise_signal(number)
            except KeyboardInterrupt:
                count += 1
    assert count == 1
    assert signal.getsignal(number) is before


def test_nohup_is_respected() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible(), counting_presses(lambda _: None) as counted:
            signal.raise_signal(signal.SIGHUP)
            assert counted.count == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_signals_within_a_second_are_one_press() -> None:
    before, calls = signal.getsignal(signal.SIGINT), list[int]()
    with counting_presses(calls.append) as counted:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        assert (calls, counted.count) == ([1], 1)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_later_signal_is_another_press() -> None:
    counter = presses.Presses(one_press_s=0)
    assert (counter.signal(), counter.signal(), counter.count) == (True, True, 2)
