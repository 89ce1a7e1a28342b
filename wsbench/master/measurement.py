"""The counts of a run that has ended: the input of a result."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from wsbench.errors import Side, WsbenchError
from wsbench.master.interval_spill import IntervalSpill
from wsbench.master.worker_registry import WorkerRegistry
from wsbench.measure.delta import IntervalDelta
from wsbench.measure.histogram import Buckets
from wsbench.measure.phases import FOREVER_NS, Phase, PhasePlan
from wsbench.measure.series import SERIES
from wsbench.measure.totals import Totals
from wsbench.results.run_result import Ending, OtherRequests, Reason, TargetResult
from wsbench.run import outcome
from wsbench.run.protocol import SCENARIO_FAILED


@dataclass
class Measurement:
    """The counts of a run that has ended.

    Attributes:
        totals, spill: the counts; settled intervals are in `spill`.
        complete: whether the run reached its end and every worker sent its last report.
        counters: the scenario's own counters.
        master_lost: evidence for the finding that a worker wrote this result because its master was lost; else empty.
    """

    plan: PhasePlan
    totals: Totals
    spill: IntervalSpill
    workers: WorkerRegistry
    ended_by: Ending
    complete: bool
    target: TargetResult
    counters: dict[str, int]
    other_requests: OtherRequests = field(default_factory=OtherRequests)
    master_lost: str = ""

    @property
    def empty(self) -> bool:
        """True if there is nothing to keep: no connection, or a scenario that failed before it did anything."""
        failed = any(error.kind == SCENARIO_FAILED for error in self.workers.errors())
        counts = self.totals.counts()
        did = counts["sent"] or counts["received"] or self.counters or self.totals.names()
        return self.workers.connections().opened == 0 or (failed and not did)

    def failure(self) -> WsbenchError:
        """Return the most frequent error as the reason why nothing was measured."""
        errors = self.workers.errors()
        if self.cut_short is not None and self.cut_short.code == outcome.WORKERS_LOST:
            return WsbenchError(self.cut_short.evidence, side=Side.GENERATOR)
        if not errors:
            return WsbenchError("no connection was opened before the run was ended", side=Side.GENERATOR)
        worst = errors[0]
        return WsbenchError(worst.example, remedy=worst.remedy, side=Side(worst.side), kind=worst.kind)

    @property
    def cut_short(self) -> Reason | None:
        """The reason why the run ended before its time: a part of it that failed, or the loss of all workers."""
        if self.ended_by is not Ending.ERROR:
            return None
        if self.workers.failure:
            return Reason(outcome.PART_FAILED, 1, f"the run ended before its time: {self.workers.failure}")
        if not self.workers.not_final():
            return None
        count = len(self.workers)
        lost = f"{'the worker was' if count == 1 else f'all {count} workers were'} lost: the load ended before its time"
        return Reason(outcome.WORKERS_LOST, count, lost)

    @property
    def measured_ns(self) -> int:
        """Length of the measure phase; 0 if the run ended before it."""
        return 0 if self.plan.drain_ns == FOREVER_NS else max(0, self.plan.drain_ns - self.plan.measure_ns)

    @cached_property
    def counts(self) -> dict[str, int]:
        """Counts of the measure phase."""
        return self.totals.counts(Phase.MEASURE)

    @cached_property
    def intervals(self) -> list[IntervalDelta]:
        """The intervals of which nothing is in the spill file."""
        return [*self.totals.intervals(), *self.spill.late_intervals()]

    @cached_property
    def whole_run_series(self) -> set[str]:
        """Series that cover all phases."""
        return self.totals.whole_run_series()

    @cached_property
    def series(self) -> dict[str, Buckets]:
        """Every series of the result, summed over its phases."""
        return {
            name: self.totals.series(name, None if name in self.whole_run_series else Phase.MEASURE)
            for name in [*SERIES, *self.totals.names()]
        }

    @cached_property
    def cpu_by_interval(self) -> dict[tuple[str, int], float]:
        """CPU of the busiest worker in percent of one core, by phase and start of the interval."""
        busiest: dict[tuple[str, int], float] = {}
        for worker in self.workers:
            for key, percent in worker.cpu_percent().items():
                busiest[key] = max(busiest.get(key, 0.0), percent)
        return busiest
