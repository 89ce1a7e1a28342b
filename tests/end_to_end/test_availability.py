"""A server that dies and comes back: how long users were without a connection, and what was tried meanwhile."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers import process, runs, scenarios
from helpers.process import scaled
from helpers.runs import Document

from wsbench.launcher.locust_process import free_port

S = 1_000_000_000
USERS = 6
DOWN_S = 1.5
NOTICED_NS = S // 5
"""A worker notices that a connection has ended within this time."""


@dataclass(frozen=True)
class Outage:
    """A run over a server that was killed, and for how long at least connections must have been missing."""

    run: Document
    rows: list[dict[str, str]]
    down_ns: int
    until_end_ns: int

    def total(self, column: str) -> float:
        """Return the sum of a column of timeline.csv."""
        return sum(float(row[column]) for row in self.rows)


def over_an_outage(where: Path, *options: str, back: bool = True) -> Outage:
    """Kill the server after some seconds of measuring; start it again on its port if it is to come `back`."""
    port = str(free_port())
    with runs.echo_target("--port", port) as first:
        command = ("run", first.url, "-u", str(USERS), "--warmup", "0s", *options)
        running = process.start_cli(*command, cwd=where)
        first.until_measured(USERS)
        first.server.signal(signal.SIGKILL)
        first.server.finish()
        killed_ns = time.monotonic_ns()
    time.sleep(DOWN_S)
    down_ns = time.monotonic_ns() - killed_ns - NOTICED_NS
    if back:
        with runs.echo_target("--port", port) as second:
            deadline = time.monotonic() + scaled(40)
            while second.stats()["connections_open"] < USERS:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            time.sleep(0.5)
            running.signal(signal.SIGINT)
            assert running.finish().returncode == 130
    else:
        running.signal(signal.SIGINT)
        assert running.finish().returncode == 130
    until_end_ns = time.monotonic_ns() - killed_ns
    directory = runs.only(where / "results")
    return Outage(runs.read(directory), runs.timeline(directory / "timeline.csv"), down_ns, until_end_ns)


def test_two_workers_agree_on_an_outage(tmp_path: Path) -> None:
    gates = ("availability < 99.9%", "outage > 1h", "away.p99 > 1h", "reconnects_failed > 0", "ramp.availability < 1%")
    failing = [part for gate in gates for part in ("--fail-if", gate)]
    found = over_an_outage(tmp_path, "--rate", "60", "-d", "90s", "--processes", "2", *failing)
    run, availability = found.run, found.run["availability"]
    assert (run["connections"]["dropped"], run["connections"]["reconnected"]) == (USERS, USERS)
    assert found.down_ns <= availability["outage_ns"] <= found.until_end_ns
    away = run["latency"]["away"]
    assert (away["count"], away["lost"], away["phases"]) == (USERS, 0, "all")
    assert found.down_ns <= away["min_ns"] <= away["max_ns"] <= found.until_end_ns
    assert availability["away_ns"] == pytest.approx(away["mean_ns"] * USERS, rel=0.01)
    open_share = 1 - availability["away_ns"] / availability["wanted_ns"]
    assert availability["percent"] == pytest.approx(100 * open_share) and 0 < open_share < 1
    assert [gate["failed"] for gate in run["gates"]] == [True, False, False, True, False]
    refused = [error["count"] for error in run["errors"] if error["kind"] == "refused"]
    assert refused == [run["connections"]["reconnects_failed"]] and refused[0] >= USERS
    # By the second: what was wanted and not open, and what was tried.
    assert found.total("away_s") == pytest.approx(availability["away_ns"] / S, abs=0.001 * len(found.rows))
    assert found.total("connect_failed") == run["connections"]["reconnects_failed"]
    assert found.total("dropped") == USERS and found.total("missed") == run["messages_all_phases"]["missed"] > 0
    assert found.total("errors") == run["whole_run"]["errors"]
    assert {(row["connections"], row["wanted"]) for row in found.rows} >= {("0", str(USERS)), (str(USERS), str(USERS))}


def test_without_reconnecting_they_are_away_until_the_end(tmp_path: Path) -> None:
    found = over_an_outage(tmp_path, "--rate", "60", "-d", "90s", "--reconnect", "never", back=False)
    run, availability = found.run, found.run["availability"]
    assert found.down_ns <= availability["outage_ns"] <= found.until_end_ns
    assert USERS * found.down_ns <= availability["away_ns"] <= USERS * found.until_end_ns
    assert (run["latency"]["away"]["count"], run["latency"]["away"]["lost"]) == (0, USERS)
    assert run["latency"]["away"]["p50_ns"] is None
    assert run["connections"]["reconnects_failed"] == 0


def test_users_that_open_a_connection_for_each_task_are_without_one_while_they_try(tmp_path: Path) -> None:
    options = ("--scenario", scenarios.path_of("storm"), "--set", "churn=60", "--set", "hold_s=0.5", "-d", "90s")
    found = over_an_outage(tmp_path, *options)
    run, availability = found.run, found.run["availability"]
    assert run["connections"]["failed"] > 0
    assert 0.5 * found.down_ns <= availability["outage_ns"] <= found.until_end_ns
    assert availability["away_ns"] > availability["outage_ns"]
