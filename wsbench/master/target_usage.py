"""CPU and memory of a target that wsbench started, its child processes included."""

from __future__ import annotations

import psutil

from wsbench.results.run_result import TargetResult
from wsbench.run.handoff import StartedTarget


class TargetSampler:
    """Samples the target's processes where phases begin; without a started target it does nothing."""

    def __init__(self, info: StartedTarget | None) -> None:
        self._info = info
        self._rss_before: int | None = None
        self._per_connection: int | None = None
        self._cpu_begin: float | None = None
        self._cpu_end: float | None = None
        self._rss: int | None = None

    def sample_before_ramp(self) -> None:
        """Sample the memory before any connection is open."""
        self._rss_before = self._memory()

    def sample_after_ramp(self, connections: int) -> None:
        """Sample the memory when all `connections` are open."""
        rss = self._memory()
        if rss is not None and self._rss_before is not None and connections:
            self._per_connection = max(0, (rss - self._rss_before) // connections)

    def sample_measure_begin(self) -> None:
        """Sample the CPU time at the begin of the measure phase."""
        self._cpu_begin = self._cpu()

    def sample_measure_end(self) -> None:
        """Sample CPU time and memory at the end of the measure phase; only the first call counts."""
        if self._cpu_begin is not None and self._cpu_end is None:
            self._cpu_end, self._rss = self._cpu(), self._memory()

    def usage(self) -> TargetResult:
        """Return the figures."""
        if self._info is None:
            return TargetResult()
        known = self._cpu_begin is not None and self._cpu_end is not None
        return TargetResult(
            name=self._info.name,
            version=self._info.version,
            started_by_wsbench=True,
            cpu_s=round(self._cpu_end - self._cpu_begin, 6) if known else None,  # type: ignore[operator]
            rss_bytes=self._rss,
            bytes_per_connection=self._per_connection,
        )

    def _processes(self) -> list[psutil.Process]:
        processes: list[psutil.Process] = []
        for pid in self._info.pids if self._info is not None else []:
            try:
                process = psutil.Process(pid)
                processes += [process, *process.children(recursive=True)]
            except psutil.Error:
                continue
        return processes

    def _cpu(self) -> float | None:
        total, seen = 0.0, False
        for process in self._processes():
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            total, seen = total + times.user + times.system, True
        return total if seen else None

    def _memory(self) -> int | None:
        total = 0
        for process in self._processes():
            try:
                total += process.memory_info().rss
            except psutil.Error:
                continue
        return total or None
