"""Open files: every connection is one."""

from __future__ import annotations

import resource

OWN_DESCRIPTORS = 64
"""What a process needs for itself: libraries, logs, the hub, Locust's own sockets."""


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
