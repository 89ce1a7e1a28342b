"""scenarios/socketio_echo.py and `SocketIOUser`, with the Socket.IO servers of Python and of Node."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import process, runs
from helpers.process import CliResult
from helpers.websocket_server import websocket_server
from websockets.sync.server import ServerConnection

from wsbench.targets import catalogue
from wsbench.targets.catalogue import CommandTarget

RunCli = Callable[..., CliResult]
SCENARIO = runs.ROOT / "scenarios" / "socketio_echo.py"
SERVERS = [
    pytest.param("python-socketio", marks=pytest.mark.needs("target python-socketio")),
    pytest.param("socketio-node", marks=pytest.mark.needs("target socketio-node")),
]
SERVER = Path(process.TESTS, "helpers", "socketio_server.py")
FAULTS = Path(process.TESTS, "helpers", "locustfiles", "packet_faults.py")
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
    assert errors.keys() == {"namespace-refused"}
    assert "/nowhere refuses" in errors["namespace-refused"]["example"] and run["messages"]["lost"] == 0
    connections = run["connections"]
    assert [connections[name] for name in ("asked", "opened", "failed", "dropped")] == [2, 1, 1, 0]


def test_acknowledgements_of_both_sides_and_namespaces_that_end_or_refuse(run_cli: RunCli) -> None:
    server = CommandTarget(f"{sys.executable} {SERVER} --port {{port}}", "ws://127.0.0.1:{port}/")
    with server.start() as running:
        result = run_cli(
            "run", running.url, "--scenario", str(FAULTS), "-u", "3", "-d", "2s", "--warmup", "0s", "--json", "--quiet"
        )
    run = result.json()
    counters, errors = run["counters"], {error["kind"]: error for error in run["errors"]}
    assert counters["right"] > 10 and counters["reconnected"] > 1
    assert not {"wrong", "never"} & counters.keys()
    assert errors.keys() == {"namespace-refused", "namespace-ended", "check-say"}
    assert errors["namespace-refused"]["example"] == "the namespace /secret refuses: not authorized ({'code': 42})"
    assert errors["namespace-ended"]["example"] == "the server ended the namespace /"
    connections = run["connections"]
    assert [connections[name] for name in ("asked", "opened", "failed")] == [3, 2, 1]
    assert connections["dropped"] == errors["namespace-ended"]["count"] > 0
    assert connections["attempts"] == 3 + connections["reconnected"] == run["latency"]["connect"]["count"]
    messages = run["messages_all_phases"]
    assert counters["asked"] == messages["sent"] - messages["one_way"] - connections["attempts"], "one asks for each"
    assert counters["left"] >= connections["dropped"]


@pytest.mark.parametrize(
    ("path", "requested"),
    [
        ("", "/socket.io/?EIO=4&transport=websocket"),
        ("socket.io/", "/socket.io/?EIO=4&transport=websocket"),
        ("my/io/?room=a&EIO=5", "/my/io/?room=a&EIO=5&transport=websocket"),
    ],
)
def test_the_protocol_is_in_the_query_of_any_path(run_cli: RunCli, path: str, requested: str) -> None:
    paths: list[str] = []

    def record(connection: ServerConnection) -> None:
        assert connection.request is not None
        paths.append(connection.request.path)

    with websocket_server(record) as url:
        run_cli("run", url + path, "--scenario", str(SCENARIO), "-u", "1", "-d", "200ms", "--warmup", "0s")
    assert set(paths) == {requested}


@pytest.mark.parametrize("separate", [False, True])
def test_a_server_of_another_protocol_is_named(run_cli: RunCli, separate: bool) -> None:
    """Its first two packets arrive together, or one after the other."""

    def talk(connection: ServerConnection) -> None:
        connection.send('0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":5000}')
        if separate:
            time.sleep(0.05)
        connection.send("40")
        for _ in connection:
            pass

    with websocket_server(talk) as url:
        result = run_cli("run", url, "--scenario", str(SCENARIO), "-u", "3", "-d", "1s", "--warmup", "0s")
    assert result.returncode == 3
    outcome = result.stdout.splitlines()[0]
    assert outcome.startswith("NOT MEASURED: ") and "the protocol of Socket.IO 2 or 1 (Engine.IO 3)" in outcome
    assert "the connection is closed" not in result.stdout, "a drop before `on_open` is counted once"
