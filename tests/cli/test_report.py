"""`wsbench report`: makes report.html of what is stored."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import runs, synthetic, synthetic_experiment
from helpers.process import CliResult

NONCE = re.compile(rb"nonce(-|=\"|=&#34;)[\w-]{24}")
RunCli = Callable[..., CliResult]


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    return synthetic.stored(3).write(tmp_path / "results")


def test_the_report_lands_in_the_results_directory(run_cli: RunCli, stored: Path) -> None:
    done = run_cli("report", str(stored))
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{stored / 'report.html'}\n", "")
    assert b"Latency over time" in (stored / "report.html").read_bytes()
    assert {file.name for file in stored.iterdir()} == {"run.json", "latency.hlog", "timeline.csv", "report.html"}
    again = run_cli("report", str(stored / "run.json"))
    assert again.stdout == done.stdout


@pytest.mark.parametrize("output", ["-", "elsewhere.html", "link.html"])
def test_it_goes_where_it_is_sent(run_cli: RunCli, stored: Path, tmp_path: Path, output: str) -> None:
    (tmp_path / "link.html").symlink_to(tmp_path / "linked.html")
    done = run_cli("report", str(stored), "--output", output)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "link.html").is_symlink()
    content = done.stdout if output == "-" else (tmp_path / output).read_text()
    assert content.startswith("<!doctype html>") and "</html>" in content
    assert not (stored / "report.html").exists()


def test_an_experiment_has_one_as_well(run_cli: RunCli, tmp_path: Path) -> None:
    where = synthetic_experiment.write(tmp_path, repetitions=2)
    for given in (where, where / "experiment.json"):
        done = run_cli("report", str(given))
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{where / 'report.html'}\n", "")
        assert b"Ratio of response p99" in (where / "report.html").read_bytes()
        (where / "report.html").unlink()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda where: (where / "run.json").unlink(), "no result at"),
        (lambda where: (where / "timeline.csv").unlink(), "has no timeline.csv"),
        (lambda where: (where / "timeline.csv").write_text("x\n1\n"), "timeline.csv is not a timeline"),
        (
            lambda where: (where / "latency.hlog").write_text("Tag=response,0.0,1.0,2.0,x\n"),
            "latency.hlog, line 1: not a line",
        ),
    ],
)
def test_a_damaged_result_is_said(run_cli: RunCli, stored: Path, damage: Callable[[Path], object], said: str) -> None:
    (stored / "report.html").write_text("the old one")
    damage(stored)
    runs.assert_error(run_cli("report", str(stored)), 2, said)
    assert (stored / "report.html").read_text() == "the old one"


def test_where_nothing_can_be_written_a_remedy_is_named(run_cli: RunCli, stored: Path, tmp_path: Path) -> None:
    runs.assert_error(
        run_cli("report", str(stored), "--output", str(tmp_path / "no" / "where.html")), 2, "No such file"
    )


def test_every_run_leaves_one(run_cli: RunCli, tmp_path: Path) -> None:
    done = run_cli("run", "-u", "2", *runs.QUICK)
    assert done.returncode == 0, done.stderr
    directory = runs.only(tmp_path / "results")
    left = (directory / "report.html").read_bytes()
    assert directory.name.encode() in left
    assert run_cli("report", str(directory)).returncode == 0
    made, again = [NONCE.sub(b"", page) for page in (left, (directory / "report.html").read_bytes())]
    assert made == again
