"""CPU quotas of this process's cgroups, version 1 or 2 (cgroups(7)), and how long they have stopped it.

A container with half a core has 50 ms of CPU time in every period of 100 ms. When its processes have used them, the
kernel stops ("throttles") them all until the period ends. A quota of a cgroup holds for those below it, too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from wsbench.cgroups import THIS_PROCESS, V1, V2, directories

_QUOTA_FILES = {V1: ("cpu.cfs_quota_us", "cpu.cfs_period_us"), V2: ("cpu.max",)}
_US = 1_000


class Throttling(msgspec.Struct, frozen=True):
    """Effect of a CPU quota on its cgroup.

    Attributes:
        cores: the quota.
        cgroup: id of the cgroup; unique over all machines.
        periods: number of periods in which the cgroup was active.
        throttled_periods: those in which it was stopped.
        throttled_ns: the time for which it was stopped, summed over the cores that it ran on.
    """

    cores: float
    cgroup: str = ""
    periods: int = 0
    throttled_periods: int = 0
    throttled_ns: int = 0

    def since(self, earlier: Throttling) -> Throttling:
        """Return what was added since an earlier reading."""
        return Throttling(
            self.cores,
            self.cgroup,
            self.periods - earlier.periods,
            self.throttled_periods - earlier.throttled_periods,
            self.throttled_ns - earlier.throttled_ns,
        )


@dataclass(frozen=True)
class CpuQuota:
    """The CPU quota, in cores, of one cgroup, with its directory and its id."""

    cores: float
    directory: Path
    cgroup: str = ""

    def throttling(self) -> Throttling:
        """Return its effect since the cgroup was created; raise OSError or ValueError if that cannot be read."""
        with (self.directory / "cpu.stat").open("rb", buffering=0) as file:  # half of the time that a text file takes
            lines = file.read().splitlines()
        counts = {name: int(value) for name, value in map(bytes.split, lines)}
        return Throttling(
            self.cores,
            self.cgroup,
            counts.get(b"nr_periods", 0),
            counts.get(b"nr_throttled", 0),
            counts.get(b"throttled_usec", 0) * _US + counts.get(b"throttled_time", 0),  # version 2, version 1
        )


class ThrottleWatch:
    """Watch over quotas, for their effect since `reset`."""

    def __init__(self, quotas: Sequence[CpuQuota]) -> None:
        self._quotas = quotas
        self._latest = tuple(Throttling(quota.cores, quota.cgroup) for quota in quotas)
        self.reset()

    def reset(self) -> None:
        """Forget the effect so far."""
        self._read()
        self._begin = self._latest

    def worst(self) -> Throttling | None:
        """Return the effect of the quota that stopped its cgroup longest, or of the strictest; None without quotas."""
        self._read()
        added = [latest.since(begin) for latest, begin in zip(self._latest, self._begin, strict=True)]
        return max(added, key=lambda each: (each.throttled_ns, -each.cores), default=None)

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # no descriptor left to read it: keep the last reading
            self._latest = tuple(quota.throttling() for quota in self._quotas)


def strictest_quota() -> float | None:
    """Return the cores that this process may use by the strictest of its quotas; None without a quota."""
    return min((quota.cores for quota in cpu_quotas()), default=None)


def cpu_quotas(process: Path = THIS_PROCESS) -> list[CpuQuota]:
    """Return the quotas that hold for a process: of its cgroup, and of those above it that are visible here.

    Args:
        process: the directory of the process in /proc.
    """
    kind, found = directories("cpu", process)
    quotas = [_quota(directory, kind) for directory in found]
    return [quota for quota in quotas if quota is not None]


def _quota(directory: Path, kind: str) -> CpuQuota | None:
    """Return the quota of a cgroup; None if it has none, as the root of a hierarchy."""
    try:
        quota, period = " ".join((directory / name).read_text() for name in _QUOTA_FILES[kind]).split()
        if quota == "max" or int(quota) <= 0:
            return None
        return CpuQuota(round(int(quota) / int(period), 3), directory, f"{_boot()}/{directory.stat().st_ino}")
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _boot() -> str:
    """Return the id of the machine's running kernel, which is the same in all its containers."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
