"""The outcome of a run in words, the same for all reports."""

from __future__ import annotations

from wsbench.results.run_result import Run

_WORDS = {"passed": "passed", "failed": "FAILED", "not-measured": "NOT MEASURED"}
_SHOWN = 5


def headline(run: Run) -> str:
    """Return the outcome and its reasons in a line; empty for a result of wsbench 0.1, which has no outcome."""
    outcome = run.outcome
    shown = 1 if outcome.result == "not-measured" else _SHOWN
    reasons = [reason.evidence for reason in outcome.reasons[:shown]]
    if len(outcome.reasons) > _SHOWN:
        reasons.append(f"{len(outcome.reasons) - _SHOWN} more in run.json")
    return ": ".join(filter(None, (_WORDS.get(outcome.result, outcome.result), "; ".join(reasons))))


def kind(run: Run) -> str:
    """Return "good", "bad", or "warn" for a run that passed although something went wrong."""
    if run.outcome.result not in ("passed", "") or any(gate.failed for gate in run.gates):
        return "bad"
    return "warn" if run.outcome.reasons or not run.complete else "good"
