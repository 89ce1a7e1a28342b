"""Scenarios of one's own, with real servers: what they measure and count, and what their faults cost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import FaultyEcho
from helpers import process, runs
from helpers.bad_handshakes import BadHandshakes
from helpers.process import CliResult
from helpers.runs import Document, EchoTarget
from helpers.websocket_server import websocket_server
from websockets.sync.server import ServerConnection

RunCli = Callable[..., CliResult]
StartFaultyEcho = Callable[..., FaultyEcho]

FILES = Path(process.TESTS, "helpers", "locustfiles")
QUICK = ("--warmup", "200ms", "-d", "1s", "--drain", "2s")
OPTIONS = ("--scenario", str(FILES / "asking.py"), *QUICK)


@pytest.fixture(scope="module")
def target() -> Iterator[EchoTarget]:
    with runs.echo_target() as started:
        yield started


def run_against(url: str, run_cli: RunCli, tmp_path: Path, *args: str) -> Document:
    result = run_cli("run", url, *OPTIONS, *args, "--quiet")
    assert result.returncode == 0, result.stderr
    directory = runs.only(tmp_path / "results")
    assert "Traceback" not in (directory / "locust.log").read_text()
    return runs.read(directory, echoed=False)


def errors(run: Document) -> dict[str, tuple[str, int]]:
    return {error["kind"]: (error["side"], error["count"]) for error in run["errors"]}


def test_requests_pushes_and_pings_agree_with_the_server(run_cli: RunCli, tmp_path: Path, target: EchoTarget) -> None:
    before = target.stats()
    scenario = str(FILES / "listening.py")
    run = run_against(target.url, run_cli, tmp_path, "-u", "8", "--processes", "2", "--scenario", scenario)
    runs.assert_equals_stats(run, before, target.stats())
    assert run["conditions"]["settings"]["patience_s"] == "5.0"
    latency, counters = run["latency"], run["counters"]
    assert set(runs.own(run)) == {"login", "ask", "greeting", "ping"}
    assert (latency["ask"]["phases"], latency["login"]["phases"]) == ("measure", "all")
    assert latency["ask"]["count"] == latency["response"]["count"] > 50
    assert latency["login"]["count"] + latency["greeting"]["count"] == 8
    assert latency["ping"]["count"] > 5 and latency["ping"]["lost"] == 0
    # What is said last may come when nobody listens any more, or be heard and not counted, for the run was over.
    assert -2 <= counters["said"] - counters["heard"] <= 4
    assert counters["opened"] == latency["login"]["count"]
    assert not run["errors"] and not run["connections"]["dropped"]


def test_what_a_callback_records_of_one_message_stays_together(
    run_cli: RunCli, tmp_path: Path, target: EchoTarget
) -> None:
    scenario = str(FILES / "slow_callback.py")
    server = target.url.removesuffix("/echo")
    run = run_against(server, run_cli, tmp_path, "-u", "3", "--scenario", scenario)
    latency = run["latency"]
    assert latency["first"]["phases"] == "measure"
    assert latency["second"]["count"] == latency["first"]["count"] > 3


def test_lost_late_and_double_replies(run_cli: RunCli, tmp_path: Path, faulty_echo: StartFaultyEcho) -> None:
    server = faulty_echo(drop=10, duplicate=7, delay=25, delay_ms=400)
    run = run_against(
        server.url, run_cli, tmp_path, "-u", "4", "--set", "patience_s=0.2", "--set", "at_once=4", "--timeout", "2s"
    )
    counts, messages = server.counts(), run["messages_all_phases"]
    # The farewells of `on_stop` come when the run is over, and are not sent.
    assert counts["messages_in"] == messages["sent"] and messages["one_way"] == 0
    assert messages["lost"] == counts["dropped"] + messages["late"] and messages["late"] > 0
    assert messages["pushed"] == counts["duplicated"] > 0
    assert counts["replies_sent"] == messages["received"] + messages["late"]
    assert run["latency"]["ask"]["lost"] == run["latency"]["response"]["lost"] == run["messages"]["lost"] > 0
    assert run["latency"]["ask"]["p99_ns"] is None


def test_a_dropped_connection_is_opened_again_and_logged_in(
    run_cli: RunCli, tmp_path: Path, faulty_echo: StartFaultyEcho
) -> None:
    server = faulty_echo(close_after=20)
    run = run_against(server.url, run_cli, tmp_path, "-u", "2", "-d", "2s")
    connections = run["connections"]
    assert connections["dropped"] >= connections["reconnected"] >= 4
    assert run["counters"]["opened"] == 2 + connections["reconnected"]
    assert run["latency"]["away"]["count"] <= connections["reconnected"]
    assert errors(run)["closed"] == ("target", connections["dropped"])
    assert server.counts()["messages_in"] == run["messages_all_phases"]["sent"]


def test_a_connection_that_is_closed_while_it_is_away_stays_closed(
    run_cli: RunCli, tmp_path: Path, faulty_echo: StartFaultyEcho
) -> None:
    server = faulty_echo(close_after=5)
    result = run_cli(
        "run",
        server.url,
        "--scenario",
        str(FILES / "leaving.py"),
        "--warmup",
        "0s",
        "-u",
        "3",
        "-d",
        "1500ms",
        "--quiet",
    )
    assert result.returncode == 0, result.stderr
    run = runs.read(runs.only(tmp_path / "results"))
    connections = run["connections"]
    assert (connections["opened"], connections["dropped"], connections["reconnected"]) == (3, 3, 0)
    assert run["counters"] == {"left": 3} and server.counts()["connections"] == 3


def test_faults_of_the_scenario_are_its_own(run_cli: RunCli, tmp_path: Path, target: EchoTarget) -> None:
    result = run_cli(
        "run", target.url, *OPTIONS, "-u", "2", "--set", "raise_on=5", "--set", "wrong=10", "--json",
        "--fail-if", "errors > 0", "--fail-if", "ask.p50 > 1h", "--fail-if", "aks.p50 > 1h", "--fail-if", "opened > 2",
    )  # fmt: skip
    assert result.returncode == 1
    run = result.json()
    assert [gate["failed"] for gate in run["gates"]] == [True, False, True, False]
    assert run["gates"][2]["value"] == "– (no series is called aks; there are ask, login, opened)"
    messages = run["messages_all_phases"]
    assert errors(run)["check-ask"] == ("target", messages["corrupted"])
    over_time = runs.timeline(runs.only(tmp_path / "results") / "timeline.csv")
    assert sum(int(row["rejected"]) for row in over_time) == messages["rejected"] == messages["corrupted"] > 0
    assert run["messages"]["lost"] == 0 and run["latency"]["ask"]["count"] > 20


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--set", "patients=5"), "no such setting"),
        (("--set", "wrong=often"), "a whole number is wanted"),
        (("--set", "wrong"), "use NAME=VALUE"),
    ],
)
def test_settings_that_make_no_sense(run_cli: RunCli, options: tuple[str, ...], said: str) -> None:
    runs.assert_error(run_cli("run", "ws://127.0.0.1:1/", *OPTIONS, "--quiet", *options), 2, said)


def test_an_echo_run_has_neither_settings_nor_series_of_its_own(run_cli: RunCli) -> None:
    for options in (("--set", "x=1"), ("--fail-if", "servce.p99 > 5ms")):
        runs.assert_error(run_cli("run", "ws://127.0.0.1:1/", "--quiet", *options), 2, options[0])


def test_former_names_still_work() -> None:
    # In a process of its own: the import patches the process.
    code = """
