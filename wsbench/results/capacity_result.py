"""capacity.json: what `wsbench capacity` leaves (immutable, versioned): every step, the answer, and whose limit it is.

    results/<capacity id>/
      capacity.json       written anew after every step
      report.html         the latency against the load, at the end
      runs/<run id>/      an ordinary result directory for every step: see wsbench.results.run_result

The load that is searched is a rate (messages a second, open loop), or a number of connections of which each sends at a
rate of its own, open loop as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from wsbench.results.run_result import decode_as, read

SCHEMA = 1
CAPACITY_FILE = "capacity.json"
RATE, CONNECTIONS = "rate", "connections"
HELD, TARGET, GENERATOR = "held", "target", "generator"
"""A step held all objectives, or whose limit it was that it did not."""
BOUND = "bound"
"""The highest load that was allowed held as well."""


class Objective(msgspec.Struct, frozen=True):
    """One objective in one step, and the value that decided ("–": the figure has none, too much was lost)."""

    expression: str
    held: bool
    value: str


class Step(msgspec.Struct, frozen=True):
    """One run at one load. Latencies are of `response`, in ns; None where too much was lost for a value.

    Attributes:
        load: what is searched: messages a second, or connections.
        rate: messages a second, over all connections.
        outcome: "held", "target" or "generator".
        why: it did not hold; empty when it did.
        verdict: the generator's on itself; None when the run left no result.
        due: messages that were due in the measure phase.
        run: its result's directory, relative to the document's; None when it left none.
    """

    load: float
    rate: float
    connections: int
    outcome: str
    why: str = ""
    objectives: list[Objective] = []
    verdict: str | None = None
    due: int = 0
    received_per_s: float | None = None
    p50_ns: int | None = None
    p99_ns: int | None = None
    p99_9_ns: int | None = msgspec.field(default=None, name="p99.9_ns")
    run: str | None = None


class Conditions(msgspec.Struct, frozen=True):
    """What every step has in common. `connections` is None when they are searched.

    Attributes:
        rate_per_connection: messages a second on each, when it is connections that are searched.
        timeout_ns: time allowed for a reply, which stands for a latency that has no value.
    """

    connections: int | None
    rate_per_connection: float | None
    processes: int
    arrivals: str
    payload_size: int
    binary: bool
    compression: str
    tls: bool
    timeout_ns: int


class Bounds(msgspec.Struct, frozen=True):
    """Where a search begins, and between which loads it stays."""

    start: float
    least: float
    most: float


class Answer(msgspec.Struct, frozen=True):
    """The highest load that held. `settled`: by two runs; without, runs at this load did not agree often enough."""

    load: float
    rate: float
    connections: int
    settled: bool


class Knee(msgspec.Struct, frozen=True):
    """Where latency begins to rise steeply: see wsbench.experiment.knee."""

    load: float
    p99_ns: int


class Capacity(msgspec.Struct, frozen=True):
    """capacity.json.

    Attributes:
        complete: the search came to its end; if not, `stopped` says why, and `answer` is the highest load so far.
        url, target: what was measured; `target` is the name of one that wsbench started, afresh for every step.
        searched: "rate" or "connections".
        default_objectives: nobody gave any, so that these are wsbench's own.
        tolerance: the answer is at most by this share below the lowest load that did not hold.
        answer: None when no load held.
        limited_by: "target", "generator" or "bound"; None as long as the search is not complete.
        limit: whose limit it was, with the evidence, in a sentence.
        failed_at: the lowest load that did not hold.
    """

    schema: int
    id: str
    name: str
    complete: bool
    started: str
    wsbench: str
    command: list[str]
    url: str | None
    target: str | None
    conditions: Conditions
    searched: str
    objectives: list[str]
    default_objectives: bool
    bounds: Bounds
    tolerance: float
    answer: Answer | None = None
    limited_by: str | None = None
    limit: str = ""
    failed_at: float | None = None
    knee: Knee | None = None
    stopped: str | None = None
    steps: list[Step] = []


class Point(msgspec.Struct, frozen=True):
    """All steps of one load: medians of their latencies in ns; `outcome` as `standing` has it."""

    load: float
    outcome: str
    due: int
    steps: int
    p50_ns: int | None
    p99_ns: int | None
    p99_9_ns: int | None


def curve(steps: Iterable[Step]) -> list[Point]:
    """The latency against the load: a point a load, the lowest first; of steps that left a result."""
    by_load: dict[float, list[Step]] = {}
    for step in steps:
        if step.due:
            by_load.setdefault(step.load, []).append(step)
    return [_point(load, by_load[load]) for load in sorted(by_load)]


def _point(load: float, steps: list[Step]) -> Point:
    return Point(
        load=load,
        outcome=standing([step.outcome for step in steps]),
        due=min(step.due for step in steps),
        steps=len(steps),
        p50_ns=_median([step.p50_ns for step in steps]),
        p99_ns=_median([step.p99_ns for step in steps]),
        p99_9_ns=_median([step.p99_9_ns for step in steps]),
    )


def standing(outcomes: Sequence[str]) -> str:
    """What several runs at one load amount to: held if most did, else whose limit it was.

    A run that failed while its generator was well says more than one that did not: then it was the target's.
    """
    if 2 * outcomes.count(HELD) > len(outcomes):
        return HELD
    return TARGET if TARGET in outcomes else GENERATOR


def _median(values: list[int | None]) -> int | None:
    """None is more than any value; of two in the middle, the lower, so that it is one that was measured."""
    ordered = sorted(values, key=lambda value: (value is None, value))
    return ordered[(len(ordered) - 1) // 2]


def encode(capacity: Capacity) -> bytes:
    """capacity.json, indented for people, with a newline at its end."""
    return msgspec.json.format(msgspec.json.encode(capacity), indent=2) + b"\n"


def decode(text: bytes, where: str) -> Capacity:
    """A capacity from its JSON.

    Raises:
        ResultError: not JSON, of another schema, or not what the schema says; `where` names it.
    """
    return decode_as(Capacity, text, where, what="capacity", schema=SCHEMA)


def load(path: Path) -> Capacity:
    """The capacity in a directory (or in its capacity.json).

    Raises:
        ResultError: there is none, or it cannot be read.
    """
    return decode(*read(path, CAPACITY_FILE, what="capacity"))
