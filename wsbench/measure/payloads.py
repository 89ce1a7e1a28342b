"""What is sent, and what a reply must therefore look like.

A message can be built again from its number, so that a reply that is not the one expected next can still be told
apart: an earlier one again, a later one early, or one that was damaged on its way.
"""

from __future__ import annotations

import base64
import functools
import itertools
import random
from collections.abc import Iterator, Sequence
from typing import Protocol

import orjson

SMALLEST_JSON = 48
"""Bytes of the shortest message with room for any `id` and `seq`."""

_NOISE = 1 << 20
"""Far more than deflate's window of 32 KiB, so that it hardly ever finds a padding it has seen."""
_STRIDE = 7919
"""A prime: consecutive messages take their padding from places far apart, and all places come up in the end."""
_LAST_DIGITS = 2
"""Messages whose numbers differ in these alone begin alike; what follows is the same for all connections."""
_SPANS = 13
"""So many spans of a hundred messages have paddings of their own: few enough for a cache, and together more than
deflate's window. A prime, so that a number damaged in one digit never comes with the padding of the number it became.
"""
_KEPT_SIZE = 1024
"""Messages of at most so many bytes are kept ready, but for their beginning."""

Parts = tuple[bytes, Iterator[bytes]]
"""Messages one after the other: what they all begin with, and what each goes on with."""


Step = tuple[bytes, "Step | None"]
"""How a message goes on, and how the one after it does, unless that begins otherwise."""


Stretch = tuple[bytes, Step, int]
"""Messages one after the other: what they all begin with, how the first of them goes on (and so forth), and the number
of the last of them. To keep one's place in it takes no memory of one's own."""


class Messages(Protocol):
    """The messages of one connection, numbered from 1.

    Attributes:
        numbered: whether a message carries its number, so that it can be told from its neighbours.
    """

    numbered: bool

    def build(self, seq: int) -> bytes:
        """Message number `seq`. The same bytes every time, and as many for every number."""

    def onwards(self, seq: int) -> Iterator[Parts]:
        """Message number `seq` and all that follow it."""

    def stretch(self, seq: int) -> Stretch:
        """Message number `seq`, and some that follow it."""

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
        self._size = size
        self._kept = size <= _KEPT_SIZE

    def build(self, seq: int) -> bytes:
        """Message number `seq`."""
        if not self._kept:
            head = self._head + b"%d" % seq
            return head + _end(self._size - len(head), seq)
        head, rests = next(self.onwards(seq))
        return head + next(rests)

    def onwards(self, seq: int) -> Iterator[Parts]:
        """Message number `seq` and all that follow it.

        Hardly anything is a connection's own here: with thousands of them, that is in no cache when it is needed.
        """
        while True:
            head, width = self._beginning(seq)
            size = self._size - len(head)
            yield head, (_kept_rests_from if self._kept else _make_rests_from)(size, width, seq)
            seq += 10**width - seq % 10**width

    def stretch(self, seq: int) -> Stretch:
        """Message number `seq`, and if they are short those after it that differ from it in the last digits alone."""
        if not self._kept:
            return b"", (self.build(seq), None), seq
        head, width = self._beginning(seq)
        span, last = divmod(seq, 10**width)
        steps = _kept_steps(self._size - len(head), width, span % _SPANS)
        return head, steps[last], seq - last + len(steps) - 1

    def _beginning(self, seq: int) -> tuple[bytes, int]:
        """What message `seq` begins with, and how many digits of its number come behind that."""
        digits = b"%d" % seq
        width = min(len(digits), _LAST_DIGITS)
        return self._head + digits[:-width], width

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

    def onwards(self, seq: int) -> Iterator[Parts]:  # noqa: ARG002 - every number has the same message
        """The payload, again and again."""
        yield b"", itertools.repeat(self._payload)

    def stretch(self, seq: int) -> Stretch:
        """The payload, a number of times."""
        steps = _same_steps(self._payload)
        return b"", steps[0], seq + len(steps) - 1

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


def _kept_rests_from(size: int, width: int, seq: int) -> Iterator[bytes]:
    """The `size` bytes from the last `width` digits of its number on of message `seq`, and of those after it that have
    the digits before these in common with it."""
    span, last = divmod(seq, 10**width)
    rests = iter(_kept_rests(size, width, span % _SPANS))
    rests.__setstate__(last)  # type: ignore[attr-defined]  # `islice` would be one more thing to be in no cache
    return rests


def _make_rests_from(size: int, width: int, seq: int) -> Iterator[bytes]:
    """The same, when they are made as they are needed."""
    for each in range(seq, seq + 10**width - seq % 10**width):
        yield b"%0*d" % (width, each % 10**width) + _end(size - width, each)


@functools.lru_cache(maxsize=16 * _SPANS)
def _kept_rests(size: int, width: int, span: int) -> tuple[bytes, ...]:
    return tuple(_make_rests_from(size, width, span * 10**width))


@functools.lru_cache(maxsize=16 * _SPANS)
def _kept_steps(size: int, width: int, span: int) -> list[Step]:
    return _steps(_kept_rests(size, width, span))


@functools.lru_cache(maxsize=2)
def _same_steps(payload: bytes) -> list[Step]:
    return _steps((payload,) * 10**_LAST_DIGITS)


def _steps(rests: Sequence[bytes]) -> list[Step]:
    steps: list[Step] = []
    following: Step | None = None
    for rest in reversed(rests):
        following = (rest, following)
        steps.append(following)
    return steps[::-1]


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
