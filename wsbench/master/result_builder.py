"""From what was counted to a result: the figures of run.json and the files beside it."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

import msgspec

import wsbench
from wsbench.errors import Side, WsbenchError
from wsbench.master import worker_totals
from wsbench.master.interval_spill import IntervalSpill
from wsbench.master.target_usage import TargetUsage
from wsbench.master.worker_registry import WorkerState
from wsbench.measure import findings
from wsbench.measure.delta import IntervalDelta
from wsbench.measure.histogram import (
    Buckets,
    Counts,
    by_bounds,
    highest_value,
    lowest_value,
    mean_and_deviation,
    percentiles,
)
from wsbench.measure.phases import FOREVER_NS, Phase, PhasePlan
from wsbench.measure.series import CONNECT_SERIES, LATENCY_SERIES, MESSAGE_COUNTS, SERIES
from wsbench.measure.totals import Totals
from wsbench.report import hgrm, hlog, timeline
from wsbench.report.html import run_page
from wsbench.results import run_result
from wsbench.results.directory import REPORT_FILE
from wsbench.results.environment import environment
from wsbench.run.options import RunOptions
from wsbench.run.protocol import SCENARIO_FAILED
from wsbench.units import NS_PER_S, format_utc

logger = logging.getLogger(__name__)


@dataclass
class ResultBuilder:
    """Everything that a run left behind, and what is made of it.

    Attributes:
        totals, spill: what was counted; the spill has what has settled.
        master_lost: what of the run this is, when it is a worker's own because its master was lost.
    """

    options: RunOptions
    scenario: str
    run_id: str
    started: datetime
    command: list[str]
    plan: PhasePlan
    totals: Totals
    spill: IntervalSpill
    workers: Sequence[WorkerState]
    complete: bool
    target: TargetUsage
    settings: Mapping[str, str]
    counters: dict[str, int]
    master_lost: str = ""

    @property
    def opened(self) -> int:
        """Connections that came about."""
        return sum(worker.report.connections.opened for worker in self.workers)

    @property
    def measured_something(self) -> bool:
        """Whether there is anything to keep: connections, and no scenario that failed before it did anything."""
        failed = any(error.kind == SCENARIO_FAILED for error in worker_totals.errors(self.workers))
        counts = self.totals.counts()
        did = counts["sent"] or counts["received"] or self.counters or self.totals.names()
        return self.opened > 0 and (not failed or bool(did))

    def failure(self) -> WsbenchError:
        """Why nothing could be measured: the error seen most."""
        errors = sorted(worker_totals.errors(self.workers), key=lambda error: -error.count)
        if not errors:
            return WsbenchError("no connection was opened: the run was ended before", side=Side.GENERATOR)
        worst = errors[0]
        return WsbenchError(worst.example, remedy=worst.remedy, side=Side(worst.side), kind=worst.kind)

    def result(self) -> tuple[run_result.Run, dict[str, bytes | Iterable[bytes]]]:
        """The run, and the files of its directory by name; one that may be long comes in pieces."""
        run = self._run()
        run = msgspec.structs.replace(run, gates=[condition.check(run) for condition in self.options.gates])
        rows = sorted([*map(timeline.row, self._intervals), *self.spill.rows()], key=lambda row: row.start_ns)
        files: dict[str, bytes | Iterable[bytes]] = {
            run_result.RUN_FILE: run_result.encode(run),
            "latency.hlog": _Rewindable(self._log),
        }
        files["timeline.csv"] = over_time = timeline.encode(rows, self._cpu_by_interval)
        try:
            files[REPORT_FILE] = run_page.report(run, self._lines(), over_time)
        except Exception:  # what was measured is not lost over a page that can be made again
            logger.exception("report.html could not be made; `wsbench report` would try again")
        for name in self._series:
            if name in LATENCY_SERIES or self._series[name]:
                files[f"{name}.hgrm"] = hgrm.encode(self._series[name])
        return run, files

    def _log(self) -> Iterator[bytes]:
        """latency.hlog, row by row: what is in the spill and what is not, in order of time."""
        begin = self.spill.begin_ns
        if begin is None:
            begin = min((interval.start_ns for interval in self._intervals), default=0) // 1_000_000 * 1_000_000
        head = hlog.head(start_ns=begin, comment=f"wsbench {wsbench.__version__} {self.run_id}")
        yield from head.splitlines(keepends=True)
        lines = [
            hlog.Line(name, interval.start_ns, self._length(interval.phase, interval.start_ns), buckets)
            for interval in self._intervals
            for name, buckets in interval.series.items()
            if name in self._of_all_phases or interval.phase == Phase.MEASURE
        ]
        fresh = sorted((line.start_ns, line.tag, hlog.row(line, start_ns=begin)) for line in lines)
        for _, _, row in heapq.merge(fresh, self.spill.log_rows()):
            yield row

    def _lines(self) -> Iterator[hlog.StoredLine]:
        """What a report needs of the log: one series over time, of the others the sum alone; a day has many lines."""
        for name, buckets in self._series.items():
            if name != run_page.OVER_TIME and buckets:
                yield hlog.StoredLine(name, 0, 0, Counts.of(buckets))
        yield from hlog.of_rows(hlog.select(self._log(), run_page.OVER_TIME), "latency.hlog")

    # -- parts -----------------------------------------------------------------------------------------------------

    @cached_property
    def _intervals(self) -> list[IntervalDelta]:
        """Those that are not in the spill."""
        return [*self.totals.intervals(), *self.spill.late_intervals()]

    @cached_property
    def _counts(self) -> dict[str, int]:
        return self.totals.counts(Phase.MEASURE)

    @cached_property
    def _series(self) -> dict[str, Buckets]:
        names = [*SERIES, *self.totals.names()]
        of_all = self._of_all_phases
        return {name: self.totals.series(name, None if name in of_all else Phase.MEASURE) for name in names}

    @cached_property
    def _of_all_phases(self) -> set[str]:
        """Series that speak of the whole run: connections', and a scenario's that happened before the measure phase."""
        measured = self.totals.names_in(Phase.MEASURE)
        return {*CONNECT_SERIES, *(name for name in self.totals.names() if name not in measured)}

    @property
    def _measured_ns(self) -> int:
        if self.plan.drain_ns == FOREVER_NS:
            return 0
        return max(0, self.plan.drain_ns - self.plan.measure_ns)

    def _length(self, phase: str, start_ns: int) -> int:
        interval = self.plan.interval_at(start_ns)
        return interval.end_ns - start_ns if interval.phase == phase else NS_PER_S

    def _run(self) -> run_result.Run:
        options, counts = self.options, self._counts
        seconds = self._measured_ns / NS_PER_S
        return run_result.Run(
            schema=run_result.SCHEMA,
            id=self.run_id,
            name=options.name,
            complete=self.complete,
            started=format_utc(self.started),
            wsbench=wsbench.__version__,
            command=self.command,
            conditions=self._conditions(),
            negotiated=worker_totals.negotiated(self.workers),
            target=self._target(),
            environment=environment(),
            connections=worker_totals.connections(self.workers, options.users),
            messages=_messages(counts),
            messages_all_phases=_messages(self.totals.counts()),
            bytes=run_result.Bytes(
                payload_sent=counts["payload_sent"],
                payload_received=counts["payload_received"],
                wire_sent=counts.get("wire_sent", 0),
                wire_received=counts.get("wire_received", 0),
            ),
            throughput=run_result.Throughput(
                sent_per_s=round(counts["sent"] / seconds, 3) if seconds else 0.0,
                received_per_s=round(counts.get("replied", 0) / seconds, 3) if seconds else 0.0,
            ),
            latency={name: self._latency(name) for name in self._series},
            timestamps=_timestamps(counts["received"], counts["user_stamped"]),
            errors=worker_totals.errors(self.workers),
            generator=self._generator(),
            counters=self.counters,
        )

    def _conditions(self) -> run_result.Conditions:
        options = self.options
        return run_result.Conditions(
            url=options.connect.url,
            scenario=self.scenario,
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
            duration_ns=self._measured_ns,
            warmup_ns=options.warmup_ns,
            timeout_ns=options.timeout_ns,
            drain_ns=options.drain_ns,
            settings=dict(self.settings),
        )

    def _target(self) -> run_result.TargetResult:
        use, received = self.target, self._counts["received"]
        per_message = round(use.cpu_s * 1e6 / received, 3) if use.cpu_s is not None and received else None
        return run_result.TargetResult(
            name=use.name,
            version=use.version,
            started_by_wsbench=use.started_by_wsbench,
            cpu_s=use.cpu_s,
            cpu_us_per_message=per_message,
            rss_bytes=use.rss_bytes,
            bytes_per_connection=use.bytes_per_connection,
        )

    def _latency(self, name: str) -> run_result.Latency:
        buckets = self._series[name]
        of_all = name in self._of_all_phases
        phases = "all" if of_all else "measure"
        lost = worker_totals.lost_of(name, self.totals.counts() if of_all else self._counts)
        percents = findings.PERCENTS
        names = [f"p{p:g}_ns" for p in percents]
        of_due = percentiles(buckets, percents, lost)
        survivors = dict(zip(names, percentiles(buckets, percents), strict=True)) if lost else {}
        if not buckets:
            return run_result.Latency(lost=lost, phases=phases)
        mean, deviation = mean_and_deviation(buckets)
        return run_result.Latency(
            count=sum(buckets.values()),
            lost=lost,
            min_ns=lowest_value(min(buckets)),
            mean_ns=round(mean),
            stddev_ns=round(deviation),
            p50_ns=of_due[0],
            p90_ns=of_due[1],
            p99_ns=of_due[2],
            p99_9_ns=of_due[3],
            p99_99_ns=of_due[4],
            max_ns=highest_value(max(buckets)),
            survivors=survivors,
            histogram=by_bounds(buckets),
            phases=phases,
        )

    # -- the generator ---------------------------------------------------------------------------------------------

    @cached_property
    def _cpu_by_interval(self) -> dict[tuple[str, int], float]:
        busiest: dict[tuple[str, int], float] = {}
        for worker in self.workers:
            for key, percent in worker.cpu_percent().items():
                busiest[key] = max(busiest.get(key, 0.0), percent)
        return busiest

    @staticmethod
    def _fitness(worker: WorkerState) -> findings.WorkerFitness:
        mean, most = worker.cpu_of_measure()
        return worker_totals.fitness(worker, mean=mean, most=most, polling=worker.polling_of_measure())

    def _generator(self) -> run_result.Generator:
        fitness = [self._fitness(worker) for worker in self.workers]
        missing = [worker.index for worker in self.workers if not worker.final]
        evidence = worker_totals.evidence(self.options, self.workers, fitness, self._series, self._counts, missing)
        verdict, found = findings.judge(replace(evidence, master_lost=self.master_lost))
        received, cpu_ns, polled_ns = (self._counts.get(name, 0) for name in ("received", "cpu_ns", "polled_ns"))
        return run_result.Generator(
            verdict=verdict,
            findings=found,
            cpu_us_per_message=round(cpu_ns / 1000 / received, 3) if received else None,
            polling_us_per_message=round(polled_ns / 1000 / received, 3) if received else None,
            bytes_per_connection=worker_totals.bytes_per_connection(self.workers),
            workers=[
                run_result.Worker(
                    index=worker.index,
                    cpu_percent_mean=fit.cpu_percent_mean,
                    cpu_percent_max=fit.cpu_percent_max,
                    polling_percent=fit.polling_percent,
                    rss_bytes=worker.report.health.rss_bytes,
                    messages=worker.received,
                    clock_offset_ns=worker.report.health.clock_offset_ns,
                )
                for worker, fit in zip(self.workers, fitness, strict=True)
            ],
        )


class _Rewindable:
    """An iterable of what a generator function yields, anew for everybody who asks."""

    def __init__(self, make: Callable[[], Iterator[bytes]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[bytes]:
        return self._make()


def _messages(counts: dict[str, int]) -> run_result.MessageCounts:
    return run_result.MessageCounts(**{name: counts[name] for name in MESSAGE_COUNTS})


def _timestamps(received: int, user: int) -> run_result.Timestamps:
    kernel = received - user
    source = None if not received else "kernel" if not user else "user" if not kernel else "mixed"
    return run_result.Timestamps(source, kernel, user)
