"""`wsbench compare`, and what `run` and `compare` leave for CI servers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import process, runs
from helpers.comparisons import cell, run_with, spread_runs, write_experiment, write_run
from helpers.process import CliResult
from helpers.runs import Document, assert_error, echo_target
from junitparser import JUnitXml

RunCli = Callable[..., CliResult]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write_run(tmp_path / "base", run_with())


@pytest.fixture
def slower(tmp_path: Path) -> Path:
    return write_run(tmp_path / "slower", run_with(p50_ns=2_050_000, p99_ns=2_100_000, p99_9_ns=None))


# -- real runs ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Result directories of one run against a plain echo target, and of one against one that answers 20 ms late."""
    where = tmp_path_factory.mktemp("compare")
    found = []
    for name, options in (("plain", ()), ("delayed", ("--delay", "20ms"))):
        with echo_target(*options) as target:
            load = ("-u", "4", "--rate", "400", "--duration", "800ms", "--warmup", "100ms", "--name", name, "--quiet")
            assert process.run_cli("run", target.url, *load, cwd=where).returncode == 0
        found.append(next(path for path in (where / "results").iterdir() if path.name.endswith(name)))
    return found[0], found[1]


def metrics(comparison: Document) -> dict[str, Document]:
    (pair,) = comparison["pairs"]
    return {metric["metric"]: metric for metric in pair["metrics"]}


def test_a_server_that_answers_20_ms_later_is_slower_by_one_run_a_side(
    run_cli: RunCli, measured: tuple[Path, Path]
) -> None:
    plain, delayed = map(str, measured)
    # a machine with other work may have made the generator late, and that is no part of this test
    shown = run_cli("compare", plain, delayed, "--anyway")
    assert (shown.returncode, shown.stderr) == (1, "")
    assert shown.stdout.splitlines()[-1].startswith("verdict: NEW is slower: p50 ×")
    assert "the spread from run to run is assumed, not measured" in shown.stdout
    found = run_cli("compare", plain, delayed, "--anyway", "--json").json()
    p50 = metrics(found)["p50"]
    assert (found["verdict"], p50["verdict"], p50["spread_from"]) == ("slower", "slower", "assumed")
    documents = [runs.read(directory) for directory in measured]
    values = [document["latency"]["response"]["p50_ns"] for document in documents]
    assert (p50["base"], p50["new"], p50["ratio"]) == (*values, pytest.approx(values[1] / values[0]))
    assert metrics(found)["p99"]["verdict"] == "not compared"


def test_the_other_way_round_it_is_not_slower(run_cli: RunCli, measured: tuple[Path, Path]) -> None:
    plain, delayed = map(str, measured)
    found = run_cli("compare", delayed, plain, "--anyway", "--json")
    assert metrics(found.json())["p50"]["verdict"] == "faster"
    assert found.returncode == (0 if found.json()["verdict"] == "faster" else 5)


def test_a_result_against_itself(run_cli: RunCli, measured: tuple[Path, Path]) -> None:
    same = run_cli("compare", str(measured[0]), str(measured[0]), "--anyway")
    assert same.returncode in (0, 5)
    assert "slower:" not in same.stdout


# -- exit codes and outputs --------------------------------------------------------------------------------------------


def test_exit_codes(run_cli: RunCli, base: Path, slower: Path, tmp_path: Path) -> None:
    assert run_cli("compare", "base", "slower").returncode == 1
    assert run_cli("compare", "slower", "base").returncode == 0
    assert run_cli("compare", "base", "base").returncode == 5
    before = write_experiment(tmp_path / "before", [(cell("x"), spread_runs(5, 1))])
    write_experiment(tmp_path / "after", [(cell("x"), spread_runs(5, 2))])
    equal = run_cli("compare", "before", "after")
    assert (equal.returncode, equal.stderr) == (0, "")
    assert equal.stdout.splitlines()[-1] == "verdict: no difference beyond the margins"
    assert run_cli("compare", f"{before}:x", "after:x").returncode == 0


def test_margins_and_confidence(run_cli: RunCli, base: Path, tmp_path: Path) -> None:
    write_run(tmp_path / "doubled", run_with(p50_ns=100_000, p99_ns=101_000, p99_9_ns=201_000))
    margins = ("--margin", "p50=300%", "--margin", "p99=500%", "--margin", "p99.9=2000%")
    assert run_cli("compare", "base", "doubled").returncode == 1
    assert run_cli("compare", "base", "doubled", *margins).returncode == 0
    assert run_cli("compare", "base", "doubled", "--confidence", "99.99%").returncode == 5
    found = run_cli("compare", "base", "doubled", *margins, "--confidence", "0.9", "--json").json()
    assert found["confidence"] == 0.9
    assert {name: metric["margin"] for name, metric in metrics(found).items()} == {
        "throughput": 0.05, "p50": 3.0, "p99": 5.0, "p99.9": 20.0,
    }  # fmt: skip


