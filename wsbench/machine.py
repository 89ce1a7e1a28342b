"""This machine: its limit of open files, its identity, and the scheduling class of a process that watches."""

from __future__ import annotations

import hashlib
import os
import platform
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wsbench.errors import UsageError

OWN_DESCRIPTORS = 64
"""What a process needs for itself: libraries, logs, the hub, Locust's own sockets."""


@contextmanager
def in_background() -> Iterator[None]:
    """While this lasts, the calling thread and those it starts never push another process off its core (Linux).

    Whoever watches a generator wakes up once a second: on the generator's core, that would make messages late.
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
    """Raise the soft limit of open files to the hard one; what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return hard
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):  # macOS has a limit of its own below an unlimited hard one
        return soft
    return hard


def check_descriptors(connections: int, processes: int) -> None:
    """Whether so many connections can be opened from so many processes, before the first one is.

    Raises:
        UsageError: they cannot.
    """
    room = connections_of_a_process()
    if room is not None and -(-connections // processes) > room:
        raise UsageError(
            f"{connections} connections from {processes} process{'es' if processes > 1 else ''} need more files than "
            f"a process may open here ({room + OWN_DESCRIPTORS})",
            remedy=f"Use --processes {-(-connections // max(room, 1))}, or raise the hard limit (ulimit -Hn).",
        )


def connections_of_a_process() -> int | None:
    """How many a process may hold by the hard limit of open files; None where there is no limit."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return None if limit == resource.RLIM_INFINITY else limit - OWN_DESCRIPTORS


def host_id() -> str:
    """The same for every process of a machine, different for different machines, and telling nothing about either."""
    for path in ("/etc/machine-id", "/proc/sys/kernel/random/boot_id"):
        try:
            text = Path(path).read_text().strip()
        except OSError:
            continue
        if text:
            return hashlib.sha256(f"wsbench {text}".encode()).hexdigest()[:16]
    return hashlib.sha256(f"wsbench {platform.node()}".encode()).hexdigest()[:16]
