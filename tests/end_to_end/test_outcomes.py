"""The table of docs/outcome.md, "every way a run can end": outcome, reason, exit code, and what is kept."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from helpers import process, runs
from helpers.process import CliResult, Running
from helpers.runs import Document, EchoTarget

LOCUSTFILES = process.TESTS / "helpers" / "locustfiles"
SHORT = ("-u", "2", "-d", "600ms", "--warmup", "100ms", "--timeout", "300ms", "--drain", "100ms")
TOO_FAST = ("-u", "20", "--rate", "150000", "--timeout", "60s", "--drain", "40s")
STRICT = ("--strict", "--fail-if", "errors > 0", "--fail-if", "lost > 0")


@pytest.fixture(scope="module")
def target() -> Iterator[EchoTarget]:
    with runs.echo_target() as running:
        yield running


def run(tmp_path: Path, *arguments: str, **environment: str) -> tuple[CliResult, Document]:
    """Return a short run's end and its run.json."""
    return ended(tmp_path, *arguments, **environment), result_of(tmp_path)


def ended(tmp_path: Path, *arguments: str, **environment: str) -> CliResult:
    """Return a short run's end."""
    result = Running(
        [sys.executable, "-m", "wsbench", "run", *SHORT, *arguments], cwd=tmp_path, env=environment
    ).finish()
    assert "Traceback" not in result.stderr
    return result


def result_of(tmp_path: Path) -> Document:
    return runs.read(runs.only(tmp_path / "results"), echoed=False)


def reasons(document: Document) -> list[str]:
    return [reason["code"] for reason in document["outcome"]["reasons"]]


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("silent", "never-answers"),
        ("pings", "never-answers"),
        ("push", "answers-otherwise"),
        ("wrap", "answers-otherwise"),
        ("empty", "answers-otherwise"),
        ("stringify", "answers-otherwise"),
        ("binary", "answers-otherwise"),
        ("invalid", "answers-otherwise"),
        ("close=1013", "closes-at-once"),
        ("close=4008", "closes-at-once"),
    ],
)
def test_a_server_that_gives_no_right_reply_is_not_measured(tmp_path: Path, mode: str, reason: str) -> None:
    server, url = process.start_server("helpers.wrong_echo", mode)
    try:
        result, document = run(tmp_path, url, *STRICT)
    finally:
        server.stop()
    assert (result.returncode, document["outcome"]["result"]) == (3, "not-measured")
    assert reasons(document)[0] == reason
    assert result.stdout.splitlines()[0].startswith("NOT MEASURED: "), result.stdout
    assert document["whole_run"]["errors"] > 0 or reason == "answers-otherwise"


def test_a_run_without_a_message_is_not_measured(tmp_path: Path, target: EchoTarget) -> None:
    result, document = run(tmp_path, target.url, "--rate", "0.01")
    assert (result.returncode, reasons(document)) == (3, ["nothing-due"])


@pytest.mark.parametrize(("mode", "setting", "reason"), [("silent", "0", "never-answers"), ("echo", "1", "refused")])
def test_a_login_that_never_succeeds_is_not_measured(
    tmp_path: Path, target: EchoTarget, mode: str, setting: str, reason: str
) -> None:
    server, url = process.start_server("helpers.wrong_echo", mode) if mode != "echo" else (None, target.url)
    try:
        scenario = str(LOCUSTFILES / "logging_in.py")
        result, document = run(tmp_path, url, "--scenario", scenario, "--set", f"refuse={setting}")
    finally:
        if server is not None:
            server.stop()
    assert (result.returncode, document["outcome"]["result"]) == (3, "not-measured")
    assert reasons(document)[0] == reason


def test_a_refused_namespace_is_a_failed_connection(tmp_path: Path) -> None:
    scenario = tmp_path / "refused.py"
    scenario.write_text("from helpers.locustfiles.packets import Refused  # noqa: F401\n")
    path = f"{process.TESTS}"
    result = ended(tmp_path, "--target", "python-socketio", "--scenario", str(scenario), PYTHONPATH=path)
    assert result.returncode == 3
    assert "error: the namespace /nowhere refuses" in result.stdout + result.stderr
    assert not runs.directories(tmp_path / "results")


