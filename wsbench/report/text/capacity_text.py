"""A capacity as text: for the terminal, the progress of a search, and the report."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from wsbench.experiment.load_curve import LoadPoint, load_curve
from wsbench.report.text.stored_rows import stored_rows
from wsbench.report.text.text_table import draw, facts, left, right
from wsbench.results.capacity_result import BOUND, GENERATOR, HELD, RATE, TARGET, Capacity, CapacityStep
from wsbench.results.percentile_fields import PERCENTILES, figure_of
from wsbench.units import format_bytes, format_count, format_duration

OUTCOMES = {HELD: "held", TARGET: "did not hold", GENERATOR: "generator at its limit"}
_LATENCIES = ("p50", "p99", "p99.9")


def format_load(capacity: Capacity, value: float) -> str:
    """Return a load with its unit: '400 messages/s', '20 connections'."""
    return f"{format_number(value)} {load_unit(capacity, value)}"


def load_unit(capacity: Capacity, value: float = 2) -> str:
    """Return the unit of the load that is searched."""
    if capacity.searched == RATE:
        return "messages/s"
    return "connection" if value == 1 else "connections"


def format_number(value: float | None) -> str:
    """Return a load with thousands separators; below 100 with decimals, if it has any; '–' for None."""
    return format_count(value) if value is None or value >= 100 or value == int(value) else f"{value:.3g}"


def describe(capacity: Capacity) -> str:
    """Describe in one line what the search looks for."""
    objectives = " and ".join(capacity.objectives)
    default = " (wsbench's default; set another with --slo)" if capacity.default_objectives else ""
    quantity = "rate" if capacity.searched == RATE else "number of connections"
    return f"the highest {quantity} at which {objectives}{default}; {describe_conditions(capacity)}"


def describe_conditions(capacity: Capacity) -> str:
    """Describe in one line the conditions that all steps share."""
    c = capacity.conditions
    load = f"{format_count(c.connections)} connections"
    if c.rate_per_connection is not None:
        load = f"{format_number(c.rate_per_connection)} messages/s per connection"
    return (
        f"{load}, {c.arrivals} arrivals, {format_bytes(c.payload_size)} {'binary' if c.binary else 'text'}, "
        f"compression {c.compression}, {'TLS, ' if c.tls else ''}{_processes(c.processes)}"
    )


def _processes(count: int) -> str:
    return f"{count} process{'es' if count > 1 else ''}"


def step_started(capacity: Capacity, at: float, held: float | None, failed: float | None) -> str:
    """Return the progress line of a step that starts, with the bounds found so far."""
    known = [f"{format_number(held)} held"] if held is not None else []
    known += [f"{format_number(failed)} did not"] if failed is not None else []
    between = f" ({', '.join(known)})" if known else ""
    return f"[{len(capacity.steps) + 1}] {format_load(capacity, at)}{between}"


def step_finished(capacity: Capacity, step: CapacityStep) -> str:
    """Return the progress line of a step that has ended."""
    if step.outcome == HELD:
        shown = ", ".join(f"{each.expression}: {each.value}" for each in step.objectives)
        return f"{format_load(capacity, step.load)} held ({shown})"
    return f"{format_load(capacity, step.load)} did not hold: {step.why}"


def describe_limit(capacity: Capacity) -> str:
    """Return the side whose limit it was, with the evidence."""
    if capacity.limited_by == BOUND:
        return f"the bound: {format_load(capacity, capacity.bounds.most)} hold, and --max allows no more"
    if capacity.failed_at is None:
        return (
            f"the generator: more than {format_load(capacity, capacity.bounds.most)} need more open files than "
            f"{_processes(capacity.conditions.processes)} may have on this machine"
        )
    failed = [step for step in capacity.steps if step.load == capacity.failed_at]
    why = next((step.why for step in reversed(failed) if step.outcome == capacity.limited_by), "")
    whose = "the target" if capacity.limited_by == TARGET else "the generator, not the target"
    return f"{whose}: at {format_load(capacity, capacity.failed_at)}, {why}"


def remedy(capacity: Capacity) -> str:
    """Return what to do to measure a higher load; empty when the target was the limit."""
    if capacity.limited_by == GENERATOR:
        return (
            "The target may hold more: use more --processes (one per core, as far as a CPU quota allows), or more "
            "machines (`wsbench plan`)."
        )
    return "The target may hold more: use a higher --max." if capacity.limited_by == BOUND else ""


def describe_answer(capacity: Capacity) -> str:
    """Return the answer as a sentence without a full stop."""
    objectives = "objectives" if len(capacity.objectives) > 1 else "objective"
    if capacity.answer is None:
        lowest = min((step.load for step in capacity.steps), default=capacity.bounds.least)
        return f"none: not even {format_load(capacity, lowest)} hold the {objectives}"
    least = "at least " if capacity.limited_by != TARGET else ""
    more = f"; {format_number(capacity.failed_at)} do not" if capacity.failed_at is not None else ""
    return f"{least}{format_load(capacity, capacity.answer.load)} hold the {objectives}{more}"


def so_far(capacity: Capacity) -> str:
    """Return what a search had found when it stopped."""
    answer = capacity.answer
    return f"Held so far: {format_load(capacity, answer.load)}." if answer else "No load has held so far."


def describe_knee(capacity: Capacity) -> str:
    """Return where latency begins to rise."""
    if capacity.knee is None:
        return "none: latency does not rise steeply within the measured loads"
    return (
        f"{format_load(capacity, capacity.knee.load)}: p99 is {format_duration(capacity.knee.p99_ns)} there, "
        "and rises steeply above it"
    )


def render(capacity: Capacity, path: str) -> str:
    """Return the whole text for a terminal. `path` is the result's directory."""
    where = capacity.url or f"target {capacity.target}"
    rows = [where, describe(capacity), "", *_table(capacity), "", *facts(_findings(capacity)), "", *stored_rows(path)]
    return "\n".join(rows) + "\n"