import wsbench
from wsbench import Asked, PendingRequest, WebSocket, WebSocketUser
assert Asked is PendingRequest and WebSocket.ask is WebSocket.send_request

class Old(WebSocketUser):
    @classmethod
    def conclude(cls, counters):
        counters["sum"] = 1

counters = {}
Old.finalize_counters(counters)
assert counters == {"sum": 1}
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=process.scaled(60))


def test_ticks_that_a_slow_task_leaves_are_missed(run_cli: RunCli, tmp_path: Path, target: EchoTarget) -> None:
    options = ("-u", "1", "--rate", "100k", "--scenario", str(FILES / "slow.py"))
    result = run_cli("run", target.url, *OPTIONS, *options, "--json")
    assert "Traceback" not in result.stderr
    messages = result.json()["messages_all_phases"]
    assert 0 < messages["sent"] < 1000
    assert messages["missed"] > 10_000


@pytest.mark.parametrize(
    ("path", "first"), [("/", "/ok?room=class&token=t0ken"), ("/ok", "/ok?token=t0ken")], ids=["bare", "with a path"]
)
def test_path_and_headers_of_a_user_and_the_query_of_the_url_reach_the_server(
    run_cli: RunCli, tmp_path: Path, path: str, first: str
) -> None:
    scenario = str(FILES / "placed.py")
    with BadHandshakes() as server:
        url = server.url(f"{path}?token=t0ken")
        run_cli("run", url, "--scenario", scenario, "-u", "2", *QUICK, "--reconnect", "never", "--quiet")
        requests = server.requests
    run = runs.read(runs.only(tmp_path / "results"), echoed=False)
    assert {each.target for each in requests} == {first, "/ok?room=own&token=t0ken", "/ok?room=more&token=t0ken"}
    assert {each.headers["x-team"] for each in requests} == {"blue"}
    log = (runs.only(tmp_path / "results") / "locust.log").read_text()
    assert ("The path /ok?room=class of Placed is not used, because the URL" in log) is (path == "/ok")
    [said] = [error["example"] for error in run["errors"] if error["kind"] == "scenario"]
    assert "path is set after the connection was opened: set it in __init__" in said


