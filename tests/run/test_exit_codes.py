"""The exit codes: one table for every command."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from helpers.sample_capacity import CAPACITY
from helpers.sample_run import RUN

from wsbench.errors import ExitCode
from wsbench.results.experiment_result import Experiment
from wsbench.results.overview_result import Overview, OverviewRow
from wsbench.results.run_result import Outcome, Reason
from wsbench.run import exit_codes


@pytest.mark.parametrize(
    ("result", "reasons", "ended_by", "interrupted", "code"),
    [
        ("passed", [], "duration", False, ExitCode.OK),
        ("passed", ["lost"], "stop", False, ExitCode.OK),
        ("failed", ["not-trusted"], "duration", False, ExitCode.NOT_TRUSTED),
        ("failed", ["gate-failed", "not-trusted"], "duration", False, ExitCode.GATE_FAILED),
        ("not-measured", ["never-answers", "gate-failed"], "error", False, ExitCode.NOT_MEASURED),
        ("failed", ["gate-failed"], "interrupt", False, ExitCode.INTERRUPTED),
        ("passed", [], "duration", True, ExitCode.INTERRUPTED),
    ],
)
def test_of_a_run(result: str, reasons: list[str], ended_by: str, interrupted: bool, code: ExitCode) -> None:
    outcome = Outcome(result, [Reason(reason, 1, "…") for reason in reasons])
    run = msgspec.structs.replace(RUN, outcome=outcome, ended_by=ended_by)
    assert exit_codes.of_run(run, interrupted=interrupted) is code


@pytest.mark.parametrize(
    ("changes", "strict", "code"),
    [
        ({}, True, ExitCode.OK),
        ({"limited_by": "generator"}, False, ExitCode.OK),
        ({"limited_by": "generator"}, True, ExitCode.NOT_TRUSTED),
        ({"answer": None}, False, ExitCode.GATE_FAILED),
        ({"answer": None, "limited_by": "generator"}, False, ExitCode.NOT_MEASURED),
        ({"stopped": "interrupted"}, False, ExitCode.INTERRUPTED),
        ({"stopped": "the disk is full"}, False, ExitCode.NOT_MEASURED),
    ],
)
def test_of_a_capacity(changes: dict[str, Any], strict: bool, code: ExitCode) -> None:
    assert exit_codes.of_capacity(msgspec.structs.replace(CAPACITY, **changes), strict=strict) is code


ROW = OverviewRow("key", "target", "conditions", open_loop=True, asked=2, done=2)


@pytest.mark.parametrize(
    ("row", "complete", "strict", "interrupted", "code"),
    [
        ({}, True, True, False, ExitCode.OK),
        ({"verdicts": {"late": 1}}, True, False, False, ExitCode.OK),
        ({"verdicts": {"late": 1}}, True, True, False, ExitCode.NOT_TRUSTED),
        ({"done": 1}, True, False, False, ExitCode.OK),
        ({"done": 0}, True, False, False, ExitCode.NOT_MEASURED),
        ({"asked": 0, "done": 0}, True, False, False, ExitCode.OK),
        ({}, True, False, True, ExitCode.INTERRUPTED),
        ({}, False, False, False, ExitCode.INTERRUPTED),
    ],
)
def test_of_an_experiment(row: dict[str, Any], complete: bool, strict: bool, interrupted: bool, code: ExitCode) -> None:
    experiment = Experiment(1, "id", "name", complete, "2026-11-22T09:15:00.000Z", "0.1.0", 1, "target", [])
    overview = Overview("target", 0.95, [ROW, msgspec.structs.replace(ROW, **row)])
    assert exit_codes.of_experiment(experiment, overview, strict=strict, interrupted=interrupted) is code


@pytest.mark.parametrize(
    ("verdicts", "open_loop", "wanted"),
    [
        ({}, True, True),
        ({"saturated": 2}, False, True),
        ({"saturated": 2}, True, False),
        ({"late": 1}, False, False),
        ({"late": 1}, True, False),
        ({"saturated": 1, "late": 1}, False, False),
    ],
)
def test_strict_accepts_a_closed_loop_at_its_limit(verdicts: dict[str, int], open_loop: bool, wanted: bool) -> None:
    row = msgspec.structs.replace(ROW, verdicts=verdicts, open_loop=open_loop)
    assert exit_codes.trusted(row) is wanted