def _findings(capacity: Capacity) -> Iterator[tuple[str, str]]:
    if capacity.stopped is not None:
        yield "STOPPED", capacity.stopped
        yield "", so_far(capacity)
    else:
        yield "capacity", describe_answer(capacity)
        yield "limited by", capacity.limit
        if remedy(capacity):
            yield "", remedy(capacity)
    if capacity.complete and capacity.answer is not None and not capacity.answer.settled:
        yield "", "Runs near this load contradict each other: the machine or the target is not steady."
    yield "knee", describe_knee(capacity)


def _table(capacity: Capacity) -> list[str]:
    columns = [right(load_unit(capacity)), *map(right, _LATENCIES), right("runs", 6), left()]
    rows = (
        (format_number(point.load), *latency_cells(point), str(point.steps), OUTCOMES[point.outcome])
        for point in load_curve(capacity.steps)
    )
    return draw(columns, rows)


def latency_cells(point: LoadPoint) -> list[str]:
    """Return p50, p99 and p99.9; in brackets where a load has too few messages for one."""
    cells = {label: format_duration(figure_of(point, label)) for label in _LATENCIES}
    return [text if point.due >= PERCENTILES[label].samples else f"({text})" for label, text in cells.items()]


def needs() -> str:
    """Return how many messages each percentile of the tables needs."""
    return ", ".join(f"{label} {format_count(PERCENTILES[label].samples)}" for label in _LATENCIES)


def request_rows(capacity: Capacity) -> list[tuple[str, str]]:
    """Return what was requested, as rows of (name, value)."""
    least, most, start = map(format_number, (capacity.bounds.least, capacity.bounds.most, capacity.bounds.start))
    return [
        ("target", capacity.url or str(capacity.target)),
        *(("objective", objective) for objective in capacity.objectives),
        ("searched", f"{load_unit(capacity)}, {least} to {most}, from {start}"),
        ("tolerance", f"{100 * capacity.tolerance:g} %"),
        ("conditions", describe_conditions(capacity)),
        ("command", shlex.join(capacity.command)),
    ]
