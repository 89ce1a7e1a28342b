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


def test_a_name_that_gates_read_as_a_figure_is_an_error_of_the_scenario(
    run_cli: RunCli, tmp_path: Path, target: EchoTarget
) -> None:
    scenario = ("--scenario", str(FILES / "naming.py"), "--set", "counter=errors")
    result = run_cli("run", target.url, *scenario, "-u", "2", *QUICK, "--fail-if", "errors > 0")
    assert result.returncode == 1, result.stderr
    run = runs.read(runs.only(tmp_path / "results"), echoed=False)
    assert run["counters"] == {} and [gate["failed"] for gate in run["gates"]] == [True]
    assert "'errors' is a figure in gates, use another (naming.py, line 24, in ask)" in example(run, "scenario")


def test_gates_by_phase_add_up_to_those_of_the_whole_run(run_cli: RunCli, tmp_path: Path, target: EchoTarget) -> None:
    scenario = ("--scenario", str(FILES / "naming.py"), "--set", "counter=seen.so-far")
    figures = ("errors", "corrupted", "sent", "ask.count", "ask.errors", "seen.so-far")
    scopes = ("", "ramp.", "warmup.", "measure.", "drain.")
    gates = [f"{scope}{figure} < 0" for figure in figures for scope in scopes]
    options = [argument for gate in gates for argument in ("--fail-if", gate)]
    result = run_cli("run", target.url, *scenario, "-u", "4", "--processes", "2", *QUICK, *options)
    assert result.returncode == 0, result.stderr
    run = runs.read(runs.only(tmp_path / "results"), echoed=False)
    values = {gate["expression"]: int(gate["value"].replace(",", "")) for gate in run["gates"]}
    assert list(values) == gates
    for figure in figures:
        whole, *parts = (values[f"{scope}{figure} < 0"] for scope in scopes)
        assert whole == sum(parts) > 0 and parts[2] > 0, figure
    assert values["errors < 0"] == values["ask.errors < 0"] == values["corrupted < 0"] == run["whole_run"]["errors"]
    assert values["seen.so-far < 0"] == run["counters"]["seen.so-far"]
    assert values["measure.ask.count < 0"] == run["latency"]["ask"]["count"]


def _wrong_values(scenario: Path) -> list[str]:
    text = scenario.read_text()
    return [line.split('"')[1] for line in text.splitlines() if ": lambda user:" in line]
