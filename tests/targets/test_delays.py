"""Late replies: the rule (exactly), and what a client sees of it (lower bounds; a busy machine has no upper ones)."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.sync.client import connect

from wsbench.targets.echo.delays import ReplyDelay, Stall, parse_stall
from wsbench.targets.embedded import EmbeddedTarget
from wsbench.units import NS_PER_MS, NS_PER_S


def test_a_stall_is_the_last_part_of_every_period() -> None:
    stall = parse_stall("1s every 5s")
    assert stall == Stall(NS_PER_S, 5 * NS_PER_S)
    seconds = [0, 3.9, 4, 4.5, 5, 8.9, 9, 9.999, 10]
    released = [stall.release_ns(round(second * NS_PER_S)) / NS_PER_S for second in seconds]
    assert released == [0, 3.9, 5, 5, 5, 8.9, 10, 10, 10]


@given(st.integers(1, 10**12), st.integers(1, 10**12), st.integers(0, 10**15))
def test_whatever_is_released_is_outside_of_a_stall(stop_ns: int, rest_ns: int, elapsed_ns: int) -> None:
    stall = Stall(stop_ns, stop_ns + rest_ns)
    released_ns = stall.release_ns(elapsed_ns)
    assert elapsed_ns <= released_ns <= elapsed_ns + stop_ns
    assert stall.release_ns(released_ns) == released_ns


@pytest.mark.parametrize(
    "text", ["", "1s", "1s each 5s", "every 5s", "5s every 5s", "6s every 5s", "0s every 5s", "1s every"]
)
def test_what_is_no_stall(text: str) -> None:
    with pytest.raises(ValueError, match=r"every|duration|shorter"):
        parse_stall(text)


def test_delay_and_stall_add_up() -> None:
    reply_delay = ReplyDelay(start_ns=1000, delay_ns=100, stall=Stall(200, 1000))
    assert reply_delay.due_ns(1000 + 100) == 1000 + 200
    assert reply_delay.due_ns(1000 + 750) == 1000 + 1000  # would leave at 850: in the stall
    assert reply_delay.due_ns(1000 + 950) == 1000 + 1050


def test_jitter_is_between_nothing_and_its_bound() -> None:
    reply_delay = ReplyDelay(start_ns=0, delay_ns=1000, jitter_ns=500)
    extra = [reply_delay.due_ns(0) - 1000 for _ in range(500)]
    assert min(extra) >= 0 and max(extra) <= 500
    assert max(extra) - min(extra) > 250


def test_every_reply_is_delayed_on_its_own(start_target: Callable[..., EmbeddedTarget]) -> None:
    """20 messages at once, 300 ms each: one after the other they would take 6 s."""
    target = start_target(delay_ns=300 * NS_PER_MS)
    with connect(target.url) as client:
        started = time.monotonic()
        for number in range(20):
            client.send(f"{number}")
        sent = time.monotonic() - started
        received = [client.recv(timeout=30)]
        assert time.monotonic() - started >= 0.3
        received += [client.recv(timeout=30) for _ in range(19)]
        assert time.monotonic() - started < 3 + sent
    assert received == [f"{number}" for number in range(20)]


def test_other_messages_pass_while_a_reply_waits(start_target: Callable[..., EmbeddedTarget]) -> None:
    target = start_target(delay_ns=2 * NS_PER_S)
    with connect(target.url) as client:
        client.send("waits")
        assert client.ping().wait(20)
        assert target.stats()["messages_in"] == 1
        assert target.stats()["messages_out"] == 0
        assert client.recv(timeout=30) == "waits"


def test_jitter_keeps_the_order(start_target: Callable[..., EmbeddedTarget]) -> None:
    target = start_target(jitter_ns=100 * NS_PER_MS)
    with connect(target.url) as client:
        for number in range(200):
            client.send(f"{number}")
        assert [client.recv(timeout=30) for _ in range(200)] == [f"{number}" for number in range(200)]


def test_nothing_leaves_during_a_stall(start_target: Callable[..., EmbeddedTarget]) -> None:
    """One round trip in each period takes as long as the stall, whichever worker serves it."""
    target = start_target(stall=parse_stall("300ms every 500ms"), workers=2)
    longest = [0.0, 0.0, 0.0, 0.0]
    for connection in range(len(longest)):
        with connect(target.url) as client:
            until = time.monotonic() + 0.6
            while time.monotonic() < until:
                sent = time.monotonic()
                client.send("x")
                client.recv(timeout=30)
                longest[connection] = max(longest[connection], time.monotonic() - sent)
    # the loop is always waiting for a reply, so it meets the whole stall but for a round trip, long as that may be
    assert min(longest) > 0.15, longest


def test_statistics_are_given_during_a_stall(start_target: Callable[..., EmbeddedTarget]) -> None:
    target = start_target(stall=parse_stall("59s every 60s"))
    with connect(target.url) as client:
        while target.stats()["uptime_s"] < 1:
            time.sleep(0.05)
        client.send("held")
        assert client.ping().wait(20)
        statistics = target.stats()
        assert (statistics["messages_in"], statistics["messages_out"]) == (1, 0)
        with pytest.raises(TimeoutError):
            client.recv(timeout=0.2)
