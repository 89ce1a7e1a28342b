"""/broadcast and /push."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.sync.client import ClientConnection, connect

from wsbench.targets.echo.handlers import Broadcast, Push
from wsbench.targets.echo.worker_links import WorkerLinks
from wsbench.targets.embedded import EmbeddedTarget


def url(target: EmbeddedTarget, path: str) -> str:
    return target.url.replace("/echo", path)


def spread(target: EmbeddedTarget, stack: ExitStack, count: int) -> list[ClientConnection]:
    return [stack.enter_context(connect(url(target, "/broadcast"), max_size=None)) for _ in range(count)]


def test_all_hear_what_one_says_on_every_worker(start_target: Callable[..., EmbeddedTarget]) -> None:
    """16 connections: that the kernel gives all of them to the same of 3 workers has odds of 1 to 10 million."""
    target = start_target(workers=3)
    with ExitStack() as stack:
        listeners = spread(target, stack, 16)
        messages: list[str | bytes] = ["first", b"\x00\xff", "ü" * 300_000, "", b""]
        for message in messages:
            listeners[0].send(message)
        for listener in listeners:
            assert [listener.recv(timeout=30) for _ in messages] == messages
        statistics = target.stats()
    assert statistics["messages_in"] == len(messages)
    assert statistics["messages_out"] == 16 * len(messages)
    assert statistics["bytes_out"] == 16 * statistics["bytes_in"] == 16 * (5 + 2 + 600_000)


def test_each_speaker_is_heard_in_order(start_target: Callable[..., EmbeddedTarget]) -> None:
    target = start_target(workers=2)
    with ExitStack() as stack:
        speakers = spread(target, stack, 4)

        def speak(number: int) -> None:
            for seq in range(50):
                speakers[number].send(f"{number} {seq}")

        threads = [threading.Thread(target=speak, args=[number]) for number in range(4)]
        for thread in threads:
            thread.start()
        heard = [[str(speaker.recv(timeout=30)).split() for _ in range(200)] for speaker in speakers]
        for thread in threads:
            thread.join()
    for listener in heard:
        for number in range(4):
            assert [int(seq) for who, seq in listener if int(who) == number] == list(range(50))


def test_who_left_hears_no_more(target: EmbeddedTarget) -> None:
    with connect(url(target, "/broadcast")) as stays:
        with connect(url(target, "/broadcast")):
            pass
        stays.send("alone")
        assert stays.recv(timeout=20) == "alone"


def test_who_left_is_forgotten() -> None:
    class Connection:
        def start(self, on_message: object) -> None:
            listeners.append(len(broadcast._listeners))

        async def wait_closed(self) -> None:
            pass

    listeners: list[int] = []
    broadcast = Broadcast(WorkerLinks())
    for _ in range(3):
        asyncio.run(broadcast(Connection()))  # type: ignore[arg-type]
    assert listeners == [1, 1, 1]


def test_broadcast_and_echo_do_not_mix(target: EmbeddedTarget) -> None:
    with connect(url(target, "/broadcast")) as speaker, connect(target.url) as echo:
        speaker.send("to listeners")
        assert speaker.recv(timeout=20) == "to listeners"
        echo.send("mine")
        assert echo.recv(timeout=20) == "mine"


def test_push_sends_at_its_rate_messages_of_its_size(target: EmbeddedTarget) -> None:
    started = time.monotonic()
    with connect(url(target, "/push?rate=50/s&size=200")) as client:
        messages = [client.recv(timeout=20) for _ in range(26)]
        took = time.monotonic() - started
    assert took >= 0.5  # 25 intervals of 20 ms
    assert all(isinstance(message, str) and len(message) == 200 for message in messages)
    documents = [json.loads(message) for message in messages]
    assert [document["seq"] for document in documents] == list(range(26))
    sent = [document["sent_ns"] for document in documents]
    assert sent == sorted(sent) and sent[-1] - sent[0] >= 0.25e9  # 0.5, less what the first one was late


def test_push_at_a_rate_beyond_the_timers_resolution(target: EmbeddedTarget) -> None:
    started = time.monotonic()
    with connect(url(target, "/push?rate=5k&size=20")) as client:
        for seq in range(2000):
            assert client.recv(timeout=20) == f"{seq:020d}"
        assert time.monotonic() - started >= 0.3


def test_push_ignores_what_it_is_told_but_answers_pings_and_close(target: EmbeddedTarget) -> None:
    with connect(url(target, "/push?rate=2")) as client:
        client.send("anything")
        assert client.ping().wait(20)
    assert client.close_code == 1000


def test_push_tells_how_long_a_reply_took_once_for_each(target: EmbeddedTarget) -> None:
    """The client waits before it replies: the server's round trip is at least as long."""
    told: list[int] = []
    with connect(url(target, "/push?rate=50&size=200")) as client:
        for text in ("no JSON", "[1]", '{"seq": "x"}', '{"seq": {}}', '{"seq": 10000}', b"\xff", "[" * 100_000):
            client.send(text)  # answers nothing
        for number in range(200):
            pushed = json.loads(client.recv(timeout=20))
            told += [pushed["rtt_ns"]] if "rtt_ns" in pushed else []
            if number in (3, 5):
                time.sleep(0.05)
                for _ in range(2):  # the second is none of a message that is still unanswered
                    client.send(json.dumps({"seq": pushed["seq"]}))
            if len(told) == 2 and number > 30:
                break
    assert len(told) == 2
    assert all(0.05e9 < rtt_ns < 60e9 for rtt_ns in told)


@given(st.integers(1, 300), st.integers(0, 10**10))
def test_a_round_trip_is_told_where_there_is_room_for_it(size: int, rtt_ns: int) -> None:
    message = Push(rate=1, size=size).message(7, rtt_ns)
    assert len(message) == size
    if size >= 90:
        assert json.loads(message)["rtt_ns"] == rtt_ns
    elif size >= 60:
        assert json.loads(message)["seq"] == 7


@given(st.integers(1, 300), st.integers(0, 10**7))
def test_a_pushed_message_has_the_size_asked_for(size: int, seq: int) -> None:
    message = Push(rate=1, size=size).message(seq)
    assert len(message) == size
    if size >= 70:
        assert json.loads(message)["seq"] == seq
    elif size >= 10:
        assert int(message if message.isdigit() else json.loads(message)["seq"]) == seq


def test_push_defaults_and_bounds() -> None:
    assert Push.from_query("") == Push(1.0, 128)
    assert Push.from_query("rate=600/min&size=1k") == Push(10.0, 1000)
    with pytest.raises(ValueError, match="no such parameter: speed"):
        Push.from_query("speed=3")
