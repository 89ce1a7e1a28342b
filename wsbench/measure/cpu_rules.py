"""Rules about the generator's CPU: what it used, and for how long a quota stopped it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wsbench.cgroup_cpu import Throttling
from wsbench.measure.findings import LATE, NOTE, SATURATED, Evidence, Finding, WorkerFitness
from wsbench.measure.histogram import percentile
from wsbench.units import format_cores, format_count, format_duration

CPU_LIMIT_PERCENT = 90.0
"""A worker with a higher mean CPU had no time left to be punctual."""
PUNCTUAL_NS = 500_000
"""An open loop that sent 90 % of its messages within this time was punctual, however busy."""
THROTTLED_SHARE = 0.01
"""A quota that stops the generator for a larger share of the measure phase delays more than 1 % of the messages."""
EXHAUSTED_SHARE = 0.9
"""A quota that is used up in this share of the periods is less than the generator needs."""
_SHOWN = 4
"""Workers that evidence names."""


def cpu_used(evidence: Evidence) -> Iterator[Finding]:
    """Yield a finding if workers used all of their cores."""
    # Time spent polling for the next due message was available for messages.
    busy = [w for w in evidence.workers if w.cpu_percent_mean - w.polling_percent >= CPU_LIMIT_PERCENT]
    if not busy:
        return
    shown = ", ".join(f"worker {w.index} used {w.cpu_percent_mean:.0f} % of a core" for w in busy[:_SHOWN])
    # At low load little is handled per wake-up: an open loop near 100 % has more room than it seems.
    lag = None if evidence.closed_loop else percentile(evidence.series.get("send_lag", {}), 90)
    quotas = [worker.throttling.cores for worker in busy if worker.throttling]
    per_core = f"one per core, within the CPU quota of {format_cores(min(quotas))}" if quotas else "one per core"
    if lag is not None and lag <= PUNCTUAL_NS:
        yield Finding(
            "cpu-busy",
            f"{shown} in the measure phase, and was punctual: 90 % of the messages left within {format_duration(lag)}",
            f"Expect lateness at a higher --rate; more --processes ({per_core}) would give room.",
            NOTE,
        )
    else:
        yield Finding(
            "cpu-saturated",
            f"{shown} in the measure phase: the generator was the limit",
            f"Use more --processes ({per_core}), fewer messages, or a closed loop with fewer connections.",
            SATURATED,
        )


def cpu_throttled(evidence: Evidence) -> Iterator[Finding]:
    """Yield a finding for the cgroup whose quota stopped its workers longest."""
    cgroups: dict[str, list[tuple[WorkerFitness, Throttling]]] = {}
    for worker in evidence.workers:
        if worker.throttling is not None and worker.measured_ns:
            cgroups.setdefault(worker.throttling.cgroup, []).append((worker, worker.throttling))
    stopped = max(cgroups.values(), key=_throttled_share, default=[])
    if not stopped or not (share := _throttled_share(stopped)):
        return
    by = max((throttling for _, throttling in stopped), key=lambda throttling: throttling.throttled_ns)
    # A closed loop sends nothing while it is stopped. An open loop sends later, unless it is always short of CPU.
    exhausted = by.throttled_periods >= EXHAUSTED_SHARE * by.periods
    grave = SATURATED if evidence.closed_loop or exhausted else LATE
    names = ", ".join(f"worker {worker.index}" for worker, _ in stopped[:_SHOWN])
    more = f" and {len(stopped) - _SHOWN} more" if len(stopped) > _SHOWN else ""
    each = " each" if len(stopped) > 1 else ""
    yield Finding(
        "cpu-throttled",
        f"the CPU quota ({format_cores(by.cores)}) stopped {names}{more} in {format_count(by.throttled_periods)} of "
        f"{format_count(by.periods)} periods of the measure phase, "
        f"for {format_duration(by.throttled_ns / len(stopped))}{each}",
        "Give the container more CPU, or use a lower --rate. A target in the same container was stopped as well.",
        grave if share > THROTTLED_SHARE else NOTE,
    )


def _throttled_share(cgroup: Sequence[tuple[WorkerFitness, Throttling]]) -> float:
    """Return the share of the measure phase for which the workers of one cgroup were stopped, on average.

    Each worker reports the counters of the cgroup, and their time is a sum over the cores that the workers ran on.
    """
    return max(throttling.throttled_ns / worker.measured_ns for worker, throttling in cgroup) / len(cgroup)
