"""Faults between workers and master: a worker dies, a clock is off, the last replies are slow."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from helpers import process, runs

from wsbench.launcher.locust_process import free_port

ECHO = str(process.TESTS.parent / "scenarios" / "echo.py")
SECOND = 1_000_000_000

SKEWED = """
import os, time
ahead = int(os.environ.get("AHEAD_NS", "0"))
if ahead:
    # Another machine: its clock is ahead, and its kernel's timestamps (which cannot be moved) are not used.
    real = time.time_ns
    time.time_ns = lambda: real() + ahead
    from wsbench import machine
    machine.host_id = lambda: "elsewhere"
    from wsbench.transport import timestamps
    timestamps.enable = lambda sock: False
from wsbench import EchoUser

class Echo(EchoUser):
    pass
"""

LOCUST = "wsbench.locust_plugin.launched"
"""An argument of the Locust process that `wsbench run` starts, and of the workers forked from it."""


def _the_result(directory: Path) -> dict[str, Any]:
    (found,) = (directory / "results").glob("*/run.json")
    run: dict[str, Any] = json.loads(found.read_text())
    return run


def test_a_killed_worker_leaves_what_it_had_reported_and_a_finding(tmp_path: Path) -> None:
    running = process.start_cli(
        "run", "--rate", "1000", "-u", "20", "-d", "6s", "--warmup", "0s", "--processes", "2", "--json", cwd=tmp_path
    )
    running.wait_for("^measure")
    time.sleep(2)
    workers = [p for p in psutil.Process(running.pid).children(recursive=True) if LOCUST in p.cmdline()]
    os.kill(max(worker.pid for worker in workers), signal.SIGKILL)
    run = running.finish(60).json()
    assert run["complete"] is False
    assert run["generator"]["verdict"] != "ok"
    assert "worker-lost" in [finding["code"] for finding in run["generator"]["findings"]]
    mostly, partly = sorted((worker["messages"] for worker in run["generator"]["workers"]), reverse=True)
    assert mostly >= 2500
    assert 0 < partly < mostly, "what it had reported is there"
    assert run["messages"]["received"] == mostly + partly
    assert run["latency"]["response"]["count"] == run["messages"]["received"]


def test_slow_last_replies_are_waited_for_and_counted(run_cli: Callable[..., Any]) -> None:
    server, url = process.start_server("wsbench", "serve", "--port", "0", "--delay", "1200ms")
    try:
        run = run_cli(
            "run", url, "-u", "20", "--rate", "100", "--processes", "2", "-d", "2s", "--warmup", "0s", "--json"
        ).json()
        seen = process.http_json(url, "/stats")["messages_in"]
    finally:
        server.stop()
    messages = run["messages_all_phases"]
    assert messages["sent"] == messages["received"] == seen
    assert run["messages"]["lost"] == 0
    assert run["complete"] is True


def test_a_worker_whose_clock_is_ahead_counts_in_the_masters_seconds(tmp_path: Path) -> None:
    (tmp_path / "skewed.py").write_text(SKEWED)
    server, url = process.start_server("wsbench", "serve", "--port", "0")
    locust = [sys.executable, "-m", "locust", "-f", "skewed.py", "--headless"]
    port = free_port()
    common = ["--master-host", "127.0.0.1", "--master-port", str(port)]
    ahead = 5 * SECOND
    worker = process.Running([*locust, "--worker", *common], cwd=tmp_path, env={"AHEAD_NS": str(ahead)})
    master = process.Running(
        [
            *locust, "--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", str(port),
            "--expect-workers", "1", "-u", "10", "--rate", "200", "--duration", "3s", "--warmup", "1s", "--host", url,
        ],
        cwd=tmp_path,
    )  # fmt: skip
    try:
        assert master.finish(60).returncode == 0
        worker.finish(30)
        seen = process.http_json(url, "/stats")["messages_in"]
    finally:
        worker.stop()
        server.stop()
    run = _the_result(tmp_path)
    (one,) = run["generator"]["workers"]
    assert abs(one["clock_offset_ns"] + ahead) < SECOND // 4
    assert run["messages_all_phases"]["sent"] == seen
    assert run["messages"]["sent"] == 600, "exactly the three seconds of the measure phase, by the master's clock"
    assert run["timestamps"]["source"] == "user"
    assert "no-kernel-timestamps" in [finding["code"] for finding in run["generator"]["findings"]]


def test_a_run_whose_starter_was_killed_ends_and_leaves_what_it_measured(tmp_path: Path) -> None:
    running = process.start_cli("run", "-u", "5", "--rate", "100", "-d", "60s", "--warmup", "0s", cwd=tmp_path)
    try:
        running.wait_for("^measure", 30)
        session = psutil.Process(running.pid).children()
        running.signal(signal.SIGKILL)
        _, alive = psutil.wait_procs(session, timeout=process.scaled(30))
        assert alive == []
    finally:
        running.stop()
    assert _the_result(tmp_path)["complete"] is False


def test_workers_whose_master_was_killed_leave_their_results_and_the_command_names_them(tmp_path: Path) -> None:
    target, url = process.start_server("wsbench", "serve", "--port", "0")
    options = ("-u", "10", "--rate", "200", "-d", "60s", "--warmup", "0s", "--processes", "2")
    running = process.start_cli("run", url, *options, cwd=tmp_path)
    try:
        running.wait_for("^measure", 60)
        time.sleep(1)
        (master,) = [p for p in psutil.Process(running.pid).children() if LOCUST in p.cmdline()]
        master.kill()
        result = running.finish(60)
        seen = process.http_json(url, "/stats")["messages_in"]
    finally:
        running.stop()
        target.stop()
    process.no_leftovers(result)
    found = sorted((tmp_path / "results").iterdir())
    error, remedy = result.stderr.splitlines()[-2:]
    assert result.returncode == 3
    assert error == "wsbench: error: Locust was killed by SIGKILL: there is no result"
    assert remedy == "  What its workers measured is in " + ", ".join(f"results/{path.name}" for path in found) + "."
    own = [runs.read(path) for path in found]
    assert [run["complete"] for run in own] == [False, False]
    assert sum(run["messages_all_phases"]["sent"] for run in own) == seen
    assert all((path / "locust.log").read_text() for path in found)


def test_a_killed_generator_is_named(tmp_path: Path) -> None:
    running = process.start_cli("run", "-u", "2", "-d", "60s", "--warmup", "0s", cwd=tmp_path)
    try:
        running.wait_for("^measure", 60)
        (locust,) = [p for p in psutil.Process(running.pid).children() if LOCUST in p.cmdline()]
        locust.kill()
        result = running.finish(60)
    finally:
        running.stop()
    assert result.returncode == 3
    error, remedy = result.stderr.splitlines()[-2:]
    assert error == "wsbench: error: Locust was killed by SIGKILL: there is no result"
    assert remedy.startswith("  If you did not kill it, the machine ran out of memory")
    process.no_leftovers(result)
