"""`wsbench targets`, and `wsbench run --target`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import runs
from helpers.process import CliResult, no_leftovers
from helpers.runs import QUICK, assert_error

from wsbench.targets import catalogue

RunCli = Callable[..., CliResult]
NOTHING_INSTALLED = {"PATH": "/nowhere"}


def test_json_is_the_catalogue(run_cli: RunCli) -> None:
    result = run_cli("targets", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    document = result.json()
    assert [entry["name"] for entry in document["targets"]] == catalogue.names()
    assert [proxy["name"] for proxy in document["proxies"]] == list(catalogue.PROXIES)
    for entry in document["targets"]:
        target = catalogue.find(entry["name"])
        assert entry["version"] == (None if target.missing() else target.version())
        assert (entry["install"] is None) == (entry["missing"] is None) == (entry["version"] is not None)
        able = target.capabilities
        assert [entry["tls"], entry["compression"], entry["workers"]] == [able.tls, able.compression, able.workers]


def test_the_table_names_every_target_and_its_version(run_cli: RunCli) -> None:
    result = run_cli("targets")
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert all(len(line) <= 100 for line in lines if not line.startswith("    "))
    assert "\x1b" not in result.stdout
    shown = {words[0]: words[1] for line in lines if len(words := line.split()) > 1}
    for target in catalogue.ENTRIES:
        assert shown[target.name] == ("-" if target.missing() else target.version().split()[0])


def test_what_is_missing_comes_with_the_command_that_installs_it(run_cli: RunCli) -> None:
    by_name = {entry["name"]: entry for entry in run_cli("targets", "--json", env=NOTHING_INSTALLED).json()["targets"]}
    assert by_name["gorilla"]["version"] is None
    assert by_name["gorilla"]["missing"] == "no go on PATH"
    assert by_name["gorilla"]["install"] == "apt-get install golang-go golang-github-gorilla-websocket-dev"
    assert "npm ci --prefix /" in by_name["ws"]["install"]
    assert by_name["websockets"]["version"]
    table = run_cli("targets", env=NOTHING_INSTALLED).stdout
    assert "  no go on PATH; to install it:\n    apt-get install golang-go golang-github" in table


@pytest.mark.needs("nginx", "target picows")
@pytest.mark.parametrize("target", ["picows", "nginx>picows"])
def test_a_run_against_a_target_of_the_catalogue(target: str, run_cli: RunCli, tmp_path: Path) -> None:
    result = run_cli("run", "--target", target, "--tls", "-u", "5", *QUICK, "--json")
    assert result.returncode == 0, result.stderr
    run = runs.read(runs.only(tmp_path / "results"))
    assert run["target"]["name"] == target
    assert run["target"]["version"] == catalogue.find(target).version()
    assert run["target"]["cpu_s"] > 0 and run["target"]["rss_bytes"] > 0
    assert run["negotiated"]["tls_version"].startswith("TLSv1.")
    assert run["messages_all_phases"]["received"] == run["messages_all_phases"]["sent"] > 0
    assert run["connections"]["close_codes"] == {"1000": 5}
    no_leftovers(result)


@pytest.mark.needs("target gorilla")
def test_compression_is_passed_on(run_cli: RunCli, tmp_path: Path) -> None:
    arguments = ("--compression", "on", "--payload-size", "2000", "-u", "5", *QUICK)
    result = run_cli("run", "--target", "gorilla", *arguments, "--json")
    assert result.returncode == 0, result.stderr
    run = runs.read(runs.only(tmp_path / "results"))
    assert run["negotiated"]["compression"].startswith("permessage-deflate")
    assert run["bytes"]["wire_received"] < run["bytes"]["payload_received"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--target", "pikows"], "Did you mean 'picows'?"),
        (["--target", "picows", "ws://127.0.0.1:1/"], "--tls and --target are for the target that wsbench starts"),
        (["--target", "picows", "--compression", "on"], "picows has no compression"),
        (["--target", "socketio-node"], "speaks socket.io"),
    ],
)
def test_wrong_usage(arguments: list[str], said: str, run_cli: RunCli, tmp_path: Path) -> None:
    assert_error(run_cli("run", *arguments, "--quiet"), 2, said)
    assert not (tmp_path / "results").exists()


def test_a_missing_target_is_no_wrong_usage(run_cli: RunCli) -> None:
    result = run_cli("run", "--target", "gorilla", "--quiet", env=NOTHING_INSTALLED)
    assert_error(result, 3, "Install it: apt-get install golang-go")
