"""What is sent, and what a reply must therefore look like.

A message can be built again from its number, so that a reply that is not the one expected next can still be told
apart: an earlier one again, a later one early, or one that was damaged on its way.
"""

from __future__ import annotations

import base64
import functools
import itertools
import random
from collections.abc import Iterator
from typing import Protocol

import orjson

SMALLEST_JSON = 48
"""Bytes of the shortest message with room for any `id` and `seq`."""

_NOISE = 1 << 20
"""Far more than deflate's window of 32 KiB, so that it hardly ever finds a padding it has seen."""
_STRIDE = 7919
"""A prime: consecutive messages take their padding from places far apart, and all places come up in the end."""
_KEPT = 1024
"""Paddings kept ready, of at most so many bytes: few enough for a cache, and together more than deflate's window."""
_LAST_DIGITS = 3
_LAST = tuple(b"%03d" % number for number in range(10**_LAST_DIGITS))


class Messages(Protocol):
    """The messages of one connection, numbered from 1.

    Attributes:
        numbered: whether a message carries its number, so that it can be told from its neighbours.
    """

    numbered: bool

    def build(self, seq: int) -> bytes:
        """Message number `seq`. The same bytes every time, and as many for every number."""

    def onwards(self, seq: int) -> Iterator[bytes]:
        """Message number `seq` and all that follow it."""

    def identify(self, payload: bytes) -> int | None:
        """The number of the message that `payload` claims to be; None when it claims nothing of the kind."""

    def same(self, payload: bytes, seq: int) -> bool:
        """Whether `payload` says the same as message `seq`, if maybe in other bytes."""


class JsonMessages:
    """`{"id": connection, "seq": number, "pad": ...}`, exactly `size` bytes.

    The padding is printable noise, not the same for consecutive messages: padding that repeats would flatter every
    server that compresses, and would hide a reply whose number was damaged into a neighbour's.
    """

    numbered = True

    def __init__(self, connection_id: int, size: int) -> None:
        if size < SMALLEST_JSON:
            raise ValueError(f"a JSON message has at least {SMALLEST_JSON} bytes, not {size}")
        self._id = connection_id
        # What a JSON encoder would make of it, at a fraction of its cost: the noise needs no escaping.
        self._head = b'{"id":%d,"seq":' % connection_id
        self._room = size - len(self._head)

    def build(self, seq: int) -> bytes:
        """Message number `seq`."""
        digits = b"%d" % seq
        return self._head + digits + next(_ends(self._room - len(digits), seq))

    def onwards(self, seq: int) -> Iterator[bytes]:
        """Message number `seq` and all that follow it.

        Put together in C from what many messages have in common. None of that is copied: there are as many of these
        iterators as connections.
        """
        return itertools.chain.from_iterable(self._spans(seq))

    def _spans(self, seq: int) -> Iterator[Iterator[bytes]]:
        """The same, as far as only the last digits of the number change, and then as far as only they change again."""
        while True:
            digits = b"%d" % seq
            common, last = digits[:-_LAST_DIGITS], seq % len(_LAST)
            count = len(_LAST) - last if common else 10 ** len(digits) - seq
            lasts = itertools.islice(_LAST, last, None) if common else map(b"%d".__mod__, range(seq, seq + count))
            ends = _ends(self._room - len(digits), seq)
            yield map(b"".join, zip(itertools.repeat(self._head + common), lasts, ends))
            seq += count

    def identify(self, payload: bytes) -> int | None:
        """The `seq` of a JSON object with our `id`."""
        try:
            document = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return None
        if not isinstance(document, dict) or document.get("id") != self._id:
            return None
        seq = document.get("seq")
        return seq if isinstance(seq, int) and not isinstance(seq, bool) else None

    def same(self, payload: bytes, seq: int) -> bool:
        """Equal bytes, or the same JSON in other bytes: a server may re-serialise."""
        expected = self.build(seq)
        if payload == expected:
            return True
        try:
            return bool(orjson.loads(payload) == orjson.loads(expected))
        except orjson.JSONDecodeError:
            return False


class FixedMessages:
    """The same bytes every time: a payload of the user's own."""

    numbered = False

    def __init__(self, payload: bytes) -> None:
        self._payload = payload

    def build(self, seq: int) -> bytes:  # noqa: ARG002 - every number has the same message
        """The payload."""
        return self._payload

    def onwards(self, seq: int) -> Iterator[bytes]:  # noqa: ARG002 - every number has the same message
        """The payload, again and again."""
        return itertools.repeat(self._payload)

    def identify(self, payload: bytes) -> int | None:  # noqa: ARG002 - it carries no number
        """None, always."""
        return None

    def same(self, payload: bytes, seq: int) -> bool:  # noqa: ARG002 - every number has the same message
        """Equal bytes, or the same JSON in other bytes."""
        if payload == self._payload:
            return True
        try:
            return bool(orjson.loads(payload) == orjson.loads(self._payload))
        except orjson.JSONDecodeError:
            return False


def _ends(size: int, seq: int) -> Iterator[bytes]:
    """What follows the number in message `seq` and in those after it, always `size` bytes."""
    if size > _KEPT:
        return map(functools.partial(_end, size), itertools.count(seq))
    again_and_again = itertools.chain.from_iterable(itertools.repeat(_kept_ends(size)))
    return itertools.islice(again_and_again, seq % _KEPT, None)


@functools.lru_cache(maxsize=32)
def _kept_ends(size: int) -> tuple[bytes, ...]:
    return tuple(_end(size, seq) for seq in range(_KEPT))


def _end(size: int, seq: int) -> bytes:
    """A padding of printable noise, and what stands around it."""
    form = b',"pad":"%b"}'
    room = size - len(form % b"")
    start = seq * _STRIDE % _NOISE
    return form % _noise(room.bit_length())[start : start + room]


@functools.lru_cache(maxsize=2)
def _noise(bits: int) -> bytes:
    """Noise from which fewer than 2**bits characters can be taken at any of `_NOISE` places."""
    # Seeded: a run can be repeated byte for byte.
    size = _NOISE + (1 << bits)
    return base64.b64encode(random.Random(0).randbytes(size * 3 // 4 + 3))[:size]
