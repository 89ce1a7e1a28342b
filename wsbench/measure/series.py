"""Names of counts and series: those of every run, and the rule for a scenario's own."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Container
from urllib.parse import quote, unquote

from wsbench.measure.quantity import Quantity, is_scope, needs_quotes, read_quantity, words_of

MESSAGE_COUNTS = (
    "sent",
    "received",
    "lost",
    "missed",
    "late",
    "duplicated",
    "reordered",
    "corrupted",
    "rejected",
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
MAX_NAME = 200
"""Characters. Locust's names have no limit, but the tables that show them have."""
_MAX_STEM = 200
"""Bytes. File systems allow 255, and a file's name has an extension besides."""


@functools.cache
def check_name(name: str) -> str:
    """Return `name` if a scenario's series or counter can have it; raise ValueError if not.

    A gate must be able to name it, without quotes if its characters need none.
    """
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise ValueError(f"{name!r:.300} cannot name what is measured: use 1 to {MAX_NAME} printable characters")
    if name in BUILT_IN:
        raise ValueError(f"{name!r} is the name of a series of wsbench: use another")
    if needs_quotes(name):
        return name
    words = words_of(name)
    if is_scope(words[0]) or words[0].text in RESERVED:
        raise ValueError(f"{name!r} cannot name what is measured: {words[0].text!r} is a word of gates, use another")
    read = read_quantity(words)
    if read != Quantity(None, name, None):
        raise ValueError(f"{name!r} cannot name what is measured: {read.figure!r} is a figure in gates, use another")
    return name


def service_of(name: str) -> str:
    """Return the series of the service times of an open loop, beside `name`, that of its response times."""
    return f"{name}.service"


def is_service_of(name: str, series: Container[str]) -> bool:
    """Return whether `name` has the service times of messages whose response times are in one of `series`."""
    stem = name.removesuffix(".service")
    return stem != name and stem in series


def encode_name(name: str) -> str:
    """Return a name as a tag of an .hlog, which has neither commas nor spaces: percent-encoded, as in a URL.

    Letters, digits and _.+-~ stay, except a dot or hyphen at the beginning.
    """
    encoded = quote(name, safe="+")
    return f"%{ord(encoded[0]):02X}{encoded[1:]}" if encoded[:1] in (".", "-") else encoded


def decode_name(tag: str) -> str:
    """Return the name that `encode_name` made a tag of."""
    return unquote(tag)


def file_stem(name: str) -> str:
    """Return the stem of a series' file: its tag; of one that is too long, the beginning, `~` and a checksum."""
    stem = encode_name(name)
    if len(stem) <= _MAX_STEM:
        return stem
    checksum = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{stem[: _MAX_STEM - len(checksum) - 1]}~{checksum}"
