"""A cgroup with a CPU quota, as a container has one, and commands in it: version 1 or 2, whichever has the controller.

Needs root (`@pytest.mark.needs("cpu-quota")`).
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from .process import eventually

_PERIOD_US = 100_000
"""The kernel's default period."""
_numbers = itertools.count()


def _hierarchy() -> tuple[Path, bool]:
    """Return the mount of the hierarchy with the CPU controller, and whether it is version 2; OSError without one."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, options = line.split()[:4]
        if kind == "cgroup" and "cpu" in options.split(","):
            return Path(where), False
        if kind == "cgroup2" and "cpu" in (Path(where) / "cgroup.controllers").read_text().split():
            return Path(where), True
    raise OSError("no cgroup hierarchy with the CPU controller is mounted")


@contextlib.contextmanager
def cpu_cgroup(quota: float | None = None) -> Iterator[list[str]]:
    """Create a cgroup, with a quota in cores, during the block; yield the prefix of a command to run in it.

    Its weight is the highest there is: other programs of a busy machine take little from it.
    """
    root, unified = _hierarchy()
    if unified:
        (root / "cgroup.subtree_control").write_text("+cpu")
    group = root / f"wsbench-test-{os.getpid()}-{next(_numbers)}"
    group.mkdir()
    try:
        settings = {"cpu.weight": 10_000} if unified else {"cpu.shares": 262_144}
        if quota is not None:
            quota_us = round(quota * _PERIOD_US)
            settings |= {"cpu.max": quota_us} if unified else {"cpu.cfs_quota_us": quota_us}
        for name, value in settings.items():
            (group / name).write_text(str(value))
        yield ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(group / "cgroup.procs")]
    finally:
        eventually(lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()


def problem() -> str:
    """Return why no cgroup with a quota can be created here, or an empty text."""
    try:
        with cpu_cgroup(1):
            return ""
    except OSError as error:
        return str(error)