def test_what_is_not_comparable_is_refused_and_anyway_is_said(run_cli: RunCli, base: Path, tmp_path: Path) -> None:
    write_run(tmp_path / "larger", run_with(payload_size=256, rate=2000.0))
    refused = run_cli("compare", "base", "larger", "--junit", "junit.xml", "--summary", "summary.md")
    assert_error(refused, 2, "payload: 128 B against 256 B; rate: 1,000/s against 2,000/s")
    assert "--anyway" in refused.stderr
    (suite,) = JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    assert ([case.name for case in suite], suite.errors) == (["comparable"], 1)
    summary = (tmp_path / "summary.md").read_text()
    assert summary.startswith("### ❌ wsbench compare: not compared\n") and "payload: 128 B against 256 B" in summary
    shown = run_cli("compare", "base", "larger", "--anyway")
    assert shown.returncode == 5
    assert "COMPARED ANYWAY" in shown.stdout and "payload: 128 B against 256 B" in shown.stdout
    found = run_cli("compare", "base", "larger", "--anyway", "--json").json()
    assert (found["anyway"], len(found["differences"])) == (True, 2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("base",), "'NEW'"),
        (("base", "nowhere"), "no result at nowhere"),
        (("base", "base", "--margin", "p98=5%"), "'p98=5%' is not a margin"),
        (("base", "base", "--margin", "p99"), "p99=10%"),
        (("base", "base", "--margin", "p99=5"), "not a percentage"),
        (("base", "base", "--margin", "p99=-5%"), "not a percentage"),
        (("base", "base", "--margin", "p99=nan%"), "not a percentage"),
        (("base", "base", "--confidence", "1"), "level of confidence"),
        (("base", "base", "--confidence", "high"), "level of confidence"),
        (("base", "base", "--junit", "no/such/file"), "there is no directory no/such"),
        (("base", "base", "--summary", "."), "is a directory"),
        (("base", "base", "--summary", "x" * 5000), "File name too long"),
    ],
)
def test_wrong_usage(run_cli: RunCli, base: Path, arguments: tuple[str, ...], said: str) -> None:
    assert_error(run_cli("compare", *arguments), 2, said)


def test_a_summary_is_appended_and_junit_overwritten(run_cli: RunCli, base: Path, slower: Path, tmp_path: Path) -> None:
    (tmp_path / "summary.md").write_text("# Job\n\n")
    (tmp_path / "junit.xml").write_text("old")
    outputs = ("--summary", "summary.md", "--junit", "junit.xml")
    assert run_cli("compare", "base", "slower", *outputs).returncode == 1
    assert run_cli("compare", "base", "slower", *outputs, "--json").returncode == 1
    summary = (tmp_path / "summary.md").read_text()
    assert summary.startswith("# Job\n\n### ❌ wsbench compare: NEW is slower: p50 ×41")
    assert summary.count("### ❌") == 2
    (suite,) = JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    assert (suite.tests, suite.failures) == (5, 3)


# -- wsbench run -------------------------------------------------------------------------------------------------------


def test_a_run_leaves_a_summary_and_junit(run_cli: RunCli, tmp_path: Path) -> None:
    gates = ("--fail-if", "p50 > 1ns", "--fail-if", "lost > 0")
    load = ("-u", "2", "--rate", "200", *runs.QUICK)
    done = run_cli("run", *load, *gates, "--json", "--summary", "summary.md", "--junit", "junit.xml")
    assert done.returncode == 1
    run = done.json()
    summary = (tmp_path / "summary.md").read_text()
    assert summary.startswith("### ❌ wsbench run: echo\n")
    assert f"**Generator: {run['generator']['verdict']}**" in summary
    assert "| ❌ failed | --fail-if 'p50 \\> 1ns' |" in summary
    assert "| ✅ passed | --fail-if 'lost \\> 0' | 0 |" in summary
    (suite,) = JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    names = ["outcome", "generator", "--fail-if 'p50 > 1ns'", "--fail-if 'lost > 0'"]
    assert [case.name for case in suite] == names
    assert [bool(case.result) for case in suite] == [False, False, True, False]


def test_a_run_that_could_not_leave_them_is_not_begun(run_cli: RunCli, tmp_path: Path) -> None:
    assert_error(run_cli("run", *runs.QUICK, "--junit", "no/such/file"), 2, "there is no directory no/such")
    assert not (tmp_path / "results").exists()
