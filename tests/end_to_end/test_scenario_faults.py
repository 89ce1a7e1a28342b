"""Whatever a scenario's author writes, the run ends within its time, with an exit code and the cause."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import process, runs
from helpers.process import CliResult
from helpers.runs import Document, EchoTarget

RunCli = Callable[..., CliResult]

FILES = Path(process.TESTS, "helpers", "locustfiles")
QUICK = ("--warmup", "200ms", "-d", "1s", "--drain", "1s", "--quiet")


@pytest.fixture(scope="module")
def target() -> Iterator[EchoTarget]:
    with runs.echo_target() as started:
        yield started


def example(run: Document, kind: str) -> str:
    """Return the example of one kind of error."""
    [found] = [error["example"] for error in run["errors"] if error["kind"] == kind]
    assert isinstance(found, str)
    return found


def test_values_of_the_wrong_kind_are_refused_where_they_are_given(
    run_cli: RunCli, tmp_path: Path, target: EchoTarget
) -> None:
    scenario = FILES / "wrong_values.py"
    result = run_cli("run", target.url, "--scenario", str(scenario), "-u", "4", "--processes", "2", *QUICK)
    assert result.returncode == 0, result.stderr
    run = runs.read(runs.only(tmp_path / "results"), echoed=False)
    assert run["counters"] == dict.fromkeys((f"refused_{name}" for name in _wrong_values(scenario)), 4)
    # The first user of each worker raises once, in its task: that costs the task and nothing else.
    assert [(error["kind"], error["count"]) for error in run["errors"]] == [("scenario", 2)]
    assert "count 0.5: a counter takes whole numbers" in example(run, "scenario")
    assert "(wrong_values.py, line" in example(run, "scenario")
    assert run["messages"]["lost"] == 0 and run["latency"]["ask"]["count"] > 20
    assert run["latency"]["rounded"]["count"] == 4 and run["latency"]["rounded"]["max_ns"] // 1000 == 2500
    assert run["latency"]["parts.first"]["count"] == 2, "the keys are the same in both workers"


def _wrong_values(scenario: Path) -> list[str]:
    text = scenario.read_text()
    return [line.split('"')[1] for line in text.splitlines() if ": lambda user:" in line]
