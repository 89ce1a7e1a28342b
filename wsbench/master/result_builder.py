"""The figures of run.json, from what was counted."""

from __future__ import annotations

from dataclasses import replace

import msgspec

import wsbench
from wsbench.master.measurement import Measurement
from wsbench.measure import finding_rules
from wsbench.measure.delta import lost_of, open_share
from wsbench.measure.histogram import PERCENTS, by_bounds, highest_value, lowest_value, mean_and_deviation, percentiles
from wsbench.results import run_result
from wsbench.results.environment import environment
from wsbench.results.percentile_fields import PERCENTILES
from wsbench.run import outcome
from wsbench.run.gate_checker import GateChecker, GateFigures
from wsbench.run.options import RunOptions
from wsbench.run.protocol import RunDescription
from wsbench.units import NS_PER_S, format_utc


def build(described: RunDescription, measured: Measurement) -> run_result.Run:
    """Return the document of run.json, its gates checked and its outcome judged."""
    options, run = described.options, _figures(described, measured)
    checker = GateChecker(GateFigures.of(run), measured.totals)
    run = msgspec.structs.replace(run, gates=[checker.check(condition) for condition in options.gates])
    judged = outcome.judge(run, strict=options.strict, cut_short=measured.cut_short)
    return msgspec.structs.replace(run, outcome=judged)


def _figures(described: RunDescription, measured: Measurement) -> run_result.Run:
    counts, workers = measured.counts, measured.workers
    seconds = measured.measured_ns / NS_PER_S
    return run_result.Run(
        schema=run_result.SCHEMA,
        id=described.run_id,
        name=described.options.name,
        complete=measured.complete,
        ended_by=measured.ended_by,
        started=format_utc(described.started),
        wsbench=wsbench.__version__,
        command=described.command,
        conditions=_conditions(described, measured.measured_ns),
        negotiated=workers.negotiated(),
        target=_target(measured.target, counts["received"]),
        environment=environment(),
        connections=workers.connections_wanted(),
        messages=run_result.MessageCounts.of(counts),
        messages_all_phases=run_result.MessageCounts.of(measured.totals.counts()),
        bytes=run_result.Bytes(**{name: counts.get(name, 0) for name in run_result.Bytes.__struct_fields__}),
        throughput=run_result.Throughput(
            sent_per_s=round(counts["sent"] / seconds, 3) if seconds else 0.0,
            received_per_s=round(counts.get("replied", 0) / seconds, 3) if seconds else 0.0,
        ),
        latency={name: _latency(name, measured) for name in measured.series},
        timestamps=_timestamps(counts["received"], counts["user_stamped"]),
        errors=workers.errors(),
        generator=_generator(described.options, measured),
        counters=measured.counters,
        whole_run=workers.whole_run(measured.totals.counts(), measured.other_requests),
        other_requests=measured.other_requests,
        examples=workers.examples(),
        availability=_availability(measured),
        edits=workers.users.edits,
    )


def _conditions(described: RunDescription, measured_ns: int) -> run_result.Conditions:
    options = described.options
    return run_result.Conditions(
        url=options.connect.shown_url,
        scenario=described.scenario,
        loop="closed" if options.closed_loop else "open",
        rate=options.rate,
        arrivals=options.arrivals,
        in_flight=options.in_flight,
        users=options.users,
        processes=options.processes,
        payload_size=options.payload_size,
        binary=options.binary,
        compression=options.connect.compression,
        tls=options.connect.uri.secure,
        duration_ns=measured_ns,
        warmup_ns=options.warmup_ns,
        timeout_ns=options.timeout_ns,
        drain_ns=options.drain_ns,
        settings=dict(described.settings),
    )


def _target(target: run_result.TargetResult, received: int) -> run_result.TargetResult:
    per_message = round(target.cpu_s * 1e6 / received, 3) if target.cpu_s is not None and received else None
    return msgspec.structs.replace(target, cpu_us_per_message=per_message)


def _latency(name: str, measured: Measurement) -> run_result.Latency:
    buckets = measured.series[name]
    whole_run = name in measured.whole_run_series
    lost = lost_of(name, measured.totals.counts() if whole_run else measured.counts)
    latency = run_result.Latency(lost=lost, phases="all" if whole_run else "measure")
    if not buckets:
        return latency
    values = zip(PERCENTILES.values(), percentiles(buckets, PERCENTS, lost), strict=True)
    received = zip(PERCENTILES, percentiles(buckets, PERCENTS), strict=True)
    mean, deviation = mean_and_deviation(buckets)
    return msgspec.structs.replace(
        latency,
        count=sum(buckets.values()),
        min_ns=lowest_value(min(buckets)),
        mean_ns=round(mean),
        stddev_ns=round(deviation),
        **{percentile.field: value for percentile, value in values},
        max_ns=highest_value(max(buckets)),
        survivors={f"{label}_ns": value for label, value in received} if lost else {},
        histogram=by_bounds(buckets),
    )


def _generator(options: RunOptions, measured: Measurement) -> run_result.Generator:
    workers, counts = measured.workers, measured.counts
    evidence = workers.evidence(options, measured.series, counts, sorted(workers.not_final()))
    verdict, reasons = finding_rules.judge(replace(evidence, master_lost=measured.master_lost))
    received, cpu_ns, polled_ns = (counts.get(name, 0) for name in ("received", "cpu_ns", "polled_ns"))
    return run_result.Generator(
        verdict=verdict,
        findings=reasons,
        cpu_us_per_message=round(cpu_ns / 1000 / received, 3) if received else None,
        polling_us_per_message=round(polled_ns / 1000 / received, 3) if received else None,
        bytes_per_connection=workers.bytes_per_connection(),
        echo_path=workers.echo_path(),
        workers=[worker.result() for worker in workers],
    )


def _availability(measured: Measurement) -> run_result.Availability:
    counts = measured.totals.counts()
    share, away_ns = open_share(counts), counts.get("away_ns", 0)
    return run_result.Availability(
        percent=None if share is None else 100 * share,
        wanted_ns=counts.get("open_ns", 0) + away_ns,
        away_ns=away_ns,
        outage_ns=measured.workers.outage_ns(),
    )


def _timestamps(received: int, user: int) -> run_result.Timestamps:
    kernel = received - user
    source = None if not received else "kernel" if not user else "user" if not kernel else "mixed"
    return run_result.Timestamps(source, kernel, user)
