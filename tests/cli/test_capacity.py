"""`wsbench capacity`: a server whose limit is known, a generator that gives out first, and all that can go wrong."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import process, runs
from helpers.process import CliResult
from helpers.sample_run import RUN
from msgspec.structs import replace

from wsbench.cli import main
from wsbench.launcher.step_runs import rest_s
from wsbench.results import capacity_result, run_result
from wsbench.results.capacity_result import BOUND, GENERATOR, HELD, TARGET, Capacity
from wsbench.results.run_result import MessageCounts, Throughput

RunCli = Callable[..., CliResult]
BRIEF = ("--warmup", "200ms", "--drain", "1s", "-d", "1s", "--longest", "1s", "-u", "10")
SERVICE_MS = 2.0
SLOW_GENERATOR = """
import time

from locust import events

from wsbench import EchoUser


class Slow(EchoUser):
    pass


@events.request.add_listener
def think(**_):
    done_s = time.monotonic() + 0.02
    while time.monotonic() < done_s:
        pass
"""
"""Twenty milliseconds a message in which nothing else can be done: no more than 50 a second, whatever the server."""
TALK = """
from locust import constant, task

from wsbench import WebSocketUser


class Talker(WebSocketUser):
    wait_time = constant(0.1)

    @task
    def say(self):
        self.ws.request({"type": "hello"}, match={"type": "hello"}, name="say")
"""
MORTAL = """
import asyncio, os, sys
from websockets.asyncio.server import serve

connections = 0

async def echo(connection):
    global connections
    connections += 1
    if connections > 15:
        asyncio.get_running_loop().call_later(0.5, os._exit, 3)
    async for message in connection:
        await connection.send(message)

async def main():
    async with serve(echo, "127.0.0.1", 0) as server:
        print(f"listening on ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", flush=True)
        await asyncio.Future()

