"""What a run says of the load it was made at: whether the objectives held, and if not, whose limit that was."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from wsbench.capacity import GENERATOR, HELD, TARGET, Objective, Step
from wsbench.gates import NO_VALUE, Condition
from wsbench.measure.findings import NOTE
from wsbench.results import Run
from wsbench.units import NS_PER_S, format_count

SHORTFALL = 0.03
"""A rate that is missed by more than this share was not held, however fast the replies were."""
_FEW = 3
"""Messages: at a low rate, so many lie across the edges of the measure phase."""


def assess(run: Run, objectives: Sequence[Condition], *, load: float, where: str) -> Step:
    """The step that a run was; `where` is its directory.

    A run holds when every objective does, all connections were opened and the rate was reached. One that does not is
    the target's limit, unless the generator's verdict on itself says that it was its own: `saturated` always does, and
    `late` does when nothing went wrong that lateness could not explain, as `service` and losses cannot (see
    wsbench.measure.findings).
    """
    checked = [(condition, *condition.hold(run)) for condition in objectives]
    broken = [_broken(condition, value) for condition, held, value in checked if not held]
    why = "; ".join([*_not_opened(run), *_short(run), *broken])
    outcome = HELD if not why else _whose(run, [condition for condition, held, _ in checked if not held])
    if outcome == GENERATOR:
        why = "; ".join(filter(None, [why, _evidence(run)]))
    response = run.latency["response"]
    return Step(
        load=load,
        rate=run.conditions.rate or 0.0,
        connections=run.conditions.users,
        outcome=outcome,
        why=why,
        objectives=[Objective(condition.expression, held, value) for condition, held, value in checked],
        verdict=run.generator.verdict,
        due=run.messages.sent + run.messages.missed,
        received_per_s=run.throughput.received_per_s,
        p50_ns=response.p50_ns,
        p99_ns=response.p99_ns,
        p99_9_ns=response.p99_9_ns,
        run=where,
    )


def _broken(condition: Condition, value: str) -> str:
    if value == NO_VALUE:
        return f"{condition.metric_name} has no value: too much was lost"
    return f"{condition.metric_name} was {value}"


def _evidence(run: Run) -> str:
    """What a verdict other than ok rests on, the gravest alone."""
    grave = [finding.evidence for finding in run.generator.findings if finding.severity != NOTE]
    return f"generator {run.generator.verdict}: {grave[0]}" if grave else f"generator {run.generator.verdict}"


def _not_opened(run: Run) -> Iterable[str]:
    connections = run.connections
    if connections.opened < connections.asked:
        yield f"{format_count(connections.opened)} of {format_count(connections.asked)} connections were opened"


def _short(run: Run) -> Iterable[str]:
    """Replies came more slowly than messages were due."""
    asked_per_s = _asked_per_s(run)
    if (run.throughput.received_per_s - (1 - SHORTFALL) * asked_per_s) * run.conditions.duration_ns < -_FEW * NS_PER_S:
        yield f"{format_count(run.throughput.received_per_s)} replies/s came of {format_count(asked_per_s)}"


def _asked_per_s(run: Run) -> float:
    """The rate; where chance has its part in it, as it turned out."""
    return (run.conditions.rate or 0.0) if run.conditions.arrivals == "constant" else _due_per_s(run)


def _due_per_s(run: Run) -> float:
    return (run.messages.sent + run.messages.missed) * NS_PER_S / max(1, run.conditions.duration_ns)


def _whose(run: Run, broken: Iterable[Condition]) -> str:
    verdict = run.generator.verdict
    if verdict == "ok":
        return TARGET
    if verdict != "late" or _due_per_s(run) < (1 - SHORTFALL) * _asked_per_s(run):
        return GENERATOR
    # It did send what was due, if not on time.
    shown = any(_without_lateness(run, each) for each in broken) or any(_short(run)) or any(_not_opened(run))
    return TARGET if shown else GENERATOR


def _without_lateness(run: Run, broken: Condition) -> bool:
    """Whether an objective would not hold either had the generator been punctual."""
    if broken.series is None:
        return True
    if broken.series != "response":
        return broken.series == "service"
    held, _ = replace(broken, series="service").hold(run)
    return not held
