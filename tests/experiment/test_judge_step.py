"""Judging a step: held, or the limit of the target or of the generator."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.sample_run import RUN
from msgspec.structs import replace

from wsbench.experiment.judge_step import judge_step, keeps_to_rate
from wsbench.measure.findings import READ_LATE, Finding
from wsbench.results.capacity_result import GENERATOR, HELD, TARGET, CapacityStep
from wsbench.results.run_result import (
    ConnectionCounts,
    Gate,
    Generator,
    Latency,
    MessageCounts,
    Outcome,
    Reason,
    Run,
    Throughput,
)
from wsbench.run.gate_parser import parse_objective

MS = 1_000_000
FAST = Latency(10_000, 0, p50_ns=MS, p99_ns=5 * MS, p99_9_ns=9 * MS)
SLOW = Latency(10_000, 0, p50_ns=MS, p99_ns=50 * MS, p99_9_ns=90 * MS)
NONE = Latency(10_000, 0, p50_ns=1, p99_ns=1, p99_9_ns=1)
OPEN = ConnectionCounts(asked=50, opened=50)


def run(
    verdict: str = "ok",
    *,
    response: Latency = FAST,
    service: Latency = FAST,
    lag: Latency = NONE,
    messages: MessageCounts | None = None,
    received_per_s: float = 1000.0,
    connections: ConnectionCounts = OPEN,
    **conditions: Any,
) -> Run:
    """An open loop of 1,000 messages/s over 10 s, that went well but for what is said."""
    findings = [Finding("note", "nothing grave", ""), Finding("code", "it was so", "", verdict)]
    return replace(
        RUN,
        conditions=replace(RUN.conditions, **conditions),
        connections=connections,
        messages=messages or MessageCounts(sent=10_000, received=10_000),
        throughput=Throughput(1000.0, received_per_s),
        latency={**RUN.latency, "response": response, "service": service, "read_lag": lag},
        generator=Generator(verdict, findings if verdict != "ok" else []),
    )


def late_reader(**figures: Any) -> Run:
    """One that found several replies in its sockets at a time: `service` holds some of the time that they lay there."""
    made = run("late", **figures)
    return replace(made, generator=Generator("late", [Finding(READ_LATE, "it was so", "", "late")]))


def step(made: Run, *held: str, broken: dict[str, str] | None = None, on_schedule: bool = True) -> CapacityStep:
    """Judge a run whose objectives are the `held` ones, and the `broken` ones with the values that they had."""
    values = {**dict.fromkeys(held, "as hoped"), **(broken or {})}
    objectives = [parse_objective(text) for text in values]
    gates = [Gate(str(each.opposite), str(each) not in held, values[str(each)]) for each in objectives]
    return judge_step(replace(made, gates=gates), objectives, load=7.0, where="runs/x", on_schedule=on_schedule)


def step_for_p99(made: Run) -> CapacityStep:
    """Judge a run by its p99 of `response`."""
    p99_ns = made.latency["response"].p99_ns
    if p99_ns == FAST.p99_ns:
        return step(made, "p99 < 10ms")
    return step(made, broken={"p99 < 10ms": "– (200 of 10,000 were lost)" if p99_ns is None else "50.0 ms"})


def test_a_step_has_what_the_run_has() -> None:
    found = step(run(), "p99 < 10ms", broken={"lost == 0": "3"})
    assert (found.load, found.rate, found.connections, found.run) == (7.0, 1000.0, 50, "runs/x")
    assert (found.outcome, found.why, found.verdict) == (TARGET, "lost was 3", "ok")
    assert (found.due, found.received_per_s) == (10_000, 1000.0)
    assert (found.p50_ns, found.p99_ns, found.p99_9_ns) == (MS, 5 * MS, 9 * MS)
    assert [(each.expression, each.held, each.value) for each in found.objectives] == [
        ("p99 < 10ms", True, "as hoped"),
        ("lost == 0", False, "3"),
    ]


NO_P99 = replace(SLOW, p99_ns=None)
CASES: dict[str, tuple[Run, str, str]] = {
    "slow": (run(response=SLOW, service=SLOW), TARGET, "p99 was 50.0 ms"),
    "too much lost": (run(response=NO_P99, service=NO_P99), TARGET, "p99 has no value (200 of 10,000 were lost)"),
    "the rate not reached": (run(received_per_s=960.0), TARGET, "960 replies/s arrived of 1,000"),
    "a little below the rate": (run(received_per_s=975.0), HELD, ""),
    "by chance fewer were due": (
        run(arrivals="poisson", messages=MessageCounts(sent=9_500, received=9_500), received_per_s=950.0),
        HELD,
        "",
    ),
    "not all connections": (
        run(connections=ConnectionCounts(asked=50, opened=49)),
        TARGET,
        "49 of 50 connections were opened",
    ),
    # a generator that was not well, but whose figures hold all the same
    "late and fast": (run("late"), HELD, ""),
    "saturated and fast": (run("saturated"), HELD, ""),
    "saturated and slow": (
        run("saturated", response=SLOW, service=SLOW),
        GENERATOR,
        "p99 was 50.0 ms; generator saturated: it was so",
    ),
    "late, and what is lost is not a matter of time alone": (
        run("late", messages=MessageCounts(sent=9_000, received=9_000, missed=1_000), lag=SLOW, received_per_s=900.0),
        TARGET,
        "900 replies/s arrived of 1,000",
    ),
    "late, and the target later": (run("late", response=SLOW, service=SLOW, lag=FAST), TARGET, "p99 was 50.0 ms"),
    "late, and later than the target": (
        run("late", response=SLOW, lag=SLOW),
        GENERATOR,
        "p99 was 50.0 ms; generator late, but its own lateness (p99 50.0 ms) exceeded the target's time (5.00 ms)",
    ),
    "well, but later than the target": (
        run("ok", response=SLOW, lag=SLOW),
        GENERATOR,
        "p99 was 50.0 ms; generator ok, but its own lateness (p99 50.0 ms) exceeded the target's time (5.00 ms)",
    ),
    "replies that lay unread": (
        run("late", received_per_s=500.0, service=replace(FAST, p99_ns=None, survivors={"p99_ns": MS}), lag=SLOW),
        GENERATOR,
        "500 replies/s arrived of 1,000; "
        "generator late, but its own lateness (p99 50.0 ms) exceeded the target's time (1.00 ms)",
    ),
    "replies that lay unread, several in one read": (
        late_reader(response=SLOW, service=SLOW, lag=FAST),
        GENERATOR,
        "p99 was 50.0 ms; generator late, but its own lateness (p99 5.00 ms) exceeded the target's time (1.00 ms)",
    ),
    "late, and not all connections": (
        run("late", lag=SLOW, connections=ConnectionCounts(asked=50, opened=49)),
        TARGET,
        "49 of 50 connections were opened",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_whose_limit_it_was(case: str) -> None:
    made, outcome, why = CASES[case]
    found = step_for_p99(made)
    assert (found.outcome, found.why) == (outcome, why)


@pytest.mark.parametrize("verdict", ["ok", "late"])
@pytest.mark.parametrize(
    ("objective", "longest_ms", "outcome"),
    [
        ("service.p99 < 1ms", 60, TARGET),
        ("p99 < 1ms", 60, GENERATOR),
        ("read_lag.p99 < 1ms", 60, GENERATOR),
        ("throughput > 2000/s", 60, GENERATOR),
        ("lost == 0", 60, TARGET),  # lost is what did not come in 10 s: that is no matter of 60 ms
        ("lost == 0", 9_000, GENERATOR),
        ("availability >= 99%", 9_000, TARGET),
        ("outage < 1s", 9_000, TARGET),
    ],
)
def test_what_lateness_explains_is_the_generators(objective: str, longest_ms: int, outcome: str, verdict: str) -> None:
    lost = MessageCounts(sent=10_000, received=9_990, lost=10)
    lag = replace(SLOW, max_ns=longest_ms * MS)
    assert step(run(verdict, messages=lost, lag=lag), broken={objective: "worse"}).outcome == outcome


def test_what_the_target_took_is_not_its_own_where_replies_lay_unread() -> None:
    assert step(late_reader(service=SLOW, lag=FAST), broken={"service.p99 < 10ms": "50.0 ms"}).outcome == GENERATOR


def test_a_target_that_gives_no_right_reply_holds_nothing() -> None:
    made = replace(run(), outcome=Outcome("not-measured", [Reason("answers-otherwise", 9, "it does not echo")]))
    assert (step(made, "p99 < 10ms").outcome, step(made, "p99 < 10ms").why) == (TARGET, "it does not echo")
    assert step(replace(made, generator=Generator("saturated"))).outcome == GENERATOR


def test_all_that_went_wrong_is_said() -> None:
    broken = {"p99 < 10ms": "50.0 ms", "p99.9 < 20ms": "90.0 ms"}
    found = step(run(response=SLOW, service=SLOW, received_per_s=500.0), "p50 < 5ms", broken=broken)
    assert found.why == "500 replies/s arrived of 1,000; p99 was 50.0 ms; p99.9 was 90.0 ms"
    assert [each.held for each in found.objectives] == [True, False, False]


def test_users_that_send_when_they_like_are_held_against_what_they_sent() -> None:
    made = run(messages=MessageCounts(sent=600, received=500, one_way=100), received_per_s=50.0)
    assert not keeps_to_rate(made)
    assert keeps_to_rate(run())
    assert step(made, "p99 < 10ms").why == "50 replies/s arrived of 1,000"
    found = step(made, "p99 < 10ms", on_schedule=False)
    assert (found.outcome, found.due) == (HELD, 500)


def test_at_a_low_rate_a_message_across_the_edge_is_no_shortfall() -> None:
    few = MessageCounts(sent=50, received=50)
    assert step_for_p99(run(rate=10.0, duration_ns=5 * 10**9, messages=few, received_per_s=9.6)).outcome == HELD
    assert step_for_p99(run(rate=10.0, duration_ns=5 * 10**9, messages=few, received_per_s=9.0)).outcome == TARGET
