"""Secrets are in no file of a result and not on the terminal, unless they are asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from helpers import process, runs
from helpers.process import CliResult

Cli = Callable[..., CliResult]

PASSWORD, QUERY, BEARER, COOKIE = "pa55-w0rd", "qu3ry-t0ken", "b3arer.t0ken", "c00kie-jar"
CUSTOM, SETTING, OFFERED = "cust0m-v4lue", "s3tting-v4lue", "0ffered-t0ken"
SECRETS = (PASSWORD, QUERY, BEARER, COOKIE, CUSTOM, SETTING, OFFERED)
OPTIONS = (
    *("--header", f"Authorization: Bearer {BEARER}", f"--header=cookie:id={COOKIE}", "--header", f"X-Custom: {CUSTOM}"),
    *("--secret", "x-custom", "--subprotocol", "access_token", "--subprotocol", OFFERED),
)
SCENARIO = process.TESTS / "helpers" / "locustfiles" / "telling.py"
QUICK = ("-u", "6", "-d", "1500ms", "--warmup", "100ms", "--drain", "1s")


@pytest.fixture(scope="module")
def telltale() -> Iterator[str]:
    """URL of a server that tells the secrets of its clients, with a password and a token."""
    server, url = process.start_server("helpers.telltale")
    try:
        yield url.replace("ws://", f"ws://me:{PASSWORD}@") + f"chat?room=7&access_token={QUERY}"
    finally:
        server.stop()


def told(*results: CliResult, where: Path) -> str:
    """Return the output of commands and all files in a directory, their names included."""
    texts = [text for result in results for text in (result.stdout, result.stderr)]
    files = sorted(path for path in where.rglob("*") if path.is_file())
    return "\n".join([*texts, *(f"{path}\n{path.read_bytes().decode(errors='replace')}" for path in files)])


def named_in(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


def run(run_cli: Cli, url: str, *options: str) -> CliResult:
    """Run the scenario that tells its secret."""
    return run_cli(
        *("run", url, "--scenario", str(SCENARIO), "--set", "room=1", "--set", f"token={SETTING}", *OPTIONS, *QUICK),
        *("--summary", "summary.md", "--junit", "junit.xml", *options),
    )


def test_no_secret_is_in_a_result_or_on_the_terminal(run_cli: Cli, telltale: str, tmp_path: Path) -> None:
    result = run(run_cli, telltale, "--processes", "2")
    assert result.returncode == 0, result.stderr
    assert named_in(told(result, where=tmp_path)) == []
    document = runs.read(runs.only(tmp_path / "results"))
    where = urlsplit(telltale).netloc.rpartition("@")[2]
    assert document["conditions"]["url"] == f"ws://me:***@{where}/chat?room=7&access_token=***"
    assert document["conditions"]["settings"] == {"token": "***", "room": "1"}
    assert document["negotiated"]["subprotocol"] == "***"
    assert "token=***" in document["command"] and "Authorization: Bearer ***" in document["command"]
    assert sum("wrong: " in error["example"] and "***" in error["example"] for error in document["errors"]) >= 2
    (rejected,) = document["examples"]
    assert '"mine":"***' in rejected["received"] and rejected["difference"].startswith("unwanted: ")
    log = (runs.only(tmp_path / "results") / "locust.log").read_text()
    assert "printed ***" in log and "logged ***" in log and "ValueError: *** is no good" in log


def test_they_are_there_when_they_are_asked_for(run_cli: Cli, telltale: str, tmp_path: Path) -> None:
    result = run(run_cli, telltale, "--show-credentials")
    assert result.returncode == 0, result.stderr
    document = runs.read(runs.only(tmp_path / "results"))
    assert named_in(json.dumps([document["command"], document["conditions"], document["negotiated"]])) == list(SECRETS)
    assert f"printed {SETTING}" in (runs.only(tmp_path / "results") / "locust.log").read_text()
    assert telltale in result.stdout
    assert named_in((tmp_path / "cmdline.txt").read_text()) == []  # no list of processes shows them


def test_plain_locust_stores_no_secret_either(telltale: str, tmp_path: Path) -> None:
    arguments = ("--host", telltale, "--set", f"token={SETTING}", *OPTIONS, "--headless", "-u", "4", "-r", "10")
    result = runs.locust(*arguments, "-t", "3s", "--warmup", "100ms", cwd=tmp_path, scenario=SCENARIO).finish()
    assert result.returncode in (0, 1), result.stderr  # Locust's own exit code is 1 after a failed request
    assert named_in(told(where=tmp_path / "results")) == []
    assert "logged ***" in (runs.only(tmp_path / "results") / "locust.log").read_text()
    assert "logged ***" in result.stderr


def test_an_error_that_ends_a_run_names_no_secret(run_cli: Cli, telltale: str, tmp_path: Path) -> None:
    unreachable = telltale.replace("127.0.0.1", "127.0.0.1.invalid")
    for url, options in (
        (unreachable, ()),
        (telltale, ("--set", f"token={SETTING}")),  # the echo scenario has no such setting
        (telltale, ("--header", f"Authorization Bearer {BEARER}")),
    ):
        result = run_cli("run", url, *OPTIONS, *QUICK, *options, "--debug")
        assert result.returncode in (2, 3)
        assert named_in(result.stdout + result.stderr) == []


def test_secrets_of_the_environment_are_hidden_as_well(run_cli: Cli, telltale: str, tmp_path: Path) -> None:
    headers = f"Authorization: Bearer {BEARER}\nX-Custom: {CUSTOM}"
    variables = {"WSBENCH_HEADER": headers, "WSBENCH_SET": f"token={SETTING}", "WSBENCH_SECRET": "X-Custom"}
    result = run_cli("run", telltale, "--scenario", str(SCENARIO), *QUICK, "--json", env=variables)
    assert result.returncode == 0, result.stderr
    assert named_in(told(result, where=tmp_path)) == []
    wrong = run_cli("run", telltale, "--set", "room=1", env={**variables, "WSBENCH_HEADER": f"X-Custom {CUSTOM}"})
    assert (wrong.returncode, named_in(wrong.stderr)) == (2, [])


def test_a_search_for_a_capacity_stores_no_secret(run_cli: Cli, telltale: str, tmp_path: Path) -> None:
    bounds = ("--min", "50", "--start", "50", "--max", "50", "-d", "500ms", "--longest", "500ms", "--slo", "p90 < 10s")
    result = run_cli("capacity", telltale, *OPTIONS, *bounds, "-u", "4", "--warmup", "100ms", "--json")
    assert result.returncode in (0, 1), result.stderr
    assert named_in(told(result, where=tmp_path)) == []
    assert "access_token=***" in result.json()["url"] and "x-custom" in result.json()["command"]


EXPERIMENT = """
connections = 3
duration = "500ms"
warmup = "100ms"
repetitions = 1
[[target]]
url = '{url}'
header = ["Authorization: Bearer {bearer}", "x-custom: {custom}"]
subprotocol = ["access_token", "{offered}"]
"""


def test_an_experiment_stores_no_secret_and_resumes_with_its_file(run_cli: Cli, telltale: str, tmp_path: Path) -> None:
    text = EXPERIMENT.format(url=telltale, bearer=BEARER, custom=CUSTOM, offered=OFFERED)
    (tmp_path / "secret.toml").write_text(text)
    result = run_cli("matrix", "secret.toml", "--json", "--secret", "X-Custom")
    (directory,) = (tmp_path / "results").iterdir()
    assert named_in(told(result, where=directory)) == []
    assert run_cli("matrix", "--resume", str(directory), "--secret", "X-Custom").returncode == 2
    for arguments in (("secret.toml", "--resume", str(directory)), ("secret.toml", "--resume")):
        again = run_cli("matrix", *arguments, "--secret", "X-Custom", "--quiet")
        assert again.returncode == result.returncode, again.stderr
    assert [*(tmp_path / "results").iterdir()] == [directory]
