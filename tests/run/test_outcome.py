"""The outcome of a run, from its figures."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.sample_run import RUN
from msgspec.structs import replace

from wsbench.measure.findings import Finding
from wsbench.results.run_result import (
    ConnectionCounts,
    ErrorCount,
    Gate,
    Generator,
    Latency,
    MessageCounts,
    OtherRequests,
    Outcome,
    Reason,
    Run,
    WholeRun,
)
from wsbench.run.outcome import judge

CLEAN = replace(RUN, messages_all_phases=MessageCounts(12, 12), messages=MessageCounts(10, 10), errors=[])
NONE = MessageCounts()
LOST = MessageCounts(sent=10, lost=10)
CLOSED = ErrorCount("closed", "target", 9, "the server closed the connection with 1013")


def silent(**changes: Any) -> Run:
    """Return a run of which every message was lost."""
    return replace(CLEAN, **{"messages_all_phases": LOST, "messages": LOST, **changes})


def codes(outcome: Outcome) -> list[str]:
    return [reason.code for reason in outcome.reasons]


def test_a_clean_run_passes_without_a_reason() -> None:
    assert judge(CLEAN, strict=True) == Outcome("passed", [])


def test_what_went_wrong_in_the_whole_run_is_told() -> None:
    counts = MessageCounts(sent=1200, received=1100, lost=36, missed=3, corrupted=4, rejected=3, unexpected=2)
    run = replace(
        CLEAN,
        messages_all_phases=counts,
        connections=ConnectionCounts(dropped=5),
        whole_run=WholeRun(attempts=41, failed=36, due=1203, lost=36, errors=80),
        errors=[
            CLOSED,
            ErrorCount("scenario", "generator", 2, "it failed"),
            ErrorCount("no-reply", "target", 2, "", "", 2),
        ],
    )
    outcome = judge(run, strict=True)
    assert outcome.result == "passed"
    assert outcome.reasons == [
        Reason("connect-failed", 36, "36 of 41 attempts to connect failed"),
        Reason("dropped", 5, "5 connections dropped"),
        Reason("lost", 36, "36 of 1,203 messages lost"),
        Reason("missed", 3, "3 of 1,203 messages missed"),
        Reason("corrupted", 1, "1 reply corrupted"),
        Reason("rejected", 3, "3 replies failed by the scenario"),
        Reason("unexpected", 2, "2 replies unexpected"),
        Reason("scenario", 2, "2 × it failed"),
    ]


def test_a_worker_that_was_lost_is_told() -> None:
    lost = Finding("worker-lost", "worker 1 did not send its last report", "See locust.log.", "late")
    outcome = judge(replace(CLEAN, generator=Generator("late", [lost])), strict=False)
    assert outcome == Outcome("passed", [Reason("worker-lost", 1, "worker 1 did not send its last report")])


def test_gates_and_the_verdict_of_a_strict_run_fail() -> None:
    late = replace(CLEAN, generator=Generator("late"))
    failed = replace(late, gates=[Gate("p99 > 5ms", True, "7 ms"), Gate("lost > 0", False, "0")])
    assert judge(late, strict=False) == Outcome("passed", [])
    assert judge(late, strict=True) == Outcome("failed", [Reason("not-trusted", 1, "--strict: the generator was late")])
    assert judge(failed, strict=False).reasons == [Reason("gate-failed", 1, "--fail-if 'p99 > 5ms': was 7 ms")]
    assert codes(judge(failed, strict=True)) == ["gate-failed", "not-trusted"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, "never-answers"),
        ({"connections": ConnectionCounts(opened=2, reconnected=7, dropped=9), "errors": [CLOSED]}, "closes-at-once"),
        ({"connections": ConnectionCounts(opened=9, dropped=1), "errors": [CLOSED]}, "never-answers"),
        (
            {"messages_all_phases": replace(LOST, unexpected=10), "messages": replace(LOST, unexpected=8)},
            "answers-otherwise",
        ),
        ({"messages_all_phases": MessageCounts(10, 10, corrupted=10), "messages": NONE}, "answers-otherwise"),
        ({"messages_all_phases": MessageCounts(20, 10, 10)}, "never-answers"),
        ({"messages": MessageCounts(missed=10), "messages_all_phases": MessageCounts(missed=10)}, "never-sent"),
        ({"messages": NONE, "messages_all_phases": NONE}, "nothing-due"),
        ({"messages": NONE, "messages_all_phases": MessageCounts(sent=70, received=9, lost=61)}, "nothing-due"),
        ({"messages": NONE, "messages_all_phases": NONE, "errors": [CLOSED]}, "never-sent"),
        ({"other_requests": OtherRequests(7, 7, "GET /: 404"), "messages": MessageCounts(10, 10)}, "requests-failed"),
        (
            {
                "messages_all_phases": MessageCounts(2, 2, corrupted=2),
                "errors": [ErrorCount("check-login", "target", 2, "login: refused", "", 2)],
            },
            "refused",
        ),
    ],
)
def test_a_run_without_a_right_reply_is_not_measured(changes: dict[str, Any], reason: str) -> None:
    run = silent(gates=[Gate("p99 > 5ms", True, "–")], **changes)
    outcome = judge(run, strict=True)
    assert outcome.result == "not-measured" and codes(outcome)[0] == reason


@pytest.mark.parametrize(
    "changes",
    [
        {"counters": {"ticks": 3}},
        {"latency": {**CLEAN.latency, "delivery": Latency(count=3)}},
        {"messages_all_phases": MessageCounts(sent=2, one_way=2, received=9, pushed=9)},
        {"messages_all_phases": MessageCounts(sent=2, one_way=2, received=9, pushed=9, missed=1)},
        {"other_requests": OtherRequests(7, 1, "GET /: 404")},
    ],
)
def test_a_scenario_without_requests_is_measured_by_its_own_values(changes: dict[str, Any]) -> None:
    run = silent(messages=NONE, **{"messages_all_phases": NONE, **changes})
    assert judge(run, strict=False).result == "passed"


@pytest.mark.parametrize(
    "changes",
    [
        {"counters": {"ticks": 0}},
        {"latency": {**CLEAN.latency, "away": Latency(count=3)}},
        {"messages_all_phases": MessageCounts(received=9, pushed=9), "errors": [CLOSED]},
    ],
)
def test_nothing_but_failures_is_no_measurement(changes: dict[str, Any]) -> None:
    run = silent(messages=NONE, **{"messages_all_phases": NONE, **changes})
    assert judge(run, strict=False).result == "not-measured"


def test_replies_that_came_too_late_are_told() -> None:
    outcome = judge(silent(messages_all_phases=replace(LOST, late=3)), strict=False)
    assert outcome.reasons[0].evidence == (
        "not one of 10 messages was answered in time (--timeout 10s); 3 replies came later"
    )


def test_the_generator_may_be_to_blame() -> None:
    outcome = judge(silent(generator=Generator("saturated")), strict=False)
    assert outcome.reasons[0].evidence.endswith("; the generator was saturated: the fault may be its own")


def test_a_run_of_which_no_worker_is_left_is_not_measured() -> None:
    outcome = judge(CLEAN, strict=False, cut_short=Reason("workers-lost", 1, "all 2 workers were lost"))
    assert outcome == Outcome("not-measured", [Reason("workers-lost", 1, "all 2 workers were lost")])