asyncio.run(main())
"""
"""A server that dies of its sixteenth connection: in the second step of one with ten."""


def only(tmp_path: Path) -> tuple[Path, Capacity]:
    """The capacity, held against the results of its runs."""
    where = runs.only(tmp_path / "results")
    found = capacity_result.load(where)
    assert found.id == where.name
    for step in found.steps:
        if step.run is None:
            continue
        run = run_result.load(where / step.run)
        assert (run.conditions.rate, run.conditions.users) == (step.rate, step.connections)
        assert (run.generator.verdict, run.latency["response"].p99_ns) == (step.verdict, step.p99_ns)
        assert run.messages.sent + run.messages.missed == step.due
        assert run.complete
    return where, found


@pytest.mark.timeout(240)
def test_a_known_limit_is_found(tmp_path: Path, run_cli: RunCli, faulty_echo: Callable[..., Any]) -> None:
    """One worker that takes 2 ms a message: 500 a second, and not one more."""
    server = faulty_echo(service_ms=SERVICE_MS)
    ended = run_cli(
        *("capacity", server.url, "--slo", "p99 < 100ms", "--slo", "lost == 0", "--json"),
        *("--start", "300", "--max", "600", "--tolerance", "10%", *BRIEF),
        timeout=200,
    )
    assert ended.returncode == 0, ended.stderr
    process.no_leftovers(ended)
    where, found = only(tmp_path)
    assert ended.json() == json.loads((where / "capacity.json").read_bytes())
    assert found.complete
    assert found.limited_by == TARGET, found.limit
    assert found.answer is not None
    assert found.failed_at is not None
    assert 450 <= found.answer.load <= 550
    assert found.answer.load < found.failed_at <= 600
    assert found.answer.settled
    assert (found.answer.rate, found.answer.connections) == (found.answer.load, 10)
    assert (found.objectives, found.default_objectives) == (["p99 < 100ms", "lost == 0"], False)
    at_answer = [step.outcome for step in found.steps if step.load == found.answer.load]
    assert at_answer.count(HELD) == 2
    assert f"capacity     {found.answer.load:g} messages/s hold the objectives" in ended.stderr
    assert "limited by   the target: at " in ended.stderr
    assert "[1] 300 messages/s\n  300 messages/s held (p99 < 100ms: " in ended.stderr
    check_report(where, run_cli)


def check_report(where: Path, run_cli: RunCli) -> None:
    """It is there, it can be made again, and it still can when the runs have been thrown away."""
    left = (where / "report.html").read_text()
    assert "Latency against load" in left
    (where / "report.html").unlink()
    made = run_cli("report", str(where))
    assert (made.returncode, made.stdout) == (0, f"{where / 'report.html'}\n"), made.stderr
    assert "Environment" in (where / "report.html").read_text()
    (where / "runs").rename(where / "gone")
    again = run_cli("report", str(where / "capacity.json"), "--output", "-")
    assert again.returncode == 0, again.stderr
    assert "Latency against load" in again.stdout
    assert "Environment" not in again.stdout


@pytest.mark.timeout(240)
def test_a_generator_that_gives_out_first_says_so(tmp_path: Path, run_cli: RunCli) -> None:
    """The target, of our own, could do a hundred times as much."""
    (tmp_path / "slow.py").write_text(SLOW_GENERATOR)
    arguments = ("capacity", "--scenario", "slow.py", "--request-events", "--slo", "p99 < 100ms", "--strict")
    ended = run_cli(*arguments, "--start", "30", "--max", "240", "--tolerance", "50%", *BRIEF, timeout=200)
    assert ended.returncode == 4, ended.stderr
    _, found = only(tmp_path)
    assert found.limited_by == GENERATOR, found.limit
    assert found.answer is not None
    assert found.answer.load < 80
    assert "limited by   the generator, not the target: at " in ended.stdout
    assert "The target may hold more: use more --processes" in ended.stdout
    assert f"capacity     at least {found.answer.load:g} messages/s hold the objective; " in ended.stdout
    assert (found.url, found.target) == (None, "websockets")
    assert run_result.load(runs.only(tmp_path / "results") / str(found.steps[0].run)).target.cpu_s is not None


QUICK = ("--warmup", "100ms", "--drain", "500ms", "-d", "500ms", "--longest", "500ms")
LENIENT = ("--slo", "p99 < 9s", "--slo", "corrupted == 0", "--start", "10")
"""A busy machine holds this as well, if not every time: hence no assertion on how many runs it took."""


def test_the_most_connections_up_to_a_bound(tmp_path: Path, run_cli: RunCli) -> None:
    """Six of a scenario's users hold, and no more were asked for."""
    (tmp_path / "talk.py").write_text(TALK)
    arguments = ("capacity", "--connections", "--per-connection", "20/s", "--max", "6", *QUICK)
    ended = run_cli(
        *arguments, *LENIENT, "--start", "3", "--name", "six", "--scenario", "talk.py", "--tls", timeout=120
    )
    assert ended.returncode == 0, ended.stderr
    where, found = only(tmp_path)
    assert where.name.endswith("-six")
    assert (found.searched, found.limited_by, found.failed_at) == ("connections", BOUND, None)
    assert found.answer == capacity_result.CapacityAnswer(6.0, 120.0, 6, settled=True)
    assert {(step.load, step.rate, step.connections) for step in found.steps} == {(3.0, 60.0, 3), (6.0, 120.0, 6)}
    assert len(found.steps) >= 3
    assert (found.conditions.connections, found.conditions.rate_per_connection, found.conditions.tls) == (
        None,
        20,
        True,
    )
    assert "capacity     at least 6 connections hold the objectives\n" in ended.stdout
    assert "limited by   the bound: 6 connections hold, and --max allows no more\n" in ended.stdout


def test_users_that_send_when_they_like_have_no_rate_to_be_searched(tmp_path: Path, run_cli: RunCli) -> None:
    (tmp_path / "talk.py").write_text(TALK)
    runs.assert_error(run_cli("capacity", "--scenario", "talk.py", *QUICK, "-u", "1", "--quiet"), 2, "--connections")
    assert runs.directories(tmp_path / "results") == []


def test_not_even_the_lowest_holds(tmp_path: Path, run_cli: RunCli, faulty_echo: Callable[..., Any]) -> None:
    """The gate failed, not the measurement."""
    server = faulty_echo(drop=4)
    ended = run_cli("capacity", server.url, "--slo", "lost == 0", "--start", "100", "--min", "100", "-u", "2", *QUICK)
    assert ended.returncode == 1, ended.stderr
    _, found = only(tmp_path)
    assert found.complete
    assert (found.answer, found.limited_by, found.failed_at) == (None, TARGET, 100.0)
    assert [step.outcome for step in found.steps] == [TARGET, TARGET]
    assert "capacity     none: not even 100 messages/s hold the objective\n" in ended.stdout


