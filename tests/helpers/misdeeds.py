"""What the truth server may do to a reply, when, and how it counts: options, choice and corruption, all pure.

Every choice is a function of the options, the connection's number and the message's number on it, so that the
same run does the same again.
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
    "corrupt_anywhere": "the same, in any letter or digit, so that it may hit a key, an id or a number",
    "delay": "the reply `delay_ms` after its message arrived (every 50th unless said)",
    "fragment": "the reply in three frames, a ping after the first",
    "reserialize": "the JSON with its keys reversed and other spaces",
    "split": "the reply in many TCP segments, its first bytes one by one",
}


@dataclass(frozen=True)
class Misdeeds:
    """Options, on the command line (`--drop 100`) or in a URL's query (`?drop=100`), for a connection.

    The first nine take a share: 0 never, N >= 1 every Nth message of a connection, below 1 a probability (seeded).
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
    """'1/5': no reply leaves in the last 1 s of every 5 s, counted from the first connection on."""
    greet: str = ""
    """A text message sent before anything was asked."""
    close_after: int = 0
    """Closes with 1011 when the Nth message has been answered."""
    rst_after: int = 0
    """Resets the TCP connection when the Nth message has been answered."""
    service_ms: float = 0
    """What a reply costs the server, which makes one at a time over all connections: no more than 1000 / this a second.
    """
    seed: int = 1

    def __post_init__(self) -> None:
        if self.delay_ms and not self.delay:
            object.__setattr__(self, "delay", 50)
        if self.delay and not self.delay_ms:
            raise ValueError("delay says which replies are late; delay_ms, by how much, is missing")
        if self.stall:
            length_s, every_s = self.stall_s
            if not 0 < length_s < every_s:
                raise ValueError(f"stall={self.stall} is not 'LENGTH/EVERY' in seconds, such as 1/5")

    @property
    def stall_s(self) -> tuple[float, float]:
        length, _, every = self.stall.partition("/")
        return float(length), float(every or 5)

    def with_options(self, options: Mapping[str, str]) -> Misdeeds:
        """Overridden by texts as a query has them; ValueError names the option that is unknown or no number."""
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


_KINDS = {field.name: {"float": float, "int": int, "str": str}[str(field.type)] for field in fields(Misdeeds)}


def add_options(parser: ArgumentParser) -> None:
    for name, kind in _KINDS.items():
        flag = "--" + name.replace("_", "-")
        parser.add_argument(flag, type=kind, default=getattr(Misdeeds, name), help=HELP.get(name))


def from_options(options: Namespace) -> Misdeeds:
    return Misdeeds(**{name: getattr(options, name) for name in _KINDS})


@dataclass
class Counts:
    """What was really done, over all connections.

    Once everything is settled, `messages_in + duplicated == replies_sent + dropped + unanswered`: a duplicate is two
    replies, unanswered are those that arrived after a close or whose connection went before their reply.
    `messages_in` and `replies_sent` are data messages; `greetings`, `pings_sent` and `pongs_in` are counted apart.
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

    def count_reply(self, befallen: frozenset[str]) -> None:
        """Counts what befell a reply that is sent now; duplicates and swaps are counted where they happen."""
        self.corrupted += bool(befallen & {"corrupt", "corrupt_anywhere"})
        self.delayed += "delay" in befallen
        self.fragmented += "fragment" in befallen
        self.reserialized += "reserialize" in befallen
        self.split += "split" in befallen


class Choice:
    """What befalls the messages of one connection; each misdeed has a random source of its own."""

    def __init__(self, misdeeds: Misdeeds, connection: int) -> None:
        self._random = {name: random.Random(f"{misdeeds.seed}/{connection}/{name}") for name in HELP}
        self._shares: dict[str, float] = {name: getattr(misdeeds, name) for name in HELP}

    def of(self, message: int, payload: bytes) -> tuple[frozenset[str], bytes]:
        """The misdeeds that fall on the connection's message number `message` (from 1), and its reply's payload.

        Must be asked once for every message, in order.
        """
        befallen = {name for name, share in self._shares.items() if self._falls(name, share, message)}
        for name in ("reserialize", "corrupt", "corrupt_anywhere"):
            if name in befallen:
                other = self._changed(name, payload)
                if other == payload:  # nothing in it to change: it did not happen
                    befallen.remove(name)
                payload = other
        return frozenset(befallen), payload

    def _falls(self, name: str, share: float, message: int) -> bool:
        if 0 < share < 1:
            return self._random[name].random() < share
        return share >= 1 and message % round(share) == 0

    def _changed(self, name: str, payload: bytes) -> bytes:
        if name == "reserialize":
            return reserialized(payload)
        return corrupted(payload, self._random[name], anywhere=name == "corrupt_anywhere")


def corrupted(payload: bytes, source: random.Random, *, anywhere: bool) -> bytes:
    """`payload` with one letter or digit changed into another of its kind; unchanged when it has none."""
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
    """The same JSON value in other bytes; `payload` itself when it is no JSON object."""
    try:
        value = json.loads(payload)
    except ValueError:
        return payload
    if not isinstance(value, dict):
        return payload
    return json.dumps(dict(reversed(value.items())), separators=(" , ", " : "), ensure_ascii=False).encode()
