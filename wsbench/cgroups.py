"""The cgroups of a process, version 1 or 2 (cgroups(7)), and the memory that they allow it.

A limit of a cgroup holds for those below it, too.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

THIS_PROCESS = Path("/proc/self")
V1, V2 = "cgroup", "cgroup2"
"""The types of their file systems stand for the versions."""
_MEMORY_FILES = {V1: "memory.limit_in_bytes", V2: "memory.max"}


def memory_limit(process: Path = THIS_PROCESS) -> int | None:
    """Return the bytes that the strictest of the cgroups of a process allows; None if none is limited.

    Version 1 has a number above all memory for "no limit".

    Args:
        process: the directory of the process in /proc.
    """
    kind, found = directories("memory", process)
    limits = []
    for directory in found:
        with contextlib.suppress(OSError, ValueError):  # the root of a hierarchy has no limit, another one may be "max"
            limits.append(int((directory / _MEMORY_FILES[kind]).read_text()))
    return min(limits, default=None)


def directories(controller: str, process: Path = THIS_PROCESS) -> tuple[str, list[Path]]:
    """Return the version that has a controller, and the directories of the process's cgroup and of those above it.

    There are none if no cgroup is visible here.
    """
    try:
        kind, path = _membership(os.fsdecode((process / "cgroup").read_bytes()), controller)
        mounts = list(_mounts(os.fsdecode((process / "mountinfo").read_bytes()), kind, controller))
    except (OSError, ValueError):  # no Linux, or no cgroups
        return V2, []
    return kind, _directories(path, mounts)


def _membership(text: str, controller: str) -> tuple[str, str]:
    """Return the version that has a controller of the process, and the path of the process's cgroup.

    Where both versions are mounted, a controller belongs to one of them: to version 2 if version 1 does not name it.
    """
    unified = None
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return V1, path
        if not controllers:
            unified = path
    if unified is None:
        raise ValueError(f"no cgroup with the controller {controller}")
    return V2, unified


def _mounts(text: str, kind: str, controller: str) -> Iterator[tuple[str, Path]]:
    """Yield each mount of the hierarchy with the controller: the cgroup at its root, and where it is mounted."""
    for line in text.splitlines():
        mount, _, system = line.partition(" - ")
        root, mount_point = map(_unescape, mount.split()[3:5])
        mounted, *_, options = system.split()
        if mounted == kind and (kind == V2 or controller in options.split(",")):
            yield root, Path(mount_point)


def _unescape(text: str) -> str:
    """Resolve the octal escapes of proc_pid_mountinfo(5)."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def _directories(path: str, mounts: Sequence[tuple[str, Path]]) -> list[Path]:
    """Return the directories of a cgroup and of those above it, up to the root of the mount.

    A container may not see its own path ("/..", or one of the host's): then its cgroup is the root of the mount.
    """
    for root, mount_point in mounts:
        with contextlib.suppress(ValueError):  # not below this root
            inner = PurePosixPath(path).relative_to(root)
            if ".." not in inner.parts and (mount_point / inner).is_dir():
                return [mount_point / part for part in (inner, *inner.parents)]
    return [mount_point for _, mount_point in mounts[:1]]
