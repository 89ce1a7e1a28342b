"""What a target that wsbench started used: CPU of the measure phase and memory a connection, its children included."""

from __future__ import annotations

from dataclasses import dataclass

import psutil

from wsbench.run.handoff import StartedTarget


@dataclass(frozen=True)
class TargetUsage:
    """The target's name and use of the machine; None for what is not known."""

    name: str | None = None
    version: str | None = None
    started_by_wsbench: bool = False
    cpu_s: float | None = None
    rss_bytes: int | None = None
    bytes_per_connection: int | None = None


class TargetSampler:
    """Reads the target's processes at the turns of a run. Without a target of ours it does nothing."""

    def __init__(self, info: StartedTarget | None) -> None:
        self._info = info
        self._rss_before: int | None = None
        self._per_connection: int | None = None
        self._cpu_begin: float | None = None
        self._cpu_end: float | None = None
        self._rss: int | None = None

    def sample_before_ramp(self) -> None:
        """No connection is open yet."""
        self._rss_before = self._memory()

    def sample_after_ramp(self, connections: int) -> None:
        """All are."""
        rss = self._memory()
        if rss is not None and self._rss_before is not None and connections:
            self._per_connection = max(0, (rss - self._rss_before) // connections)

    def sample_measure_begin(self) -> None:
        """The measure phase begins."""
        self._cpu_begin = self._cpu()

    def sample_measure_end(self) -> None:
        """The measure phase is over; only the first call counts."""
        if self._cpu_begin is not None and self._cpu_end is None:
            self._cpu_end, self._rss = self._cpu(), self._memory()

    def usage(self) -> TargetUsage:
        """What was found."""
        if self._info is None:
            return TargetUsage()
        known = self._cpu_begin is not None and self._cpu_end is not None
        return TargetUsage(
            name=self._info.name,
            version=self._info.version,
            started_by_wsbench=True,
            cpu_s=round(self._cpu_end - self._cpu_begin, 6) if known else None,  # type: ignore[operator]
            rss_bytes=self._rss,
            bytes_per_connection=self._per_connection,
        )

    def _processes(self) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for pid in self._info.pids if self._info is not None else []:
            try:
                process = psutil.Process(pid)
                found += [process, *process.children(recursive=True)]
            except psutil.Error:
                continue
        return found

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
