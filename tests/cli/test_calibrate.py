"""`wsbench calibrate`: the machine of the tests, whatever it can do, is told of; and what cannot be stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import process
from helpers.process import CliResult

RunCli = Callable[..., CliResult]
MS = 1_000_000


@pytest.mark.timeout(240)
def test_what_the_generator_can_do_here_is_said_stored_and_planned_with(tmp_path: Path, run_cli: RunCli) -> None:
    ended = run_cli("calibrate", "--json", timeout=200)
    process.no_leftovers(ended)
    found = ended.json()
    assert found == json.loads((tmp_path / "results" / "calibration.json").read_bytes())
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["calibration.json"]

    answers = {each["figure"]: each for each in found["known_answers"]}
    assert list(answers) == ["p50", "p90", "p99"]
    right = [abs(each["measured_ns"] - each["expected_ns"]) <= each["tolerance_ns"] for each in answers.values()]
    assert ended.returncode == (0 if all(right) else 4), ended.stderr
    assert answers["p50"]["measured_ns"] >= 5 * MS, "no reply left sooner"
    assert answers["p90"]["measured_ns"] > 100 * MS, "one in five of the messages met a stall of half a second"

    assert found["closed_loop"]["per_s"] > 1000
    assert found["tls"]["per_s"] > 100 and found["compression"]["per_s"] > 100
    assert 5_000 < found["connection_bytes"] < 100_000
    assert found["machine"]["kernel_timestamps"] is True
    assert found["machine"]["round_trip"]["p50_ns"] > 0

    planned = run_cli("plan", "--connections", "100000", "--rate", "1000", "--json")
    if found["open_loop"] is None:  # the machine is busy with something else
        assert "no rate that this machine's generator holds" in planned.stderr
    else:
        assert found["open_loop"]["verdict"] == "ok"
        assert found["open_loop"]["per_s"] < found["closed_loop"]["per_s"]
        assert planned.json()["costs"]["connection_bytes"]["source"] == "measured", planned.stdout


def test_a_place_that_cannot_be_written_is_said_before_a_minute_has_gone(tmp_path: Path, run_cli: RunCli) -> None:
    (tmp_path / "file").write_text("")
    ended = run_cli("calibrate", "--results", "file", timeout=20)
    said = "wsbench: error: --results file: Not a directory\n  Name a directory that can be written.\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", said)
