"""This machine: its limit of open files, its identity, and the scheduling class of a process that observes."""

from __future__ import annotations

import hashlib
import os
import platform
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from wsbench.cgroups import memory_limit
from wsbench.errors import UsageError
from wsbench.units import format_bytes

OWN_DESCRIPTORS = 64
"""Files that a process needs besides its connections: libraries, logs, gevent's hub, Locust's sockets."""


@contextmanager
def in_background() -> Iterator[None]:
    """Keep the calling thread, and threads it starts, from preempting other processes (Linux, SCHED_BATCH).

    A process that observes a generator wakes up once a second; on the generator's core, that would delay messages.
    """
    if not hasattr(os, "SCHED_BATCH") or os.sched_getscheduler(0) != os.SCHED_OTHER:
        yield
        return
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one, and return the new soft limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return hard
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):  # macOS has another limit below an unlimited hard one
        return soft
    return hard


def check_descriptors(connections: int, processes: int) -> None:
    """Check that the processes can open this many connections; raise UsageError if they cannot."""
    room = connections_of_a_process()
    if room is not None and -(-connections // processes) > room:
        raise UsageError(
            f"{connections} connections from {processes} process{'es' if processes > 1 else ''} need more files than "
            f"a process may open here ({room + OWN_DESCRIPTORS})",
            remedy=f"Use --processes {-(-connections // max(room, 1))}, or raise the hard limit (ulimit -Hn).",
        )


def check_memory(needed: int, what: str) -> None:
    """Raise UsageError if `what` needs more bytes than there are here: the kernel would kill the generator."""
    usable, whose = usable_memory()
    if needed > usable:
        raise UsageError(f"{what} take {format_bytes(needed)} of memory, and {whose} {format_bytes(usable)}")


def usable_memory() -> tuple[int, str]:
    """Return the bytes of memory that processes may use here, and who sets this limit, with a verb."""
    total, limit = psutil.virtual_memory().total, memory_limit()
    if limit is None or limit >= total:
        return total, "this machine has"
    return limit, "this container's cgroup allows"


def connections_of_a_process() -> int | None:
    """Return the connections that a process may hold by the hard limit of open files; None without a limit."""
    limit = most_open_files()
    return None if limit is None else limit - OWN_DESCRIPTORS


def most_open_files() -> int | None:
    """Return the hard limit of open files; None without a limit."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return None if limit == resource.RLIM_INFINITY else limit


def host_id() -> str:
    """Return an id that all processes of a machine share, that differs between machines, and that reveals nothing."""
    for path in ("/etc/machine-id", "/proc/sys/kernel/random/boot_id"):
        try:
            text = Path(path).read_text().strip()
        except OSError:
            continue
        if text:
            return hashlib.sha256(f"wsbench {text}".encode()).hexdigest()[:16]
    return hashlib.sha256(f"wsbench {platform.node()}".encode()).hexdigest()[:16]
