"""The workers as the master knows them: which reports have come, so that each counts once and no worker is missed."""

from __future__ import annotations

from wsbench.measure.delta import IntervalDelta
from wsbench.measure.phases import Phase
from wsbench.run.protocol import ConnectionTally, Health, Report
from wsbench.units import NS_PER_S

SLIVER_NS = NS_PER_S // 10
"""A part of a second that is too short for a rate or for a CPU figure."""


class WorkerState:
    """A worker.

    Attributes:
        report: the latest report; before the first one, an empty report with number 0.
        received: replies in the measure phase so far.
        gaps: numbers of reports that were sent before the latest one and have not arrived.
        cpu_now: CPU during the last report taken, in percent of one core.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self.report = Report(index, 0, [], ConnectionTally(), [], Health())
        self.received = 0
        self.gaps: set[int] = set()
        self.cpu_now = 0.0
        self._measured = dict.fromkeys(("cpu_ns", "wall_ns", "polled_ns"), 0)
        self._cpu: dict[tuple[str, int], tuple[int, int]] = {}
        # Intervals of the measure phase that may still grow are kept apart: a day has too many to go through all of
        # them each time `cpu_max` is shown.
        self._open: set[tuple[str, int]] = set()
        self._max_of_closed = 0.0

    def knows(self, report: Report) -> bool:
        """Return whether the report was taken before."""
        return report.number <= self.report.number and report.number not in self.gaps

    @property
    def final(self) -> bool:
        """True when the last report and all before it have arrived."""
        return self.report.final and not self.gaps

    def take(self, report: Report) -> bool:
        """Record a report; return False for one that was taken before and must not be counted again."""
        if self.knows(report):
            return False
        if report.number > self.report.number:
            self.gaps.update(range(self.report.number + 1, report.number))
            self.report = report
        else:  # sent again: it was lost when the connection broke
            self.gaps.remove(report.number)
        cpu = wall = 0
        for delta in report.deltas:
            cpu, wall = cpu + delta.counts.get("cpu_ns", 0), wall + delta.counts.get("wall_ns", 0)
            self._add(delta)
        self.cpu_now = _percent(cpu, wall)
        self._close_intervals()
        return True

    def _add(self, delta: IntervalDelta) -> None:
        key, counts = (delta.phase, delta.start_ns), delta.counts
        cpu, wall = self._cpu.get(key, (0, 0))
        self._cpu[key] = (cpu + counts.get("cpu_ns", 0), wall + counts.get("wall_ns", 0))
        if delta.phase == Phase.MEASURE:
            self._open.add(key)
            self.received += counts.get("received", 0)
            for name in self._measured:
                self._measured[name] += counts.get(name, 0)

    def _close_intervals(self) -> None:
        """Close all open intervals but the latest, unless a missing report may belong to them."""
        if not self.gaps and len(self._open) > 1:
            latest = max(self._open)
            self._max_of_closed = max(self._max_of_closed, *map(self._percent_of, self._open - {latest}))
            self._open = {latest}

    def cpu_percent(self) -> dict[tuple[str, int], float]:
        """Return the CPU of each interval, by phase and start, in percent of one core."""
        return {key: 100 * cpu / wall for key, (cpu, wall) in self._cpu.items() if wall > 0}

    @property
    def cpu_mean(self) -> float:
        """CPU over the measure phase in percent of one core; intervals that were cut short count by their length."""
        return _percent(self._measured["cpu_ns"], self._measured["wall_ns"])

    @property
    def cpu_max(self) -> float:
        """CPU in the busiest interval of the measure phase, without slivers; `cpu_mean` if there are only slivers."""
        return round(max((self._max_of_closed, *map(self._percent_of, self._open))), 1) or self.cpu_mean

    @property
    def polling(self) -> float:
        """The part of `cpu_mean` that was spent polling until the next message was due."""
        return _percent(self._measured["polled_ns"], self._measured["wall_ns"])

    def _percent_of(self, key: tuple[str, int]) -> float:
        cpu, wall = self._cpu[key]
        return 100 * cpu / wall if wall > SLIVER_NS else 0.0


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1) if whole else 0.0


class WorkerRegistry:
    """All workers of a run."""

    def __init__(self) -> None:
        self._workers: dict[int, WorkerState] = {}

    def expect(self, index: int) -> WorkerState:
        """Return the state of a worker, which from now on takes part whether or not it has reported."""
        if index not in self._workers:
            self._workers[index] = WorkerState(index)
        return self._workers[index]

    def knows(self, report: Report) -> bool:
        """Return whether the report was taken before."""
        return self.expect(report.worker).knows(report)

    def take(self, report: Report) -> bool:
        """Record a report; return False for one that was taken before."""
        return self.expect(report.worker).take(report)

    @property
    def workers(self) -> list[WorkerState]:
        """All workers by index."""
        return [self._workers[index] for index in sorted(self._workers)]

    @property
    def attempted(self) -> int:
        """Connections that users asked for so far."""
        return sum(worker.report.connections.attempted for worker in self._workers.values())

    @property
    def opened(self) -> int:
        """Connections opened so far."""
        return sum(worker.report.connections.opened for worker in self._workers.values())

    @property
    def failed(self) -> int:
        """Connections that failed so far."""
        return sum(worker.report.connections.failed for worker in self._workers.values())

    def all_final_but(self, missing: set[int]) -> bool:
        """Return whether every worker except the `missing` ones has sent its last report."""
        return all(worker.final or index in missing for index, worker in self._workers.items())

    @property
    def all_final(self) -> bool:
        """True when every worker has sent its last report."""
        return self.all_final_but(set())
