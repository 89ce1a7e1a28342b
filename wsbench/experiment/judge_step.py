"""Judgement of one step of `wsbench capacity`: did the objectives hold, and if not, whose limit was it?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wsbench.measure.figures import Unit
from wsbench.measure.findings import LATE, READ_LATE
from wsbench.results.capacity_result import GENERATOR, HELD, TARGET, CapacityStep, Objective
from wsbench.results.run_result import Run
from wsbench.run.gate_checker import NO_VALUE
from wsbench.run.gates import Condition
from wsbench.run.outcome import due, nothing_measured
from wsbench.units import NS_PER_S, format_count, format_duration

SHORTFALL = 0.03
"""A rate missed by more than this share was not held, even if all objectives were."""
_EDGE_MESSAGES = 3
"""At a low rate, this many messages can fall across the edges of the measure phase."""


def judge_step(
    run: Run, objectives: Sequence[Condition], *, load: float, where: str, on_schedule: bool = True
) -> CapacityStep:
    """Return the step for a run whose gates are the opposites of the `objectives`, in their order.

    A step holds if every objective does, all connections were opened and the rate was reached. Otherwise it is the
    generator's limit if its verdict is `saturated`, or if a latency is at fault and the generator's own lateness (of
    sending and of reading) exceeded the time that the target took. Else it is the target's limit.

    Args:
        where: the run's directory.
        on_schedule: False for users that send at times of their own choice.
    """
    checked = list(zip(objectives, run.gates, strict=True))
    broken = [(objective, gate.value) for objective, gate in checked if gate.failed]
    missed = [*_not_opened(run), *_short(run, on_schedule), *(_said(*each) for each in broken)]
    why = "; ".join(filter(None, [nothing_measured(run), *missed]))
    outcome = HELD
    if why:
        outcome, evidence = _whose(run, [objective for objective, _ in broken])
        why = "; ".join(filter(None, [why, evidence]))
    response = run.latency["response"]
    return CapacityStep(
        load=load,
        rate=run.conditions.rate or 0.0,
        connections=run.conditions.users,
        outcome=outcome,
        why=why,
        objectives=[Objective(objective.expression, not gate.failed, gate.value) for objective, gate in checked],
        verdict=run.generator.verdict,
        due=due(run.messages),
        received_per_s=run.throughput.received_per_s,
        p50_ns=response.p50_ns,
        p99_ns=response.p99_ns,
        p99_9_ns=response.p99_9_ns,
        run=where,
    )


def _said(objective: Condition, value: str) -> str:
    """Return what an objective that did not hold was instead."""
    reason = value.removeprefix(NO_VALUE)
    return f"{objective.metric} was {value}" if reason == value else f"{objective.metric} has no value{reason}"


def _not_opened(run: Run) -> Iterable[str]:
    connections = run.connections
    if connections.opened < connections.asked:
        yield f"{format_count(connections.opened)} of {format_count(connections.asked)} connections were opened"


def keeps_to_rate(run: Run) -> bool:
    """Return whether the number of messages due was about what the rate implies."""
    rate = run.conditions.rate or 0.0
    return rate / 2 <= due(run.messages) * NS_PER_S / max(1, run.conditions.duration_ns) <= 2 * rate


def _short(run: Run, on_schedule: bool) -> Iterable[str]:
    """Yield the reason if replies arrived more slowly than messages were due.

    With random arrivals, the messages that were really due count, not the nominal rate.
    """
    due_per_s = run.conditions.rate or 0.0
    if run.conditions.arrivals != "constant" or not on_schedule:
        due_per_s = due(run.messages) * NS_PER_S / max(1, run.conditions.duration_ns)
    missing_per_s = (1 - SHORTFALL) * due_per_s - run.throughput.received_per_s
    if missing_per_s * run.conditions.duration_ns > _EDGE_MESSAGES * NS_PER_S:
        yield f"{format_count(run.throughput.received_per_s)} replies/s arrived of {format_count(due_per_s)}"


def _whose(run: Run, broken: Iterable[Condition]) -> tuple[str, str]:
    """Return TARGET or GENERATOR, and for the generator its evidence."""
    verdict = run.generator.verdict
    if verdict not in ("ok", LATE):
        grave = [finding.evidence for finding in run.generator.findings if finding.severity == verdict]
        return GENERATOR, f"generator {verdict}: {''.join(grave[:1])}"
    # A generator in time misses messages only if their sockets are full or their connections closed.
    if (
        run.messages.missed
        or nothing_measured(run)
        or any(_not_opened(run))
        or any(_beyond_lateness(run, each) for each in broken)
    ):
        return TARGET, ""
    own_ns = max(_ns_of(run, "send_lag", "p99_ns"), _ns_of(run, "read_lag", "p99_ns"))
    # Of several replies in a socket, only the last has its own arrival time: the p99 of `service` is then distorted.
    theirs_ns = _ns_of(run, "service", "p50_ns" if _read_late(run) else "p99_ns")
    if own_ns <= theirs_ns or not theirs_ns:
        return TARGET, ""
    own, theirs = format_duration(own_ns), format_duration(theirs_ns)
    return GENERATOR, f"generator {verdict}, but its own lateness (p99 {own}) exceeded the target's time ({theirs})"


def _read_late(run: Run) -> bool:
    return any(finding.code == READ_LATE for finding in run.generator.findings)


def _beyond_lateness(run: Run, broken: Condition) -> bool:
    """Return whether the generator's lateness cannot be the cause: `service` excludes it, and lost is not late.

    Nor is a connection that is away late.
    """
    if broken.quantity.figure in ("availability", "outage"):
        return True
    if broken.unit is not Unit.COUNT:
        return broken.quantity.series == "service" and not _read_late(run)
    longest_ns = max(run.latency[series].max_ns or 0 for series in ("send_lag", "read_lag"))
    waited_ns = min(filter(None, (run.conditions.timeout_ns, run.conditions.drain_ns)), default=0)
    return longest_ns < waited_ns / 2


def _ns_of(run: Run, series: str, percentile: str) -> int:
    """Return the percentile of the messages that arrived; 0 if none did."""
    latency = run.latency[series]
    value: int | None = getattr(latency, percentile)
    return value or latency.survivors.get(percentile) or 0
