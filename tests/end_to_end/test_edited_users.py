"""Runs whose number of users changes while they are in progress: in the web UI, and by a LoadTestShape."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import runs, web_ui
from helpers.process import TESTS, CliResult

RATE = 300


@pytest.mark.parametrize("processes", [1, 2])
def test_the_rate_stays_and_the_result_says_when_it_was_edited(tmp_path: Path, processes: int) -> None:
    with runs.echo_target() as target, web_ui.web_ui(tmp_path, processes=processes) as ui:
        form = {"spawn_rate": 100, "host": target.url, "rate": RATE, "duration": "", "warmup": "0s"}
        ui.post("/swarm", user_count=6, **form)
        for users in (12, 3):
            ui.wait_until(lambda: ui.live()["phase"] == "measure", "the measure phase")
            time.sleep(2.5)
            ui.post("/swarm", user_count=users, **form)
            ui.wait_until(lambda users=users: ui.live()["connections"]["open"] == users, "the edit")
        time.sleep(2.5)
        ui.post("/stop")
        ui.wait_until(ui.finished, "a result")
        [directory] = ui.finished()
    run = runs.read(directory)
    assert [(edit["before"], edit["users"], edit["phase"]) for edit in run["edits"]] == [
        (6, 12, "measure"),
        (12, 3, "measure"),
    ]
    assert 2e9 < run["edits"][0]["after_ns"] < run["edits"][1]["after_ns"] < run["conditions"]["duration_ns"]
    findings = {finding["code"]: finding["evidence"] for finding in run["generator"]["findings"]}
    assert "6 to 12 (measure, after" in findings["users-edited"] and "overdue" not in findings
    assert run["connections"]["asked"] == run["connections"]["opened"] == 12
    seconds = [row for row in runs.timeline(directory / "timeline.csv") if row["phase"] == "measure"][:-1]
    due = [int(row["sent"]) + int(row["missed"]) for row in seconds]
    assert len(due) > 6 and abs(sum(due) - RATE * len(due)) < 0.1 * RATE * processes, due
    middle_half = sorted(due)[len(due) // 4 : -(len(due) // 4)]
    assert all(abs(count - RATE) <= 3 for count in middle_half), due


def test_a_shape_sets_the_users_and_ends_the_run(run_cli: Callable[..., CliResult], tmp_path: Path) -> None:
    scenario = str(Path(TESTS, "helpers", "locustfiles", "stages.py"))
    result = run_cli("run", "--scenario", scenario, "--rate", "200", "-u", "9", "-d", "500ms", "--warmup", "0s")
    assert result.returncode == 0, result.stderr
    assert "the LoadTestShape Stages sets the number of users and ends the run" in result.stderr
    run = runs.read(runs.only(tmp_path / "results"))
    assert (run["complete"], run["ended_by"], run["edits"]) == (True, "duration", [])
    assert run["connections"]["opened"] == 6 and run["conditions"]["users"] == 2
    assert run["conditions"]["duration_ns"] > 1_500_000_000
    findings = {finding["code"]: finding["evidence"] for finding in run["generator"]["findings"]}
    assert "Stages" in findings["load-shape"] and "fewer-connections" not in findings
