"""capacity.json: the result of `wsbench capacity` (immutable, versioned): every step, the answer, and its limit.

    results/<capacity id>/
      capacity.json       replaced after every step
      report.html         the latency against the load, written at the end
      runs/<run id>/      an ordinary result directory for every step: see wsbench.results.run_result

The load searched is a rate (messages a second, open loop), or a number of connections that each send at a fixed rate
(open loop as well).
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from wsbench.results.json_files import load_document

SCHEMA = 1
CAPACITY_FILE = "capacity.json"
RATE, CONNECTIONS = "rate", "connections"
HELD, TARGET, GENERATOR = "held", "target", "generator"
"""Outcomes of a step: all objectives held, or the side whose limit it was that one did not."""
BOUND = "bound"
"""The limit when the highest allowed load held as well."""
INTERRUPTED = "interrupted"
"""The reason in `stopped` when the user ended the search."""


class Objective(msgspec.Struct, frozen=True):
    """One objective in one step, and the value that decided ("–" for a figure without a value: too much was lost)."""

    expression: str
    held: bool
    value: str


class CapacityStep(msgspec.Struct, frozen=True):
    """One run at one load. Latencies are of `response`, in ns; None where too much was lost for a value.

    Attributes:
        load: the quantity searched: messages a second, or connections.
        rate: messages a second, over all connections.
        outcome, why: "held", "target" or "generator"; and the reason why it did not hold.
        verdict: the generator's, on itself; None when the run left no result.
        due: messages that were due in the measure phase.
        run: the result's directory, relative to the document's; None when the run left no result.
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


class SearchConditions(msgspec.Struct, frozen=True):
    """Conditions that all steps have in common: `connections`, or `rate_per_connection` if connections are searched.

    `timeout_ns` is the time allowed for a reply; it replaces a latency without a value.
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
    """The load at which a search begins, and the lowest and the highest load that it may try."""

    start: float
    least: float
    most: float


class CapacityAnswer(msgspec.Struct, frozen=True):
    """The highest load that held. `settled` is False when the runs at this load did not agree often enough."""

    load: float
    rate: float
    connections: int
    settled: bool


class Knee(msgspec.Struct, frozen=True):
    """The load from which latency rises steeply: see wsbench.experiment.load_curve."""

    load: float
    p99_ns: int


class Capacity(msgspec.Struct, frozen=True):
    """capacity.json.

    Attributes:
        complete: whether the search reached its end. If not, `stopped` has the reason, and `answer` is the highest
            load so far.
        url: of the server measured; None for a target that wsbench started.
        target: name of the target that wsbench started, anew for every step.
        searched: "rate" or "connections".
        default_objectives: whether `objectives` are wsbench's defaults.
        tolerance: the largest share by which the answer can lie below the lowest load that did not hold.
        answer: None when no load held.
        limited_by: "target", "generator" or "bound"; None while the search is not complete.
        limit: a sentence with the limit and its evidence.
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
    conditions: SearchConditions
    searched: str
    objectives: list[str]
    default_objectives: bool
    bounds: Bounds
    tolerance: float
    answer: CapacityAnswer | None = None
    limited_by: str | None = None
    limit: str = ""
    failed_at: float | None = None
    knee: Knee | None = None
    stopped: str | None = None
    steps: list[CapacityStep] = []


def load(path: Path) -> Capacity:
    """Read capacity.json (the file, or a directory with it); raise ResultError if it cannot be read."""
    return load_document(Capacity, path, CAPACITY_FILE, what="capacity", schema=SCHEMA)