def test_interrupted(tmp_path: Path) -> None:
    running = process.start_cli("capacity", *QUICK, *LENIENT, "-u", "2", "--json", cwd=tmp_path)
    running.wait_for(r"^\[\d\] 20 messages/s \(10 held\)", timeout=60)
    os.killpg(running.pid, signal.SIGINT)
    ended = running.finish()
    assert ended.returncode == 130, ended.stderr
    process.no_leftovers(ended)
    where, found = only(tmp_path)
    assert ended.json() == json.loads((where / "capacity.json").read_bytes())
    assert (found.complete, found.stopped, found.limited_by) == (False, "interrupted", None)
    assert {step.load for step in found.steps} == {10.0}
    assert found.answer == capacity_result.CapacityAnswer(10.0, 10.0, 2, settled=False)
    assert "STOPPED      interrupted\n             Held so far: 10 messages/s.\n" in ended.stderr
    assert "Stopped:" in (where / "report.html").read_text()


def test_interrupted_before_anything_was_measured(tmp_path: Path) -> None:
    running = process.start_cli("capacity", *QUICK, cwd=tmp_path)
    running.wait_for(r"^\[1\] 100 messages/s", timeout=60)
    os.killpg(running.pid, signal.SIGINT)
    ended = running.finish()
    assert ended.returncode == 130
    assert "p99 < 100ms and errors == 0 (wsbench's default; set another with --slo)" in ended.stderr
    assert "interrupted before anything was measured" in ended.stderr
    assert runs.directories(tmp_path / "results") == []
    process.no_leftovers(ended)


def test_a_target_that_dies_in_the_middle(tmp_path: Path, run_cli: RunCli) -> None:
    (tmp_path / "mortal.py").write_text(MORTAL)
    server, url = process.start_server(sys.executable, str(tmp_path / "mortal.py"))
    try:
        ended = run_cli("capacity", url, "-u", "10", *QUICK, *LENIENT, "--reconnect", "never")
    finally:
        server.stop()
    assert ended.returncode == 3, ended.stderr
    where, found = only(tmp_path)
    assert (found.steps[0].load, found.steps[0].outcome) == (10.0, HELD)
    assert (found.complete, found.limited_by) == (False, None)
    assert "refused" in (found.stopped or "")
    assert "wsbench: error: the search could not go on: " in ended.stderr
    assert re.search(r"Held so far: [12]0 messages/s\.", ended.stderr)
    assert "STOPPED " in ended.stdout
    assert (where / "report.html").exists()


def test_a_closed_port(tmp_path: Path, run_cli: RunCli) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # taken, and nobody listens
        url = f"ws://127.0.0.1:{unused.getsockname()[1]}/"
        runs.assert_error(run_cli("capacity", url, "--quiet"), 3, "refused")
    assert runs.directories(tmp_path / "results") == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--slo", "p99 > 10ms"], "an objective is what must hold, such as 'p99 < ...'"),
        (["--slo", "avg < 10ms"], "'avg' is no figure"),
        (["--slo", "lunch < 10"], "--slo 'lunch < 10': 'lunch' is no figure of this run"),
        (["--slo", "tls.p99 < 10ms"], "a connection without TLS has no tls series"),
        (["--start", "5", "--min", "10"], "are not in this order"),
        (["--start", "0"], "must be above zero"),
        (["--connections", "--start", "1.5"], "--start 1.5 is no number of connections"),
        (["--connections", "-u", "5"], "the number of connections is searched"),
        (["--per-connection", "5"], "--per-connection goes with --connections"),
        (["--connections", "--max", "100000000"], "--processes"),
        (["--tolerance", "90%"], "'90%' is no percentage from 1% to 50%"),
        (["-u", "1", "--max", "2000000"], "more than a million messages a second"),
        (["ws://127.0.0.1:1/", "--tls"], "--tls"),
        (["--target", "nginx"], "'nginx'"),
        (["--rate", "100"], "No such option"),
    ],
)
def test_wrong_usage(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.run(["capacity", *arguments]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err
    assert 1 <= len(told.err.splitlines()) <= 2
    assert runs.directories(tmp_path / "results") == []


@pytest.mark.parametrize(
    ("unanswered", "received_per_s", "expected_s"),
    [(0, 500.0, 0.0), (250, 500.0, 0.5), (10**6, 500.0, 30.0), (5, 0.0, 30.0)],
)
def test_a_target_is_given_the_time_that_what_it_left_unanswered_takes(
    unanswered: int, received_per_s: float, expected_s: float
) -> None:
    run = replace(
        RUN, messages_all_phases=MessageCounts(lost=unanswered), throughput=Throughput(1000.0, received_per_s)
    )
    assert rest_s(run, longest_s=30.0) == expected_s
