"""The gates of a run in progress, from the figures so far."""

from __future__ import annotations

import time
from collections.abc import Iterator

from wsbench.master.collector import Collector
from wsbench.measure.histogram import Buckets
from wsbench.measure.phases import Phase, PhasePlan
from wsbench.measure.series import SERIES
from wsbench.results.run_result import Gate, MessageCounts, OtherRequests
from wsbench.run.gate_checker import NO_VALUE, GateChecker, GateFigures
from wsbench.run.gates import Condition
from wsbench.units import NS_PER_S


def check(
    conditions: tuple[Condition, ...], collector: Collector, plan: PhasePlan, requests: OtherRequests
) -> Iterator[Gate]:
    """Yield the gates as they are now; before the measure phase, without a value. Yields control before each."""
    measured_ns = min(time.time_ns(), plan.drain_ns) - plan.measure_ns
    checker = (
        None if measured_ns < NS_PER_S else GateChecker(_figures(collector, measured_ns, requests), _Sums(collector))
    )
    for condition in conditions:
        collector.yield_control()
        yield Gate(condition.expression, False, NO_VALUE) if checker is None else checker.check(condition)


def _figures(collector: Collector, measured_ns: int, requests: OtherRequests) -> GateFigures:
    workers, totals = collector.registry, collector.totals
    counts, whole = totals.counts(), totals.whole_run_series()
    return GateFigures(
        throughput=totals.counts(Phase.MEASURE).get("replied", 0) * NS_PER_S / measured_ns,
        outage_ns=workers.outage_ns(),
        whole_run=workers.whole_run(counts, requests),
        messages=MessageCounts.of(counts),
        connections=workers.connections_wanted(),
        counters=totals.counters(),
        phases={name: "all" if name in whole else "measure" for name in (*SERIES, *totals.names())},
    )


class _Sums:
    """The sums so far. Series come from the coarse ones of the live view: to add up the exact ones takes too long."""

    def __init__(self, collector: Collector) -> None:
        self._totals = collector.totals
        self._live = collector.live

    def counts(self, phase: Phase | None = None) -> dict[str, int]:
        return self._totals.counts(phase)

    def counters(self) -> dict[str, int]:
        return self._totals.counters()

    def series(self, name: str, phase: Phase | None = None) -> Buckets:
        coarse = self._live.series_of(name, phase)
        return self._totals.series(name, phase) if coarse is None else coarse
