"""storm.py: connections that come and go, and a server that is restarted."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from helpers import runs, scenarios
from helpers.process import scaled
from helpers.runs import EchoTarget

from wsbench.launcher.locust_process import free_port

USERS = 20


def test_every_connection_that_comes_and_goes_is_counted(echo_target: EchoTarget, tmp_path: Path) -> None:
    options = ("-u", "10", "-d", "1500ms", "--set", "churn=40", "--set", "hold_s=0.05")
    for ran in scenarios.both_ways("storm", echo_target, tmp_path, *options):
        connections, messages = ran.run["connections"], ran.run["messages_all_phases"]
        assert connections["opened"] == connections["asked"] > 20
        # A connection that is open when the run ends may not have got round to its message, or to the reply.
        assert 0 <= connections["opened"] - messages["sent"] <= 10 and messages["lost"] <= 10
        assert connections["close_codes"] == {"1000": connections["opened"]}
        for name in ("connect", "tcp", "upgrade"):
            assert ran.count(name) == connections["opened"]
        assert 0 < ran.count("first_reply") == ran.run["messages"]["sent"] <= connections["opened"]
        assert ran.count("due_to_open") > 0
        assert ran.run["counters"] == {"back": 0, "drops": 0, "still_away": 0}


def test_after_a_restart_all_are_back_and_no_message_is_counted_twice(tmp_path: Path) -> None:
    port = str(free_port())
    with runs.echo_target("--port", port) as first:
        options = ("-u", str(USERS), "-d", "60s", "--set", "every_s=0.05")
        running = scenarios.started("storm", first.url, tmp_path, *options)
        wait_until_busy(first)
        answered = first.stats()["messages_out"]
        killed_ns = time.monotonic_ns()
        first.server.signal(signal.SIGKILL)
        first.server.finish()
    time.sleep(scaled(1.5))  # in which they try, and are refused
    with runs.echo_target("--port", port) as second:
        wait_until_busy(second)
        outage_ns = time.monotonic_ns() - killed_ns
        running.signal(signal.SIGINT)
        assert running.finish().returncode == 130
        after = second.stats()
    run = runs.read(runs.only(tmp_path / "results"))
    assert run["counters"] == {"back": USERS, "drops": USERS, "still_away": 0}
    connections, away = run["connections"], run["latency"]["away"]
    assert (connections["opened"], connections["dropped"], connections["reconnected"]) == (USERS, USERS, USERS)
    assert after["connections_opened"] == USERS
    assert away["count"] == USERS
    assert 0 < away["min_ns"] <= away["max_ns"] <= outage_ns  # the time until all are back
    refused = [error for error in run["errors"] if error["kind"] == "refused"]
    assert len(refused) == 1 and refused[0]["count"] >= USERS and refused[0]["side"] == "target"
    messages = run["messages_all_phases"]
    assert messages["sent"] == messages["received"] + messages["lost"]
    assert after["messages_in"] == after["messages_out"]
    asked_first, answered_first = (messages[name] - after["messages_in"] for name in ("sent", "received"))
    # what was under way when the server was killed, one message a user at most, is lost and nothing else
    assert asked_first - answered_first == messages["lost"] <= USERS
    assert answered_first >= answered - USERS


def wait_until_busy(target: EchoTarget) -> None:
    """All connected, and each has had some replies."""
    deadline = time.monotonic() + scaled(40)
    while True:
        stats = target.stats()
        if stats["connections_open"] == USERS and stats["messages_out"] > 5 * USERS:
            return
        assert time.monotonic() < deadline, stats
        time.sleep(0.05)
