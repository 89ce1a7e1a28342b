"""What is counted in every run, what is measured in it, and how a scenario may name what it measures itself."""

from __future__ import annotations

import functools
import re

MESSAGE_COUNTS = (
    "sent",
    "received",
    "lost",
    "missed",
    "late",
    "duplicated",
    "reordered",
    "corrupted",
    "unexpected",
    "one_way",
    "pushed",
)
TALLY_COUNTS = (*MESSAGE_COUNTS, "payload_sent", "payload_received", "user_stamped")
LATENCY_SERIES = ("response", "service", "send_lag", "read_lag")
CONNECT_SERIES = ("connect", "tcp", "tls", "upgrade")
SERIES = (*LATENCY_SERIES, *CONNECT_SERIES)
"""Every run has these. Any other series is one that its scenario named."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}")


@functools.cache
def check_name(name: str) -> str:
    """The name of a series or counter of a scenario's own: part of a file's name, and of a tag in latency.hlog.

    Raises:
        ValueError: it cannot be one, or it is taken.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot name what is measured: use letters, digits and _.+-, at most 64 of them")
    if name in SERIES:
        raise ValueError(f"{name!r} is the name of a series that every run has: use another")
    return name
