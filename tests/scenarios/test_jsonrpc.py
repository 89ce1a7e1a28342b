"""The README's example of a scenario, with a JSON-RPC server that is somebody else's; and what goes wrong in one."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import process, runs
from helpers.process import CliResult

RunCli = Callable[..., CliResult]
Stats = dict[str, int]
SCENARIO = Path(process.TESTS, "helpers", "locustfiles", "jsonrpc.py")
QUICK = ("-d", "1s", "--warmup", "0s")
USERS = 6


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a server that refuses every fifth order."""
    running, url = process.start_server("helpers.jsonrpc_server", "--refuse-every", "5")
    yield url
    running.stop()


def handled(url: str) -> Stats:
    """Return the counts of the server so far; zero counts are absent."""
    stats: Stats = process.http_json(url, "/stats")
    assert "strangers" not in stats, "a request came before its connection had logged in"
    return stats


def since(before: Stats, after: Stats) -> Stats:
    """Return the counts in between."""
    return {name: after[name] - before.get(name, 0) for name in after if name != "users"}


def agree(run: runs.Document, did: Stats) -> None:
    """The counts of the run are those of the server."""
    messages = run["messages_all_phases"]
    assert messages["sent"] == did["login"] + did["order"] + did["quote"]
    assert messages["lost"] == messages["unexpected"] == 0
    assert messages["received"] == messages["sent"] + did["pushed"]
    assert messages["pushed"] == run["counters"]["prices"] == did["pushed"] == did["order"] - did["refused"] > 0
    assert messages["corrupted"] == messages["rejected"] == did["refused"] > 0
    (error,) = run["errors"]
    assert (error["kind"], error["side"], error["count"]) == ("check-order", "target", did["refused"])
    assert error["example"] == "order: no funds"
    (rejected,) = run["examples"]
    assert (rejected["kind"], rejected["name"], rejected["difference"]) == ("rejected", "order", "no funds")
    assert '"no funds"' in rejected["received"] and rejected["expected"] is None


def test_run_with_two_processes_and_gates_as_in_ci(server: str, run_cli: RunCli, tmp_path: Path) -> None:
    before = handled(server)
    result = run_cli(
        "run", server, "--scenario", str(SCENARIO), "-u", str(USERS), *QUICK, "--processes", "2", "--quiet",
        "--fail-if", "order.p99 > 30s", "--fail-if", "prices < 1", "--fail-if", "corrupted > 0",
    )  # fmt: skip
    after = handled(server)
    assert result.returncode == 1, result.stderr
    run = runs.read(runs.only(tmp_path / "results"), echoed=False)
    assert [gate["failed"] for gate in run["gates"]] == [False, False, True]
    agree(run, since(before, after))
    assert after["users"] == list(range(USERS)) and since(before, after)["login"] == USERS
    latency = run["latency"]
    assert latency["login"]["count"] == USERS
    assert latency["order"]["min_ns"] >= 20_000_000


def test_plain_locust_blames_the_request_that_was_wrong(server: str, tmp_path: Path) -> None:
    before = handled(server)
    result = runs.locust(
        "--host", server, "--headless", "-u", str(USERS), *QUICK, "--csv", "own", "--only-summary",
        scenario=SCENARIO, cwd=tmp_path,
    ).finish()  # fmt: skip
    did = since(before, handled(server))
    assert result.returncode == 1, result.stderr
    run = runs.read(runs.only(tmp_path / "results"), echoed=False)
    agree(run, did)
    assert run["name"] == run["conditions"]["scenario"] == "jsonrpc"
    with (tmp_path / "own_stats.csv").open(newline="") as file:
        rows = {row["Name"]: (int(row["Request Count"]), int(row["Failure Count"])) for row in csv.DictReader(file)}
    assert {name: rows[name] for name in ("login", "order", "quote")} == {
        "login": (USERS, 0), "order": (did["order"], did["refused"]), "quote": (did["quote"], 0),
    }  # fmt: skip
    assert rows["Aggregated"][1] == did["refused"]
    with (tmp_path / "own_failures.csv").open(newline="") as file:
        failures = [(row["Name"], row["Error"], int(row["Occurrences"])) for row in csv.DictReader(file)]
    assert failures == [("order", "order: no funds", did["refused"])]


def _broken(tmp_path: Path, old: str, new: str) -> Path:
    """The scenario with a mistake in it."""
    source = SCENARIO.read_text()
    assert source.count(old) == 1
    path = tmp_path / "broken.py"
    path.write_text(source.replace(old, new))
    return path


@pytest.mark.parametrize(
    ("old", "new", "kind", "said"),
    [
        ('{"id": message["id"]}', '{"id": str(message["id"])}', "no-match", r"came and matched nothing: '{\"id\":"),
        (
            'self.count("prices")',
            'self.call(self.ws, "quote")',
            "scenario",
            r"wait .*\(broken\.py, line \d+, in call\)",
        ),
    ],
    ids=["never-matches", "asks-in-a-callback"],
)
def test_mistakes_are_told_with_their_place(
    server: str, run_cli: RunCli, tmp_path: Path, old: str, new: str, kind: str, said: str
) -> None:
    result = run_cli(
        "run", server, "--scenario", str(_broken(tmp_path, old, new)), "-u", "2", "-d", "500ms", "--warmup", "0s",
        "--timeout", "300ms", "--json", "--quiet",
    )  # fmt: skip
    errors = {error["kind"]: error["example"] for error in result.json()["errors"]}
    assert re.search(said, errors[kind])
    log = (runs.only(tmp_path / "results") / "locust.log").read_text()
    assert ("Traceback" in log) is (kind == "scenario")


def test_a_scenario_that_fails_before_it_does_anything_is_no_success(
    server: str, run_cli: RunCli, tmp_path: Path
) -> None:
    scenario = _broken(tmp_path, 'match={"id": message["id"]}', 'mach={"id": message["id"]}')
    result = run_cli("run", server, "--scenario", str(scenario), "-u", "2", "-d", "300ms", "--warmup", "0s", "--quiet")
    runs.assert_error(result, 3, "unexpected keyword argument 'mach' (broken.py, line")
    assert runs.directories(tmp_path / "results") == []
