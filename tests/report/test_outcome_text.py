"""The outcome in words: what a quiet run still says."""

from __future__ import annotations

from helpers.sample_run import RUN
from msgspec.structs import replace

from wsbench.report import outcome_text
from wsbench.results.run_result import Gate, Outcome, Run
from wsbench.run.outcome import judge

GATES = [Gate(f"order{number}.p99 > 5ms", True, "9.00 ms") for number in range(8)]


def judged(gates: list[Gate], **fields: object) -> Run:
    run = replace(RUN, gates=gates, **fields)
    return replace(run, outcome=judge(run, strict=False))


def test_a_quiet_run_names_every_failed_gate_once() -> None:
    lines = outcome_text.in_short(judged([*GATES, Gate("lost > 99", False, "50")]))
    for gate in GATES:
        assert sum(line.count(gate.expression) for line in lines) == 1
    assert lines[0].startswith("FAILED: --fail-if 'order0.p99 > 5ms': was 9.00 ms; ")
    assert lines[-1] == "FAILED: --fail-if 'order7.p99 > 5ms': was 9.00 ms"
    assert "lost > 99" not in "".join(lines)


def test_a_run_that_measured_nothing_names_its_failed_gates_too() -> None:
    run = replace(judged(GATES[:1]), outcome=Outcome("not-measured", []))
    assert outcome_text.in_short(run) == ["NOT MEASURED", "FAILED: --fail-if 'order0.p99 > 5ms': was 9.00 ms"]


def test_a_run_without_a_failed_gate_has_one_line() -> None:
    assert len(outcome_text.in_short(judged([]))) == 1
