"""The outcome of a run in words, the same for all reports."""

from __future__ import annotations

from wsbench.results.run_result import Run
from wsbench.run import outcome

_WORDS = {outcome.PASSED: "passed", outcome.FAILED: "FAILED", outcome.NOT_MEASURED: "NOT MEASURED"}
_SHOWN = 5


def headline(run: Run) -> str:
    """Return the outcome and its reasons in a line; empty for a result of wsbench 0.1, which has no outcome."""
    found = run.outcome
    shown = 1 if found.result == outcome.NOT_MEASURED else _SHOWN
    reasons = [reason.evidence for reason in found.reasons[:shown]]
    if len(found.reasons) > _SHOWN:
        reasons.append(f"{len(found.reasons) - _SHOWN} more in run.json")
    return ": ".join(filter(None, (_WORDS.get(found.result, found.result), "; ".join(reasons))))


def in_short(run: Run) -> list[str]:
    """Return the headline, and a line for each failed gate that it leaves out."""
    line = headline(run)
    failures = map(outcome.describe_failure, (gate for gate in run.gates if gate.failed))
    return [line, *(f"{_WORDS[outcome.FAILED]}: {failure}" for failure in failures if failure not in line)]


def kind(run: Run) -> str:
    """Return "good", "bad", or "warn" for a run that passed although something went wrong."""
    if run.outcome.result not in (outcome.PASSED, "") or any(gate.failed for gate in run.gates):
        return "bad"
    return "warn" if run.outcome.reasons or not run.complete else "good"