def test_a_counter_of_what_is_sent_is_right_to_the_end(run_cli: RunCli, tmp_path: Path, target: EchoTarget) -> None:
    result = run_cli("run", target.url, "--scenario", str(FILES / "counting.py"), "-u", "8", *QUICK, "--quiet")
    assert result.returncode == 0, result.stderr
    run = runs.read(runs.only(tmp_path / "results"), echoed=False)
    counters, messages = run["counters"], run["messages_all_phases"]
    assert counters["asked"] == messages["sent"] - messages["one_way"] > 8
    assert counters["told"] == messages["one_way"]
    assert counters["before"] == counters["asked"], "no task begins in the drain"


@pytest.fixture
def pairing_server() -> Iterator[str]:
    """Answers every two messages with one list of both."""

    def handler(connection: ServerConnection) -> None:
        for first in connection:
            connection.send(f"[{first!s},{connection.recv()!s}]")

    with websocket_server(handler) as url:
        yield url


@pytest.mark.parametrize("decode", ["on", "off"])
def test_one_message_answers_several_requests(
    run_cli: RunCli, tmp_path: Path, pairing_server: str, decode: str
) -> None:
    scenario = ("--scenario", str(FILES / "pairs.py"), "-u", "2", *QUICK)
    result = run_cli("run", pairing_server, *scenario, "--set", f"decode={decode}")
    assert result.returncode == 0, result.stderr
    run = runs.read(runs.only(tmp_path / "results"), echoed=False)
    assert run["errors"] == [] and run["messages_all_phases"]["received"] >= 2 * run["counters"]["both"] > 4


def test_a_message_answers_one_request_of_several_with_the_same_match(
    run_cli: RunCli, tmp_path: Path, pairing_server: str
) -> None:
    options = ("--scenario", str(FILES / "pairs.py"), "-u", "2", *QUICK, "--set", "own_match=off")
    run_cli("run", pairing_server, *options)
    run = runs.read(runs.only(tmp_path / "results"), echoed=False)
    [error] = [error for error in run["errors"] if error["kind"] == "no-match"]
    assert "answered another request" in error["example"] and "`decoder`" in error["remedy"]
    assert 0 < error["count"] <= run["messages_all_phases"]["lost"]
