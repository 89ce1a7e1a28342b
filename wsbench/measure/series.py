"""Names of counts and series: those of every run, and the rule for a scenario's own."""

from __future__ import annotations

import functools
import re

from wsbench.measure.quantity import Quantity, is_scope, read_quantity, words_of

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
"""The series of every run."""
AWAY = "away"
"""The series of a run in which connections were dropped: from each drop until the connection was open again."""
BUILT_IN = (*SERIES, AWAY)
"""Any other series is named by the scenario."""
RESERVED = ("target", "http", "network")
"""Words that a later version may need at the beginning of a gate, as it needs the phases and stages today."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}")


@functools.cache
def check_name(name: str) -> str:
    """Return `name` if a scenario's series or counter can have it.

    It becomes part of a file name and an .hlog tag, and a gate must be able to name it. Raise ValueError if not.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot name what is measured: use at most 64 letters, digits and _.+-")
    if name in BUILT_IN:
        raise ValueError(f"{name!r} is the name of a series of wsbench: use another")
    words = words_of(name)
    if is_scope(words[0]) or words[0].text in RESERVED:
        raise ValueError(f"{name!r} cannot name what is measured: {words[0].text!r} is a word of gates, use another")
    read = read_quantity(words)
    if read != Quantity(None, name, None):
        raise ValueError(f"{name!r} cannot name what is measured: {read.figure!r} is a figure in gates, use another")
    return name
