"""hold.py: idle connections that ping."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

from helpers import runs, scenarios
from helpers.process import scaled
from helpers.runs import EchoTarget

USERS = 150


def test_pings_are_measured_and_memory_is_known_on_both_sides(echo_target: EchoTarget, tmp_path: Path) -> None:
    options = ("-u", str(USERS), "-r", "300", "-d", "1500ms", "--set", "every_s=0.5")
    for ran in scenarios.both_ways("hold", echo_target, tmp_path, *options):
        assert ran.run["messages_all_phases"]["sent"] == ran.run["messages_all_phases"]["received"] == 0
        assert ran.count("ping") > USERS and ran.run["latency"]["ping"]["lost"] == 0
        assert ran.run["connections"]["close_codes"] == {"1000": USERS}
        assert ran.run["counters"] == {}
        assert 1_000 < ran.run["generator"]["bytes_per_connection"] < 1_000_000
        assert ran.run["target"]["bytes_per_connection"] is None  # it was not wsbench that started it


def test_who_dropped_when_and_why(tmp_path: Path) -> None:
    with runs.echo_target() as target:
        options = ("-u", "7", "-d", "60s", "--set", "every_s=0.2", "--reconnect", "never")
        running = scenarios.started("hold", target.url, tmp_path, *options)
        wait_until_open(target, 7)
        time.sleep(0.5)
        target.server.signal(signal.SIGTERM)  # closes every connection with 1001
        target.server.finish()
    wait_for_drops(tmp_path, 7)
    running.signal(signal.SIGINT)
    assert running.finish().returncode == 130
    directory = runs.only(tmp_path / "results")
    run = runs.read(directory)
    assert run["counters"] == {"closed_1001": 7}
    assert (run["connections"]["dropped"], run["connections"]["close_codes"]) == (7, {"1001": 7})
    assert run["latency"]["lived"]["count"] == 7 and run["latency"]["lived"]["min_ns"] > 0
    assert (run["latency"]["away"]["count"], run["latency"]["away"]["lost"]) == (0, 7), "not one came back"
    assert [(error["kind"], error["count"]) for error in run["errors"]] == [("closed", 7)]
    said = re.findall(r"user (\d+) dropped after [\d.]+ s: (.+)", (directory / "locust.log").read_text())
    assert sorted(int(user) for user, _ in said) == list(range(7))
    assert all("1001" in why for _, why in said)


def wait_until_open(target: EchoTarget, count: int) -> None:
    deadline = time.monotonic() + scaled(30)
    while target.stats()["connections_open"] < count:
        assert time.monotonic() < deadline, "the users did not connect"
        time.sleep(0.05)


def wait_for_drops(where: Path, count: int) -> None:
    """Wait until the log of the run, which goes on, names so many drops."""
    deadline = time.monotonic() + scaled(30)
    [directory] = runs.directories(where / "results")
    while (directory / "locust.log").read_text().count(" dropped after ") < count:
        assert time.monotonic() < deadline, "the drops were not noticed"
        time.sleep(0.05)
