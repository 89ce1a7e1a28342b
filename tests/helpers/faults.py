"""Faults of the faulty echo server: their options, their choice, corruption of payloads, and counts. No I/O.

The choice depends only on the options, the number of the connection and the number of the message, so that a
repeated run has the same faults.
"""

from __future__ import annotations

import json
import random
import re
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace

_ALNUM_RUN = re.compile(rb"[A-Za-z0-9]+")
_DIGITS, _LOWER, _UPPER = b"0123456789", b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"

HELP = {
    "drop": "no reply",
    "duplicate": "the reply twice",
    "reorder": "the reply after the next one; sent uncounted when none comes within 200 ms",
    "corrupt": "one letter or digit changed, in the longest run of them (the padding, as a rule)",
    "corrupt_anywhere": "the same, in any letter or digit, also of a key, an id or a number",
    "delay": "the reply `delay_ms` after its message arrived (default: every 50th)",
    "fragment": "the reply in three frames, a ping after the first",
    "reserialize": "the JSON with its keys reversed and other spaces",
    "split": "the reply in many TCP segments, its first bytes one by one",
}


@dataclass(frozen=True)
class Faults:
    """Options of a connection, from the command line (`--drop 100`) or a URL's query (`?drop=100`).

    The first nine are shares: 0: never; N >= 1: every Nth message of a connection; below 1: a probability (seeded).
    """

    drop: float = 0
    duplicate: float = 0
    reorder: float = 0
    corrupt: float = 0
    corrupt_anywhere: float = 0
    delay: float = 0
    fragment: float = 0
    reserialize: float = 0
    split: float = 0
    delay_ms: float = 0
    stall: str = ""
    """'1/5': no reply leaves in the last 1 s of every 5 s, counted from the first connection."""
    greet: str = ""
    """A text message sent before the first request."""
    close_after: int = 0
    """Close with 1011 after the answer to the Nth message."""
    rst_after: int = 0
    """Reset the TCP connection after the answer to the Nth message."""
    service_ms: float = 0
    """Service time of a reply. The server makes one at a time over all connections: at most 1000 / this per second."""
    seed: int = 1

    def __post_init__(self) -> None:
        if self.delay_ms and not self.delay:
            object.__setattr__(self, "delay", 50)
        if self.delay and not self.delay_ms:
            raise ValueError("delay selects the replies to delay; delay_ms, their delay, is missing")
        if self.stall:
            length_s, every_s = self.stall_s
            if not 0 < length_s < every_s:
                raise ValueError(f"stall={self.stall} is not 'LENGTH/EVERY' in seconds, such as 1/5")

    @property
    def stall_s(self) -> tuple[float, float]:
        length, _, every = self.stall.partition("/")
        return float(length), float(every or 5)

    def with_options(self, options: Mapping[str, str]) -> Faults:
        """Return a copy with `options` of a query applied; ValueError names an unknown or invalid option."""
        changes = {}
        for name, text in options.items():
            kind = _KINDS.get(name)
            if kind is None:
                raise ValueError(f"unknown option {name!r}; there are {', '.join(_KINDS)}")
            try:
                changes[name] = kind(text)
            except ValueError:
                raise ValueError(f"{name}={text!r} is not a number") from None
        return replace(self, **changes)


_KINDS = {field.name: {"float": float, "int": int, "str": str}[str(field.type)] for field in fields(Faults)}


def add_options(parser: ArgumentParser) -> None:
    for name, kind in _KINDS.items():
        flag = "--" + name.replace("_", "-")
        parser.add_argument(flag, type=kind, default=getattr(Faults, name), help=HELP.get(name))


def from_options(options: Namespace) -> Faults:
    return Faults(**{name: getattr(options, name) for name in _KINDS})


@dataclass
class Counts:
    """Counts of what the server did, over all connections.

    In the end `messages_in + duplicated == replies_sent + dropped + unanswered`: a duplicate is two replies;
    unanswered messages arrived after a close, or their connection ended before their reply. `messages_in` and
    `replies_sent` are data messages; `greetings`, `pings_sent` and `pongs_in` are counted separately.
    """

    connections: int = 0
    messages_in: int = 0
    replies_sent: int = 0
    unanswered: int = 0
    dropped: int = 0
    duplicated: int = 0
    reordered: int = 0
    corrupted: int = 0
    delayed: int = 0
    stalled: int = 0
    fragmented: int = 0
    reserialized: int = 0
    split: int = 0
    greetings: int = 0
    pings_in: int = 0
    pings_sent: int = 0
    pongs_in: int = 0
    closed: int = 0
    reset: int = 0
    protocol_errors: int = 0

    def as_dict(self) -> dict[str, int]:
        return asdict(self)

    def count_reply(self, applied: frozenset[str]) -> None:
        """Count the faults of a reply that is sent now; duplicates and swaps are counted where they happen."""
        self.corrupted += bool(applied & {"corrupt", "corrupt_anywhere"})
        self.delayed += "delay" in applied
        self.fragmented += "fragment" in applied
        self.reserialized += "reserialize" in applied
        self.split += "split" in applied


class Choice:
    """The choice of faults for the messages of one connection; each fault has its own random source."""

    def __init__(self, faults: Faults, connection: int) -> None:
        self._random = {name: random.Random(f"{faults.seed}/{connection}/{name}") for name in HELP}
        self._shares: dict[str, float] = {name: getattr(faults, name) for name in HELP}

    def of(self, message: int, payload: bytes) -> tuple[frozenset[str], bytes]:
        """Return the faults of the connection's message number `message` (from 1), and its reply's payload.

        Call it once for every message, in order.
        """
        applied = {name for name, share in self._shares.items() if self._applies(name, share, message)}
        for name in ("reserialize", "corrupt", "corrupt_anywhere"):
            if name in applied:
                other = self._changed(name, payload)
                if other == payload:  # nothing to change: the fault does not apply
                    applied.remove(name)
                payload = other
        return frozenset(applied), payload

    def _applies(self, name: str, share: float, message: int) -> bool:
        if 0 < share < 1:
            return self._random[name].random() < share
        return share >= 1 and message % round(share) == 0

    def _changed(self, name: str, payload: bytes) -> bytes:
        if name == "reserialize":
            return reserialized(payload)
        return corrupted(payload, self._random[name], anywhere=name == "corrupt_anywhere")


def corrupted(payload: bytes, source: random.Random, *, anywhere: bool) -> bytes:
    """Return `payload` with one letter or digit changed into another of its kind, or unchanged if it has none."""
    runs = [match.span() for match in _ALNUM_RUN.finditer(payload)]
    if not runs:
        return payload
    if not anywhere:
        runs = [max(runs, key=lambda span: span[1] - span[0])]
    at = source.choice([position for start, end in runs for position in range(start, end)])
    old = payload[at]
    alphabet = next(letters for letters in (_DIGITS, _LOWER, _UPPER) if old in letters)
    new = source.choice([letter for letter in alphabet if letter != old])
    return payload[:at] + bytes((new,)) + payload[at + 1 :]


def reserialized(payload: bytes) -> bytes:
    """Return the same JSON value in other bytes, or `payload` itself if it is not a JSON object."""
    try:
        value = json.loads(payload)
    except ValueError:
        return payload
    if not isinstance(value, dict):
        return payload
    return json.dumps(dict(reversed(value.items())), separators=(" , ", " : "), ensure_ascii=False).encode()
