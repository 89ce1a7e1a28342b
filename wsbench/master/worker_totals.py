"""Sums over the workers of a run, for the live figures and for the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wsbench.errors import Side
from wsbench.master.worker_registry import WorkerState
from wsbench.measure import findings
from wsbench.measure.delta import lost_under
from wsbench.measure.histogram import Buckets
from wsbench.results import run_result
from wsbench.run.options import RunOptions

Workers = Sequence[WorkerState]


def negotiated(workers: Workers) -> run_result.NegotiatedWith:
    """Return what the server granted to the first connection."""
    return next((w.report.negotiated for w in workers if w.report.negotiated is not None), run_result.NegotiatedWith())


def connections(workers: Workers, asked: int) -> run_result.ConnectionCounts:
    """Return the connections of all workers; `asked` is the minimum asked for, because a user may open several."""
    tallies = [worker.report.connections for worker in workers]
    codes: dict[str, int] = {}
    for tally in tallies:
        for code, count in tally.close_codes.items():
            codes[code] = codes.get(code, 0) + count
    return run_result.ConnectionCounts(
        asked=max(asked, sum(tally.attempted for tally in tallies)),
        opened=sum(tally.opened for tally in tallies),
        failed=sum(tally.failed for tally in tallies),
        dropped=sum(tally.dropped for tally in tallies),
        reconnected=sum(tally.reconnected for tally in tallies),
        tls_resumed=sum(tally.tls_resumed for tally in tallies),
        close_codes=dict(sorted(codes.items())),
    )


def bytes_per_connection(workers: Workers) -> int | None:
    """Return the memory of the workers per connection, its user included: their growth during the ramp."""
    health = [worker.report.health for worker in workers]
    opened = sum(each.ramp_connections for each in health)
    return max(0, sum(each.ramp_bytes for each in health) // opened) if opened else None


def errors(workers: Workers) -> list[run_result.ErrorCount]:
    """Return the errors of all workers, the most frequent first."""
    merged: dict[tuple[str, str], run_result.ErrorCount] = {}
    for worker in workers:
        for error in worker.report.errors:
            key = (error.kind, error.side)
            known = merged.get(key)
            count = error.count + (known.count if known else 0)
            example = known.example if known else error.example
            merged[key] = run_result.ErrorCount(*key, count=count, example=example, remedy=error.remedy)
    return sorted(merged.values(), key=lambda error: (-error.count, error.kind))


def lost_of(series: str, counts: Mapping[str, int]) -> int:
    """Return the number of values that a series lacks because there was no reply."""
    if series == "response":
        # A message that was due and could not be sent has no reply either.
        return counts.get("lost", 0) + counts.get("missed", 0)
    return counts.get("lost", 0) if series in ("service", "read_lag") else lost_under(series, counts)


def _fitness(worker: WorkerState) -> findings.WorkerFitness:
    """Return what a worker reported about itself; CPU of the measure phase in percent of one core."""
    health = worker.report.health
    return findings.WorkerFitness(
        index=worker.index,
        cpu_percent_mean=worker.cpu_mean,
        cpu_percent_max=worker.cpu_max,
        polling_percent=worker.polling,
        stall_max_ns=health.stall_max_ns,
        gc_pause_max_ns=health.gc_pause_max_ns,
        clock_steps=health.clock_steps,
        clock_step_max_ns=health.clock_step_max_ns,
        descriptors=health.descriptors,
        nofile=health.nofile,
        exact_timer=health.exact_timer,
    )


def evidence(
    options: RunOptions,
    workers: Workers,
    series: Mapping[str, Buckets],
    counts: Mapping[str, int],
    missing: list[int],
) -> findings.Evidence:
    """Return the evidence for a verdict.

    `series` and `counts` are those of the measure phase; `missing` workers have not sent their last report.
    """
    opened, granted = connections(workers, options.users), negotiated(workers)
    return findings.Evidence(
        closed_loop=options.closed_loop,
        workers=[_fitness(worker) for worker in workers],
        series=series,
        counts=counts,
        users=opened.asked,
        opened=opened.opened,
        dropped=opened.dropped,
        reconnected=opened.reconnected,
        compression_asked=options.connect.compression,
        compression_granted=granted.compression,
        subprotocols_asked=options.connect.subprotocols,
        subprotocol_granted=granted.subprotocol,
        generator_errors=[error.example for error in errors(workers) if error.side == Side.GENERATOR],
        missing_workers=missing,
    )
