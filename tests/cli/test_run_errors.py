"""Messages and files of `wsbench run` when nothing can be measured."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from helpers import runs
from helpers.bad_handshakes import FAULTS, BadHandshakes
from helpers.process import CliResult, no_leftovers
from helpers.runs import assert_error

RunCli = Callable[..., CliResult]
BRIEF = ("-u", "1", "-d", "300ms", "--warmup", "0s", "--drain", "300ms", "--timeout", "500ms", "--json", "--quiet")


def assert_nothing_left(result: CliResult, tmp_path: Path) -> None:
    assert runs.directories(tmp_path / "results") == []
    no_leftovers(result)


# -- nothing is started ------------------------------------------------------------------------------------------------

WRONG_USAGE: dict[str, tuple[list[str], str]] = {
    "http": (["http://127.0.0.1:1/echo"], "http"),
    "no-scheme": (["127.0.0.1:8765/echo"], "ws://"),
    "no-host": (["ws:///echo"], "is not a WebSocket URL"),
    "port-of-words": (["ws://127.0.0.1:echo/"], "is not a WebSocket URL"),
    "two-urls": (["ws://127.0.0.1:1/", "ws://127.0.0.1:2/"], "ws://127.0.0.1:2/"),
    "rate-zero": (["--rate", "0"], "--rate"),
    "rate-of-words": (["--rate", "fast"], "'fast'"),
    "arrivals": (["--arrivals", "random"], "'random'"),
    "in-flight-zero": (["--in-flight", "0"], "--in-flight"),
    "users-zero": (["--users", "0"], "--users"),
    "users-beyond-all-limits": (["--users", "1" + "0" * 400], "--users"),
    "users-beyond-all-files": (["--users", "1" + "0" * 9], "need more files"),
    "rate-beyond-all-limits": (["--rate", "1e308"], "--rate 1e+308"),
    "in-flight-beyond-all-memory": (["--in-flight", "1" + "0" * 9], "of memory"),
    "processes-beyond-all-limits": (["--processes", "257"], "--processes"),
    "users-of-words": (["-u", "ten"], "'ten' is not a whole number from 1 to 1000000000"),
    "in-flight-in-an-open-loop": (["--in-flight", "4", "--rate", "10"], "--in-flight has no effect"),
    "arrivals-in-a-closed-loop": (["--arrivals", "poisson"], "--arrivals has no effect"),
    "insecure-without-tls": (["ws://127.0.0.1:1/", "--insecure"], "--insecure has no effect"),
    "resumption-without-tls": (["--tls-resume"], "--tls-resume has no effect"),
    "addresses-of-an-address": (["ws://127.0.0.1:1/", "--addresses", "all"], "--addresses has no effect"),
    "addresses-of-a-target": (["--addresses", "all"], "--addresses has no effect"),
    "addresses-neither": (["ws://name.test/", "--addresses", "last"], "'last' is none of first, all"),
    "two-payloads": (["--payload-size", "64", "--payload-file", "file"], "--payload-size has no effect"),
    "processes-zero": (["--processes", "0"], "--processes"),
    "spawn-rate-zero": (["--spawn-rate", "0"], "--spawn-rate"),
    "duration-zero": (["--duration", "0"], "--duration"),
    "duration-of-words": (["--duration", "soon"], "'soon'"),
    "run-time-of-words": (["--run-time", "soon"], "'soon'"),
    "run-time-of-fractions": (["--run-time", "1500ms"], "whole number of seconds"),
    "timeout-negative": (["--timeout", "-1s"], "--timeout"),
    "payload-size-small": (["--payload-size", "10"], "48 bytes"),
    "payload-file-missing": (["--payload-file", "nowhere.json"], "nowhere.json"),
    "payload-file-directory": (["--payload-file", "."], "--payload-file"),
    "payload-file-a-pipe": (["--web", "--payload-file", "pipe"], "pipe is a pipe"),
    "ca-a-pipe": (["wss://127.0.0.1:1/", "--ca", "pipe"], "pipe is a pipe"),
    "scenario-a-pipe": (["--scenario", "pipe"], "pipe is a pipe"),
    "payload-file-empty": (["--payload-file", "empty"], "empty"),
    "compression": (["--compression", "sometimes"], "'sometimes'"),
    "compression-window": (["--compression", "client_max_window_bits=99"], "client_max_window_bits"),
    "header-without-colon": (["--header", "X-Token"], "X-Token"),
    "header-not-latin": (["--header", "X-Token: 5 €"], "'€' (U+20AC)"),
    "not-utf-8": (["--results", b"r\xff".decode(errors="surrogateescape")], "'r\\udcff' is not valid UTF-8"),
    "gate-figure": (["--fail-if", "avg > 5ms"], "'avg' is no figure; did you mean mean?"),
    "gate-unit": (["--fail-if", "p99 > 5"], "'5' has no unit"),
    "gate-stage": (["--fail-if", "stage1.p99 > 5ms"], "this run has no stages"),
    "gate-share": (["--fail-if", "missing > 1%"], "Divide it: missing / OTHER > 1%"),
    "gate-value": (["--fail-if", "p99 >"], "value"),
    "reconnect": (["--reconnect", "maybe"], "'maybe'"),
    "name": (["--name", "../elsewhere"], "../elsewhere"),
    "ca-missing": (["--ca", "nowhere.pem"], "nowhere.pem"),
    "scenario-missing": (["--scenario", "nowhere.py"], "nowhere.py"),
    "target": (["--target", "nginx"], "'nginx'"),
    "tls-with-url": (["wss://127.0.0.1:1/", "--tls"], "--tls"),
    "misspelt-option": (["--paylod-size", "128"], "--payload-size"),
    "results-in-a-file": (["--results", "file/results"], "--results"),
    "results-a-file": (["--results", "file"], "--results"),
}


@pytest.mark.parametrize("case", WRONG_USAGE)
def test_wrong_usage(run_cli: RunCli, tmp_path: Path, case: str) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    arguments, said = WRONG_USAGE[case]
    result = run_cli("run", *arguments, "--json", "--quiet")
    assert_error(result, 2, said)
    assert (tmp_path / "file").read_text() == "in the way"
    assert_nothing_left(result, tmp_path)


def test_a_misspelt_command(run_cli: RunCli) -> None:
    assert_error(run_cli("rum", "ws://127.0.0.1:1/"), 2, "Did you mean run?")


def test_an_option_from_the_environment_may_have_no_effect(run_cli: RunCli, tmp_path: Path) -> None:
    idle = {"WSBENCH_IN_FLIGHT": "4", "WSBENCH_ARRIVALS": "poisson", "WSBENCH_INSECURE": "1"}
    assert_error(run_cli("run", "ws://something.invalid/", *BRIEF, env=idle), 3, "something.invalid")
    assert_error(run_cli("run", "ws://something.invalid/", *BRIEF, "--rate", "10", env=idle), 3, "something.invalid")


def test_an_empty_variable_is_not_given_and_a_line_end_is_no_part_of_a_value(run_cli: RunCli) -> None:
    empty = {"WSBENCH_RATE": "", "WSBENCH_BINARY": " ", "WSBENCH_SET": "\n", "WSBENCH_USERS": ""}
    ended = {"WSBENCH_NAME": "mine\n", "WSBENCH_ORIGIN": "http://here.test\r\n", "WSBENCH_HEADER": "A: b\n\nC: d\n"}
    assert_error(run_cli("run", "ws://something.invalid/", *BRIEF, env=empty | ended), 3, "something.invalid")


def test_a_wrong_value_from_the_environment_is_said_to_be_from_there(run_cli: RunCli) -> None:
    assert_error(run_cli("run", env={"WSBENCH_RATE": "fast"}), 2, "WSBENCH_RATE")


# -- the target cannot be measured -------------------------------------------------------------------------------------


def test_a_closed_port(run_cli: RunCli, tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # taken, and nobody listens
        port = unused.getsockname()[1]
        result = run_cli("run", f"ws://127.0.0.1:{port}/echo", *BRIEF)
    assert_error(result, 3, f"127.0.0.1:{port}")
    assert "refused" in result.stderr
    assert_nothing_left(result, tmp_path)


def test_a_host_that_does_not_exist(run_cli: RunCli, tmp_path: Path) -> None:
    result = run_cli("run", "ws://something.invalid/echo", *BRIEF)
    assert_error(result, 3, "something.invalid")
    assert_nothing_left(result, tmp_path)


def test_wss_where_ws_is_spoken(run_cli: RunCli, tmp_path: Path, bad_handshakes: BadHandshakes) -> None:
    result = run_cli("run", bad_handshakes.url("/ok", "wss"), *BRIEF)
    assert_error(result, 3, "TLS")
    assert_nothing_left(result, tmp_path)


SAID = {
    "/200": "200 OK",
    "/redirect": "/moved",
    "/401": "401 Unauthorized",
    "/403": "403 Forbidden",
    "/404": "404 Not Found",
    "/426": "version 13",
    "/503": "503 Service Unavailable",
    "/no-upgrade": "proxy",
    "/101-no-upgrade": "Upgrade",
    "/wrong-accept": "Sec-WebSocket-Accept",
    "/unrequested-extension": "permessage-deflate",
    "/unrequested-subprotocol": "never-asked-for",
    "/http10": "HTTP/1.0",
    "/silent": "within 500ms",
    "/close": "closed the connection",
    "/rst": "reset",
    "/garbage": "HTTP",
    "/slow": "within 500ms",
    "/endless-headers": "headers",
}


def test_there_is_a_text_for_every_fault() -> None:
    assert SAID.keys() == FAULTS.keys() - {"/ok", "/302"}  # which is /redirect


@pytest.mark.parametrize("path", SAID)
def test_a_handshake_that_fails(run_cli: RunCli, tmp_path: Path, bad_handshakes: BadHandshakes, path: str) -> None:
    result = run_cli("run", bad_handshakes.url(path), *BRIEF)
    assert_error(result, 3, SAID[path])
    assert f"127.0.0.1:{bad_handshakes.port}" in result.stderr
    assert_nothing_left(result, tmp_path)


def test_two_processes_fail_like_one(run_cli: RunCli, tmp_path: Path, bad_handshakes: BadHandshakes) -> None:
    """And what was asked for was in every request."""
    options = ("--header", "X-Token: a=b; c", "--header", "X-Empty:", "--origin", "https://example.org")
    options += ("--subprotocol", "chat.v2", "--subprotocol", "chat.v1", "--compression", "on")
    result = run_cli("run", bad_handshakes.url("/404?q=1"), *BRIEF, "-u", "4", "--processes", "2", *options)
    assert_error(result, 3, "404 Not Found")
    assert_nothing_left(result, tmp_path)
    assert len(bad_handshakes.requests) == 4
    for request in bad_handshakes.requests:
        assert request.target == "/404?q=1"
        assert (request.headers["x-token"], request.headers["x-empty"]) == ("a=b; c", "")
        assert request.headers["origin"] == "https://example.org"
        assert request.headers["sec-websocket-protocol"].replace(" ", "") == "chat.v2,chat.v1"
        assert request.headers["sec-websocket-extensions"].startswith("permessage-deflate")


@pytest.mark.parametrize(("leave", "code"), [("os._exit(7)", 7), ("os.kill(os.getpid(), 9)", "SIGKILL")])
def test_a_locust_that_ends_in_the_middle(
    run_cli: RunCli, tmp_path: Path, bad_handshakes: BadHandshakes, leave: str, code: int | str
) -> None:
    scenario = "import os\nfrom wsbench import WebSocketUser\nclass Mine(WebSocketUser):\n    def on_open(self, ws):\n"
    (tmp_path / "ending.py").write_text(f"{scenario}        {leave}\n")
    result = run_cli("run", bad_handshakes.url("/ok"), *BRIEF, "--scenario", "ending.py")
    assert_error(result, 3, f"{code}")
    assert "result" in result.stderr
    assert_nothing_left(result, tmp_path)


def test_a_run_without_a_result_leaves_its_reason_for_the_ci_server(run_cli: RunCli, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"ws://127.0.0.1:{server.getsockname()[1]}/?token=s3cr3t"
    result = run_cli("run", url, *BRIEF, "--name", "nightly", "--summary", "summary.md", "--junit", "junit.xml")
    assert_error(result, 3, "nothing listens on")
    [case] = ElementTree.parse(tmp_path / "junit.xml").iter("testcase")
    assert (case.get("name"), case.get("classname")) == ("outcome", "wsbench run nightly")
    [error] = case.iter("error")
    assert "nothing listens on" in error.get("message", "")
    assert "### ❌ wsbench run: nightly\n\nnothing listens on" in (tmp_path / "summary.md").read_text()


def test_replies_that_never_come_are_a_result(run_cli: RunCli, tmp_path: Path, bad_handshakes: BadHandshakes) -> None:
    """The server took the connection and keeps still: gates fail, but it is not measured in the first place."""
    result = run_cli("run", bad_handshakes.url("/ok"), *BRIEF, "--fail-if", "lost > 0", "--fail-if", "p50 > 1h")
    assert result.returncode == 3, result.stderr
    run = runs.read(runs.only(tmp_path / "results"))
    assert run["messages"]["received"] == 0 < run["messages_all_phases"]["lost"]
    assert [gate["failed"] for gate in run["gates"]] == [True, True]
    assert run["latency"]["response"]["p50_ns"] is None
