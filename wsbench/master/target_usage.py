"""CPU and memory of a target that wsbench started, its child processes included."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TypeVar

import psutil

from wsbench.results.run_result import TargetResult
from wsbench.run.handoff import StartedTarget

T = TypeVar("T", int, float)


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

    def _cpu(self) -> float | None:
        return self._sum(lambda process: sum(process.cpu_times()[:2]))  # user and system

    def _memory(self) -> int | None:
        return self._sum(lambda process: process.memory_info().rss) or None

    def _sum(self, read: Callable[[psutil.Process], T]) -> T | None:
        """Return the sum over the processes that still run; None if there are none."""
        values = []
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                values.append(read(process))
        return sum(values) if values else None

    def _processes(self) -> Iterator[psutil.Process]:
        for pid in self._info.pids if self._info is not None else []:
            with contextlib.suppress(psutil.Error):
                root = psutil.Process(pid)
                yield from (root, *root.children(recursive=True))
