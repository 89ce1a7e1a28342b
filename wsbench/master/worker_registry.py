"""The workers as the master knows them: who has said what, so that nothing is counted twice and nobody is forgotten."""

from __future__ import annotations

from wsbench.measure.phases import Phase
from wsbench.run.protocol import ConnectionTally, Health, Report


class WorkerState:
    """One worker.

    Attributes:
        report: its latest; before the first one, an empty one numbered 0.
        received: replies in the measure phase so far.
        gaps: numbers of reports that were sent before the latest one and have not come.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self.report = Report(index, 0, [], ConnectionTally(), [], Health())
        self.received = 0
        self.polled_ns = 0
        self.gaps: set[int] = set()
        self._cpu: dict[tuple[str, int], tuple[int, int]] = {}

    def knows(self, report: Report) -> bool:
        """Whether it came before."""
        return report.number <= self.report.number and report.number not in self.gaps

    @property
    def final(self) -> bool:
        """Whether it has sent its last report, and all before that came too."""
        return self.report.final and not self.gaps

    def take(self, report: Report) -> bool:
        """Note a report; False when it came before and must not be counted again."""
        if self.knows(report):
            return False
        if report.number > self.report.number:
            self.gaps.update(range(self.report.number + 1, report.number))
            self.report = report
        else:  # said again: with the connection that carried it broken, it got lost the first time
            self.gaps.remove(report.number)
        for delta in report.deltas:
            key = (delta.phase, delta.start_ns)
            cpu, wall = self._cpu.get(key, (0, 0))
            self._cpu[key] = (cpu + delta.counts.get("cpu_ns", 0), wall + delta.counts.get("wall_ns", 0))
            if delta.phase == Phase.MEASURE:
                self.received += delta.counts.get("received", 0)
                self.polled_ns += delta.counts.get("polled_ns", 0)
        return True

    def cpu_percent(self) -> dict[tuple[str, int], float]:
        """CPU of each interval, by phase and start, in percent of one core."""
        return {key: 100 * cpu / wall for key, (cpu, wall) in self._cpu.items() if wall > 0}

    def cpu_of_measure(self) -> tuple[float, float]:
        """(mean, maximum) over the measure phase, in percent of one core; intervals cut short count by their length."""
        measured = [use for (phase, _), use in self._cpu.items() if phase == Phase.MEASURE and use[1] > 0]
        total = sum(wall for _, wall in measured)
        mean = 100 * sum(cpu for cpu, _ in measured) / total if total else 0.0
        # A sliver of an interval says nothing about how busy the worker was.
        long = [100 * cpu / wall for cpu, wall in measured if wall > 100_000_000]
        return round(mean, 1), round(max(long, default=mean), 1)

    def polling_of_measure(self) -> float:
        """The part of the mean of `cpu_of_measure` that was spent waiting for the next message to be due."""
        total = sum(wall for (phase, _), (_, wall) in self._cpu.items() if phase == Phase.MEASURE)
        return round(100 * self.polled_ns / total, 1) if total else 0.0


class WorkerRegistry:
    """All workers of a run."""

    def __init__(self) -> None:
        self._workers: dict[int, WorkerState] = {}

    def expect(self, index: int) -> WorkerState:
        """A worker takes part, whether or not it has said anything yet."""
        if index not in self._workers:
            self._workers[index] = WorkerState(index)
        return self._workers[index]

    def knows(self, report: Report) -> bool:
        """Whether a report came before."""
        return self.expect(report.worker).knows(report)

    def take(self, report: Report) -> bool:
        """Note a report; False when it came before."""
        return self.expect(report.worker).take(report)

    @property
    def workers(self) -> list[WorkerState]:
        """By index."""
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
        """Whether everybody who can still say something has sent a last report."""
        return all(worker.final or index in missing for index, worker in self._workers.items())

    @property
    def all_final(self) -> bool:
        """Whether everybody has sent a last report."""
        return all(worker.final for worker in self._workers.values())
