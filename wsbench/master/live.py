"""Live figures of a run: coarse ones of the last seconds and of the measure phase so far.

They are made beside an engine, where a task of a millisecond makes messages a millisecond late. Therefore distributions
have a few hundred buckets, each 3 % wide; `yield_control` is called after every few tens of microseconds of work; and
figures are computed only on request. The result does not use them: it is made from the exact distributions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from wsbench.master.worker_registry import SLIVER_NS, WorkerRegistry
from wsbench.measure import finding_rules, findings
from wsbench.measure.delta import IntervalDelta, errors_of, lost_of, merge_counts
from wsbench.measure.histogram import (
    COARSE_WIDTH,
    PERCENTS,
    Buckets,
    highest_value,
    merge,
    merge_coarsely,
    merged,
    percentiles,
    pieces,
)
from wsbench.measure.percentile_curve import Curve, curve
from wsbench.measure.phases import Phase
from wsbench.measure.series import BUILT_IN, LATENCY_SERIES, SERIES
from wsbench.run.options import RunOptions
from wsbench.run.protocol import Report
from wsbench.units import NS_PER_S

_CHUNK = 500
"""This many buckets take a few tens of microseconds."""
_KEPT_POINTS = 600
_SETTLED_AFTER = 15
"""Seconds after which a late reply no longer changes the percentiles of its second."""
_LAST_FINE = COARSE_WIDTH - 1
_LEAST_JUDGED_NS = NS_PER_S // 2


class ChartPoint(msgspec.Struct):
    """The figures of a second, or part of one, in a chart: rates per second, latencies in ns; None for no value."""

    start_ns: int
    phase: str
    connections: int
    wanted: int
    sent_per_s: float
    received_per_s: float
    lost_per_s: float
    errors_per_s: float
    response: list[int | None]
    """p50, p90, p99 and maximum."""
    service: list[int | None]
    send_lag_p99_ns: int | None
    read_lag_p99_ns: int | None


class LiveInterval:
    """The coarse figures of one interval."""

    def __init__(self, phase: str, start_ns: int) -> None:
        self.phase = phase
        self.start_ns = start_ns
        self.counts: dict[str, int] = {}
        self.series: dict[str, Buckets] = {}
        self.connections = self.wanted = 0
        self.version = 0
        self._settled = False
        self._percentiles: tuple[int, list[list[int | None]]] = (-1, [])

    def settle(self) -> bool:
        """Fix the percentiles and drop their buckets; return False if that was done before."""
        if self._settled:
            return False
        self._latencies()
        self.series = {}
        self._settled = True
        return True

    def add(self, name: str, coarse: Buckets) -> None:
        """Add buckets to one series, unless the percentiles are fixed."""
        if not self._settled:
            merge(self.series.setdefault(name, {}), coarse)

    def figures(self, workers: int) -> ChartPoint | None:
        """Return the figures for a chart; None for an interval that is too short.

        Rates are scaled up to all `workers`, some of which may not have reported the interval yet.
        """
        wall_ns = self.counts.get("wall_ns", 0)
        if wall_ns < SLIVER_NS:
            return None
        per_s = NS_PER_S / wall_ns * workers
        response, service, send_lag, read_lag = self._latencies()
        return ChartPoint(
            start_ns=self.start_ns,
            phase=self.phase,
            connections=self.connections,
            wanted=self.wanted,
            sent_per_s=round(self.counts.get("sent", 0) * per_s, 2),
            received_per_s=round(self.counts.get("received", 0) * per_s, 2),
            lost_per_s=round(lost_of("response", self.counts) * per_s, 2),
            errors_per_s=round(errors_of(self.counts) * per_s, 2),
            response=response,
            service=service,
            send_lag_p99_ns=send_lag[2],
            read_lag_p99_ns=read_lag[2],
        )

    def _latencies(self) -> list[list[int | None]]:
        if self._percentiles[0] != self.version and not self._settled:
            latencies = []
            for name in LATENCY_SERIES:
                # In a closed loop a message is due when it is sent.
                buckets = self.series.get(name) or self.series.get("service" if name == "response" else name, {})
                most = highest_value(max(buckets)) if buckets else None
                lost = lost_of(name, self.counts)
                latencies.append([*percentiles(buckets, (50.0, 90.0, 99.0), lost), most])
            self._percentiles = (self.version, latencies)
        return self._percentiles[1]


class LiveView:
    """The live figures of one run.

    Attributes:
        version: grows with every report.
        verdict: the generator's verdict on itself so far, with its findings; None before the first `judge`.
    """

    def __init__(self, options: RunOptions, registry: WorkerRegistry, *, yield_control: Callable[[], None]) -> None:
        self.version = 0
        self.verdict: tuple[str, list[findings.Finding]] | None = None
        self._options = options
        self._registry = registry
        self.yield_control = yield_control
        # In a closed loop `response` is `service`, and `send_lag` is nothing but zeros.
        self._names = ("service", "read_lag") if options.closed_loop else LATENCY_SERIES
        self._points: dict[tuple[str, int], LiveInterval] = {}
        self._series: dict[str, dict[str, Buckets]] = {}
        self._counts: dict[str, dict[str, int]] = {}
        self.connections_open = self.connections_wanted = 0

    # -- adding reports --------------------------------------------------------------------------------------------

    def take(self, report: Report) -> Buckets:
        """Add a report and return its response times in coarse buckets. Yields control in between."""
        response: Buckets = {}
        points = []
        for delta in report.deltas:
            point = self._point(delta)
            points.append(point)
            for name in (*self._names, *(name for name in delta.series if name not in BUILT_IN)):
                coarse = self._coarse(delta.series.get(name, {}))
                if name == self._names[0]:
                    merge(response, coarse)
                # As in HdrHistogram, a bucket counts as its highest value: here, that of its last fine bucket.
                coarse = {key | _LAST_FINE: count for key, count in coarse.items()}
                if name in SERIES:
                    point.add(name, coarse)
                merge(self._series.setdefault(delta.phase, {}).setdefault(name, {}), coarse)
                self.yield_control()
        # Only now, when the report is whole: a reader may have seen parts of it while control was yielded.
        self.version += 1
        for point in points:
            point.version = self.version
        self._settle()
        return response

    def _coarse(self, buckets: Buckets) -> Buckets:
        coarse: Buckets = {}
        for piece in pieces(buckets, _CHUNK):
            merge_coarsely(coarse, piece)
            self.yield_control()
        return coarse

    def _point(self, delta: IntervalDelta) -> LiveInterval:
        counts = delta.counts
        self.connections_open += counts.get("connections_opened", 0) - counts.get("connections_closed", 0)
        self.connections_wanted += counts.get("connections_wanted", 0)
        merge_counts(self._counts.setdefault(delta.phase, {}), counts)
        point = self._points.get((delta.phase, delta.start_ns))
        if point is None:
            point = LiveInterval(delta.phase, delta.start_ns)
            if len(self._points) < _KEPT_POINTS or delta.start_ns > next(iter(self._points))[1]:
                self._points[delta.phase, delta.start_ns] = point
        merge_counts(point.counts, counts)
        if "wall_ns" in counts:  # the present interval, not an earlier one of a late reply
            point.connections, point.wanted = self.connections_open, self.connections_wanted
        return point

    def _settle(self) -> None:
        while len(self._points) > _KEPT_POINTS:
            del self._points[next(iter(self._points))]
        for point in list(self._points.values())[-2 * _SETTLED_AFTER : -_SETTLED_AFTER]:
            if point.settle():
                self.yield_control()

    # -- reading figures -------------------------------------------------------------------------------------------

    @property
    def phase_shown(self) -> str:
        """The phase of all figures that cover more than a second: the measure phase, or before it, the present one."""
        return next((phase for phase in reversed(Phase) if phase != Phase.DRAIN and phase in self._counts), Phase.RAMP)

    def counts(self) -> dict[str, int]:
        """Return the counts of `phase_shown`."""
        return self._counts.get(self.phase_shown, {})

    def series(self) -> dict[str, Buckets]:
        """Return the series of `phase_shown` in coarse buckets."""
        known = self._series.get(self.phase_shown, {})
        if self._options.closed_loop and known:
            sent = self.counts().get("sent", 0)
            return {"response": known["service"], **known, "send_lag": {0: sent} if sent else {}}
        # A copy: the caller yields control while it iterates, and a report may add a series meanwhile.
        return dict(known)

    def series_of(self, name: str, phase: Phase | None) -> Buckets | None:
        """Return one series of a phase or of all, in coarse buckets; None if this has only exact ones."""
        if self._options.closed_loop and name == "response":
            name = "service"
        if not any(name in series for series in self._series.values()):
            return None
        return merged([series.get(name, {}) for of, series in self._series.items() if phase in (None, of)])

    def points(self, since: int) -> Iterator[ChartPoint]:
        """Yield the seconds that changed after version `since`, the oldest first, without those of the drain."""
        workers = len(self._registry)
        for index, point in enumerate(list(self._points.values())):
            if point.phase == Phase.DRAIN or point.version <= since:
                continue
            if (figures := point.figures(workers)) is not None:
                yield figures
                if index % 4 == 0:
                    self.yield_control()

    def latest(self) -> ChartPoint | None:
        """Return the latest second; None before the first one."""
        workers = len(self._registry)
        points = (point for point in reversed(self._points.values()) if point.phase != Phase.DRAIN)
        return next((figures for point in points if (figures := point.figures(workers)) is not None), None)

    def latencies(self) -> Iterator[tuple[str, dict[str, Any], Curve]]:
        """Yield each series with its table (`count`, `lost`, `p50_ns` …, `max_ns`) and its percentile curve."""
        counts = self.counts()
        for name, buckets in self.series().items():
            lost = lost_of(name, counts)
            self.yield_control()
            values = percentiles(buckets, PERCENTS, lost)
            table: dict[str, Any] = {"count": sum(buckets.values()), "lost": lost}
            table |= {f"p{p:g}_ns": value for p, value in zip(PERCENTS, values, strict=True)}
            table["max_ns"] = highest_value(max(buckets)) if buckets else None
            self.yield_control()
            yield name, table, curve(buckets, lost)

    def judge(self, missing: set[int]) -> None:
        """Update `verdict` by applying the rules of the final verdict to the figures so far."""
        if self._counts.get(Phase.MEASURE, {}).get("wall_ns", 0) < _LEAST_JUDGED_NS:
            return
        gone = sorted(missing & self._registry.not_final())
        evidence = self._registry.evidence(self._options, self.series(), self.counts(), gone)
        found: list[findings.Finding] = []
        for rule in finding_rules.RULES:
            self.yield_control()
            found += rule(evidence)
        self.verdict = findings.verdict_of(found)
