"""All manners of abuse at once, beside clients that behave: short, and without a clock.

`make abuse` is the same for minutes, with the latency of those who behave.
"""

from __future__ import annotations

import asyncio
import threading
import time
import urllib.request
from collections import Counter

from helpers import abuse, runs
from helpers.process import scaled
from helpers.runs import EchoTarget
from websockets.sync.client import connect

SECONDS = 5
LIMITS = (
    *("--compression", "on", "--max-size", "64KiB", "--max-connections", "60", "--max-buffered", "1MiB"),
    *("--handshake-timeout", "1s", "--write-timeout", "1s"),
)


class Behaved(threading.Thread):
    """A client that sends, waits for the echo, and compares, until told to stop."""

    def __init__(self, url: str, stop: threading.Event) -> None:
        super().__init__()
        self._stop_asked = stop
        self._client = connect(url, compression=None, max_size=None)
        self.sent = self.echoed = 0

    def run(self) -> None:
        with self._client as client:
            while not self._stop_asked.is_set():
                message = f"message {self.sent} " + "ü" * (self.sent % 1000)
                client.send(message)
                self.sent += 1
                self.echoed += client.recv(timeout=scaled(60)) == message
                time.sleep(0.01)


def settled(target: EchoTarget) -> dict[str, object]:
    """Its counts when nobody is connected any more."""
    deadline = time.monotonic() + scaled(30)
    while time.monotonic() < deadline:
        counts = target.stats()
        if not counts["connections_open"] and not counts["buffered_bytes"]:
            return counts
        time.sleep(0.1)
    raise AssertionError(counts)


def test_abuse_ends_as_documented_and_those_who_behave_lose_nothing() -> None:
    with runs.echo_target(*LIMITS) as target:
        stop = threading.Event()
        behaved = [Behaved(target.url, stop) for _ in range(4)]
        before = target.stats()
        for client in behaved:
            client.start()
        try:
            tallies = asyncio.run(abuse.abuse(target.url, SECONDS, patience=scaled(60)))
        finally:
            stop.set()
            for client in behaved:
                client.join()
        after = settled(target)
        with urllib.request.urlopen(target.url.replace("ws", "http", 1).replace("/echo", "/healthz")) as answer:
            assert answer.status == 200
        assert target.server.stderr() == ""

    assert not abuse.undocumented(tallies), tallies
    assert all(tallies.values()), "each manner came to an end at least once"
    assert [client.echoed for client in behaved] == [client.sent for client in behaved]
    assert all(client.sent > 20 for client in behaved)
    assert_counted(tallies, after["refused"])  # type: ignore[arg-type]
    # 1 MiB of buffers, messages of 64 KiB, and what the allocator does not give back
    assert after["rss_bytes"] - before["rss_bytes"] < 64 * 1024 * 1024  # type: ignore[operator]


def assert_counted(tallies: dict[str, Counter[str]], refused: dict[str, int]) -> None:
    """The target counted what its clients saw."""
    seen = sum(tallies.values(), Counter())
    assert refused["connections"] == seen["503"]
    assert refused["handshake_timeouts"] == seen["408"]
    assert refused["bad_handshakes"] == sum(seen[status] for status in ("400", "405", "426", "431"))
    assert refused["message_sizes"] == seen["close 1009"]
    assert refused["protocol_errors"] == seen["close 1002"] + seen["close 1007"]
    assert refused["write_timeouts"] + refused["buffers"] == seen["reset"] + seen["close 1013"]
    assert refused["origins"] == 0