@pytest.mark.parametrize(
    ("pages", "code", "outcome"),
    [("/nowhere", 3, "not-measured"), ("/stats /nowhere", 0, "passed"), ("/stats", 0, "passed")],
)
def test_failed_requests_of_other_users_count(
    tmp_path: Path, target: EchoTarget, pages: str, code: int, outcome: str
) -> None:
    scenario = str(LOCUSTFILES / "mixed_protocols.py")
    result, document = run(tmp_path, target.url, "--scenario", scenario, PAGES=pages)
    assert (result.returncode, document["outcome"]["result"]) == (code, outcome)
    assert ("requests-failed" in reasons(document)) is ("/nowhere" in pages)
    assert document["other_requests"]["count"] > 0


@pytest.mark.parametrize(
    ("arguments", "code", "outcome", "first"),
    [
        ((), 0, "passed", None),
        (("--fail-if", "p99 > 0.001ms"), 1, "failed", "gate-failed"),
        (("--strict", *TOO_FAST), 4, "failed", "not-trusted"),
        (("--strict", *TOO_FAST, "--fail-if", "p99 > 0.001ms"), 1, "failed", "gate-failed"),
    ],
    ids=["passed", "gate", "strict", "both"],
)
def test_a_service_that_works(
    tmp_path: Path, target: EchoTarget, arguments: tuple[str, ...], code: int, outcome: str, first: str | None
) -> None:
    result, document = run(tmp_path, target.url, *arguments)
    assert (result.returncode, document["outcome"]["result"]) == (code, outcome)
    assert reasons(document)[:1] == ([first] if first else [])
    assert document["complete"] and document["ended_by"] == "duration"


def test_some_faults_pass_and_are_told(tmp_path: Path) -> None:
    server, url = process.start_server("helpers.faulty_echo", "--drop", "5", "--corrupt", "7")
    try:
        result, document = run(tmp_path, url)
    finally:
        server.stop()
    assert (result.returncode, document["outcome"]["result"]) == (0, "passed")
    assert {"lost", "corrupted"} <= {*reasons(document)}
    first = result.stdout.splitlines()[0]
    assert first.startswith("passed: ") and "lost" in first and "corrupted" in first


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_an_interrupted_run(tmp_path: Path, target: EchoTarget, number: signal.Signals) -> None:
    started = process.start_cli("run", target.url, "-d", "60s", "--warmup", "0s", cwd=tmp_path)
    target.until_measured(10)
    started.signal(number)
    result = started.finish()
    document = result_of(tmp_path)
    assert (result.returncode, document["ended_by"], document["complete"]) == (130, "interrupt", False)
    assert document["outcome"]["result"] == "passed"


def test_a_run_time_is_a_duration(tmp_path: Path, target: EchoTarget) -> None:
    result = process.run_cli("run", target.url, "-u", "2", "--warmup", "100ms", "-t", "2s", cwd=tmp_path)
    document = result_of(tmp_path)
    assert (result.returncode, document["ended_by"], document["complete"]) == (0, "duration", True)


def test_a_run_of_which_every_worker_is_lost(tmp_path: Path, target: EchoTarget) -> None:
    started = process.start_cli("run", target.url, "-d", "60s", "--processes", "2", "-u", "4", cwd=tmp_path)
    target.until_measured(4)
    locust = next(child for child in psutil.Process(started.pid).children() if "launched" in " ".join(child.cmdline()))
    for worker in locust.children():
        worker.kill()
    result = started.finish()
    document = json.loads((runs.only(tmp_path / "results") / "run.json").read_bytes())  # messages in flight are gone
    assert (result.returncode, document["outcome"]["result"]) == (3, "not-measured")
    assert (document["ended_by"], document["complete"]) == ("error", False)
    assert reasons(document)[0] == "workers-lost"
