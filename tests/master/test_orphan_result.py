"""The result that a worker stores when its master is lost."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from helpers.run_hosts import S, delta, options, report

from wsbench.master import orphan_result
from wsbench.measure.phases import PhasePlan
from wsbench.results import run_result
from wsbench.run.protocol import Report, RunDescription

BEGIN = 1_795_000_000 * S


def described(results: Path) -> RunDescription:
    asked = replace(options(10, rate="100", fail_if=["lost > 0"]), results=results, processes=4)
    return RunDescription(asked, "echo", "20261122T091500Z-echo", datetime(2026, 11, 22, tzinfo=UTC), ["wsbench"], {})


def save(reports: list[Report], results: Path, *, persistent: bool = True) -> None:
    orphan_result.save(
        reports,
        described(results),
        worker=2,
        plan=PhasePlan(BEGIN, BEGIN, BEGIN + 60 * S),
        unacknowledged=3,
        persistent=persistent,
    )


def a_minute() -> list[Report]:
    """Return a report for each second, of three connections that drop one message a second."""
    return [
        report(number, delta("measure", BEGIN + number * S, 1.0, 2.0, lost=1), worker=2, asked=3, opened=3)
        for number in range(1, 61)
    ]


def test_it_covers_the_share_of_the_worker(tmp_path: Path) -> None:
    save(a_minute(), tmp_path)
    run = run_result.load(tmp_path / "20261122T091500Z-echo-worker-2")
    assert (run.conditions.users, run.conditions.processes, run.conditions.rate) == (3, 1, 30.0)
    assert (run.messages.received, run.messages.lost, run.connections.opened) == (120, 60, 3)
    assert run.gates == [], "gates are about the whole run"
    assert not run.complete


def test_a_finding_tells_what_part_of_the_run_it_is(tmp_path: Path) -> None:
    save(a_minute(), tmp_path, persistent=False)
    run = run_result.load(tmp_path / "20261122T091500Z-echo-worker-2")
    [finding] = [each for each in run.generator.findings if each.code == "master-lost"]
    assert "worker 2 of 4" in finding.evidence and "3 of 10 connections" in finding.evidence
    assert "3 of its 60 reports were never acknowledged; the disk was full" in finding.evidence


def test_without_a_connection_there_is_no_result(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        save([report(1, worker=2, asked=3, failed=3)], tmp_path)
    assert "nothing is stored" in caplog.text
    assert list(tmp_path.iterdir()) == []
