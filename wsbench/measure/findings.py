"""Self-assessment of the generator: from observations of itself to findings, and from those to a verdict.

    saturated   the generator was the limit: throughput, and all that depends on it, is the generator's
    late        it was not punctual: response times include delays of the generator
    ok          neither

A finding has a stable code, the evidence, and a remedy. A finding of severity "note" affects how a figure is read, but
invalidates none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from wsbench.cgroup_cpu import Throttling
from wsbench.measure.histogram import Buckets

SATURATED, LATE, NOTE = "saturated", "late", "note"
WORKER_LOST = "worker-lost"
READ_LATE = "read-late"
"""Code of the finding that replies waited in the socket. One read then returns several with the kernel's timestamp of
the last: `service` of the others is too long by their wait."""


class Finding(msgspec.Struct, frozen=True):
    """A finding about the generator; `severity` is the verdict that it implies, or "note"."""

    code: str
    evidence: str
    remedy: str
    severity: str = NOTE


@dataclass(frozen=True)
class WorkerFitness:
    """One worker's observations of itself in the measure phase, and those of `handshakes_queued_*` in the ramp.

    CPU is in percent of one core.
    """

    index: int
    cpu_percent_mean: float = 0.0
    polling_percent: float = 0.0
    handshakes_queued_ns: int = 0
    handshakes_queued_cpu_ns: int = 0
    stall_max_ns: int = 0
    gc_pause_max_ns: int = 0
    clock_steps: int = 0
    clock_step_max_ns: int = 0
    descriptors: int = 0
    nofile: int = 0
    exact_timer: bool = True
    throttling: Throttling | None = None
    measured_ns: int = 0


@dataclass(frozen=True)
class Evidence:
    """All observations on which a verdict is based."""

    closed_loop: bool
    workers: list[WorkerFitness]
    series: Mapping[str, Buckets]
    counts: Mapping[str, int]
    users: int = 0
    opened: int = 0
    dropped: int = 0
    compression_asked: str = "off"
    compression_granted: str | None = None
    subprotocols_asked: tuple[str, ...] = ()
    subprotocol_granted: str | None = None
    generator_errors: list[str] = field(default_factory=list)
    missing_workers: list[int] = field(default_factory=list)
    reconnected: int = 0
    master_lost: str = ""
    edits: list[str] = field(default_factory=list)
    """The edits of the number of users while the run was in progress, each with its time."""
    shape: str = ""
    """The class that set the number of users over time."""


def verdict_of(found: Iterable[Finding]) -> tuple[str, list[Finding]]:
    """Return the verdict that `found` implies, and the findings, the most severe first."""
    findings = sorted(found, key=lambda finding: (SATURATED, LATE, NOTE).index(finding.severity))
    verdict = findings[0].severity if findings and findings[0].severity != NOTE else "ok"
    return verdict, findings
