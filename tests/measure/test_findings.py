"""The verdict that findings imply."""

from __future__ import annotations

import pytest

from wsbench.measure.findings import LATE, NOTE, SATURATED, Finding, verdict_of


@pytest.mark.parametrize(
    ("severities", "verdict", "order"),
    [
        ([], "ok", []),
        ([NOTE, NOTE], "ok", [NOTE, NOTE]),
        ([NOTE, LATE], LATE, [LATE, NOTE]),
        ([LATE, NOTE, SATURATED], SATURATED, [SATURATED, LATE, NOTE]),
    ],
)
def test_the_verdict_is_the_most_severe_findings(severities: list[str], verdict: str, order: list[str]) -> None:
    found = [Finding(f"code-{number}", "", "", severity) for number, severity in enumerate(severities)]
    judged, findings = verdict_of(found)
    assert (judged, [finding.severity for finding in findings]) == (verdict, order)
