"""scenarios/socketio_echo.py and `SocketIOUser`, with the Socket.IO servers of Python and of Node."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import process, runs
from helpers.process import CliResult

from wsbench.targets import catalogue

RunCli = Callable[..., CliResult]
SCENARIO = runs.ROOT / "scenarios" / "socketio_echo.py"
SERVERS = [
    pytest.param("python-socketio", marks=pytest.mark.needs("target python-socketio")),
    pytest.param("socketio-node", marks=pytest.mark.needs("target socketio-node")),
]
OF_OURS = Path(process.TESTS, "helpers", "locustfiles", "packets.py")


@pytest.mark.parametrize("name", SERVERS)
def test_acknowledgements_and_events(name: str, run_cli: RunCli, tmp_path: Path) -> None:
    result = run_cli(
        "run", "--target", name, "--scenario", str(SCENARIO), "-u", "6", "-d", "1s", "--warmup", "200ms",
        "--processes", "2", "--quiet",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    run = runs.read(runs.only(tmp_path / "results"), echoed=False)
    latency, messages = run["latency"], run["messages_all_phases"]
    assert latency["namespace"]["count"] == 6
    assert latency["acknowledged"]["count"] > 10 and latency["ask"]["count"] > 10
    assert latency["response"]["count"] == latency["acknowledged"]["count"] + latency["ask"]["count"]
    assert messages["lost"] == 0 and not run["errors"] and "wrong" not in run["counters"]
    # Every acknowledged event comes back as an event, too; the last ones may come when nobody listens any more.
    assert 0 < run["counters"]["events"] <= messages["pushed"]


@pytest.mark.parametrize("name", SERVERS)
def test_binary_data_and_a_namespace_that_is_refused(name: str, run_cli: RunCli, tmp_path: Path) -> None:
    with catalogue.find(name).start() as server:
        result = run_cli(
            "run", server.url, "--scenario", str(OF_OURS), "-u", "2", "-d", "1s", "--warmup", "0s", "--json", "--quiet"
        )
    run = result.json()
    counters, errors = run["counters"], {error["kind"]: error for error in run["errors"]}
    assert counters["right"] > 5 and "wrong" not in counters and counters["refused"] == 6
    assert run["latency"]["binary"]["count"] + run["latency"]["text"]["count"] > 5
    assert errors.keys() <= {"check-namespace", "disconnected"}
    assert "/nowhere refuses" in errors["check-namespace"]["example"] and run["messages"]["lost"] == 0
