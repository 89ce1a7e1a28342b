"""Scenarios with several classes of users: which server each of them uses, and which of them count as connections."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import runs
from helpers.process import TESTS, CliResult
from helpers.runs import Document, EchoTarget

RunCli = Callable[..., CliResult]

SCENARIO = Path(TESTS, "helpers", "locustfiles", "hosts.py")
QUICK = ("-u", "5", "--warmup", "0s", "-d", "1s")


@pytest.fixture(scope="module")
def target() -> Iterator[EchoTarget]:
    with runs.echo_target() as started:
        yield started


def checked(where: Path, asked: int = 3) -> Document:
    run = runs.read(runs.only(where / "results"), echoed=False)
    connections, findings = run["connections"], [finding["code"] for finding in run["generator"]["findings"]]
    assert run["conditions"]["users"] == connections["asked"] == connections["opened"] == asked
    assert "fewer-connections" not in findings
    assert run["other_requests"]["count"] > 4
    return run


@pytest.mark.parametrize("processes", ["1", "2"])
def test_http_users_have_the_same_server_over_http(
    run_cli: RunCli, tmp_path: Path, target: EchoTarget, processes: str
) -> None:
    url = target.url.removesuffix("/echo")
    long = ("-d", "4s") if processes > "1" else ()  # Locust's workers report every 3 s
    result = run_cli("run", url, "--scenario", str(SCENARIO), *QUICK, *long, "--processes", processes)
    assert result.returncode == 0, result.stderr
    assert checked(tmp_path)["other_requests"]["failed"] == 0


def test_http_users_keep_their_own_host(run_cli: RunCli, tmp_path: Path, target: EchoTarget) -> None:
    nobody = {"HTTP_HOST": "http://127.0.0.1:1"}
    result = run_cli("run", target.url, "--scenario", str(SCENARIO), *QUICK, env=nobody)
    assert result.returncode == 3, "all of their requests fail"
    others = checked(tmp_path)["other_requests"]
    assert others["failed"] == others["count"]


def test_without_a_url_classes_use_their_own_host(run_cli: RunCli, tmp_path: Path, target: EchoTarget) -> None:
    before, host = target.stats(), target.url.removesuffix("/echo") + "/"
    result = run_cli("run", "--scenario", str(SCENARIO), *QUICK, env={"WS_HOST": host})
    assert result.returncode == 0, result.stderr
    assert f"the scenario's own host: {host}" in result.stderr
    run = checked(tmp_path)
    assert (run["conditions"]["url"], run["target"]["name"]) == (host, None)
    assert target.stats()["connections_opened"] - before["connections_opened"] == 3


def test_under_locust_classes_use_their_own_host(tmp_path: Path, target: EchoTarget) -> None:
    host = target.url.removesuffix("/echo") + "/"
    result = runs.locust("--headless", *QUICK, scenario=SCENARIO, cwd=tmp_path, env={"WS_HOST": host}).finish()
    assert result.returncode == 0, result.stderr
    assert checked(tmp_path)["conditions"]["url"] == host


def test_a_url_comes_before_the_host_of_a_class(run_cli: RunCli, tmp_path: Path, target: EchoTarget) -> None:
    result = run_cli("run", target.url, "--scenario", str(SCENARIO), *QUICK, env={"WS_HOST": "ws://127.0.0.1:1/"})
    assert result.returncode == 0, result.stderr
    assert checked(tmp_path)["conditions"]["url"] == target.url
