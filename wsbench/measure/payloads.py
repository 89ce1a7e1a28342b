"""Payloads of echo messages, and identification of their replies.

A message can be rebuilt from its number. So a reply that is not the expected next one can be identified: an earlier
one again, a later one, or a damaged one.
"""

from __future__ import annotations

import base64
import functools
import itertools
import random
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import orjson

from wsbench.measure import json_difference

SMALLEST_JSON = 48
"""Size in bytes of the shortest message with room for any `id` and `seq`."""

_NOISE = 1 << 20
"""Far more than deflate's window of 32 KiB, so that it hardly ever finds an earlier padding."""
_STRIDE = 7919
"""A prime: consecutive messages take their padding from places far apart, and all places occur."""
_LAST_DIGITS = 2
"""Messages whose numbers differ only in these digits begin alike; the rest is the same for all connections."""
_SPANS = 13
"""Number of spans of a hundred messages with different paddings: few enough for a cache, and together more than
deflate's window. A prime, so that a number damaged in one digit never has the padding of the number that it became.
"""
_KEPT_SIZE = 1024
"""Maximum size in bytes of messages whose ends are cached."""

Parts = tuple[bytes, Iterator[bytes]]
"""Consecutive messages: their common beginning, and the rest of each."""


class Padding(NamedTuple):
    """The padding of JSON messages of one size: message `seq` takes it from `seq % period * stride % places` on."""

    noise: bytes
    places: int
    stride: int
    period: int


class Messages(Protocol):
    """The messages of one connection, numbered from 1; `numbered` if each carries its number."""

    numbered: bool

    def build(self, seq: int) -> bytes:
        """Return message number `seq`. It has the same bytes every time, and the same size for every number."""

    def onwards(self, seq: int) -> Iterator[Parts]:
        """Yield message number `seq` and all that follow it."""

    def identify(self, payload: bytes) -> int | None:
        """Return the message number in `payload`; None if there is none."""

    def same(self, payload: bytes, seq: int) -> bool:
        """Return whether `payload` equals message `seq`, possibly in another serialisation."""


class JsonMessages:
    """`{"id": connection, "seq": number, "pad": ...}`, exactly `size` bytes.

    The padding is printable noise and differs between consecutive messages: repeated padding would favour servers that
    compress, and would hide a reply whose number was damaged into a neighbour's.
    """

    numbered = True

    def __init__(self, connection_id: int, size: int) -> None:
        if size < SMALLEST_JSON:
            raise ValueError(f"a JSON message has at least {SMALLEST_JSON} bytes, not {size}")
        self._id = connection_id
        # The output of a JSON encoder, at a fraction of its cost: the noise needs no escaping.
        self._head = b'{"id":%d,"seq":' % connection_id
        self._size = size
        self._kept = size <= _KEPT_SIZE

    def build(self, seq: int) -> bytes:
        if not self._kept:
            head = self._head + b"%d" % seq
            return head + _end(self._size - len(head), seq)
        head, rests = next(self.onwards(seq))
        return head + next(rests)

    def onwards(self, seq: int) -> Iterator[Parts]:
        # Almost all state is shared: with thousands of connections, per-connection state is in no cache when needed.
        while True:
            head, width = self._beginning(seq)
            size = self._size - len(head)
            yield head, (_kept_rests_from if self._kept else _make_rests_from)(size, width, seq)
            seq += 10**width - seq % 10**width

    def _beginning(self, seq: int) -> tuple[bytes, int]:
        """Return the beginning of message `seq`, and how many digits of its number follow it."""
        digits = b"%d" % seq
        width = min(len(digits), _LAST_DIGITS)
        return self._head + digits[:-width], width

    def identify(self, payload: bytes) -> int | None:
        """Return the `seq` of a JSON object with our `id`."""
        try:
            document = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return None
        ours = isinstance(document, dict) and document.get("id") == self._id
        seq = document.get("seq") if ours else None
        return seq if type(seq) is int else None  # not a bool

    def same(self, payload: bytes, seq: int) -> bool:
        return _equal(payload, self.build(seq))


class FixedMessages:
    """A custom payload: every message has the same bytes."""

    numbered = False

    def __init__(self, payload: bytes) -> None:
        self._payload = payload

    def build(self, seq: int) -> bytes:  # noqa: ARG002 - every number has the same message
        return self._payload

    def onwards(self, seq: int) -> Iterator[Parts]:  # noqa: ARG002 - every number has the same message
        yield b"", itertools.repeat(self._payload)

    def identify(self, payload: bytes) -> int | None:  # noqa: ARG002 - it carries no number
        return None

    def same(self, payload: bytes, seq: int) -> bool:  # noqa: ARG002 - every number has the same message
        return _equal(payload, self._payload)


def padding(size: int) -> Padding:
    """Return the padding of `JsonMessages` of `size` bytes."""
    # A place does not depend on the rest of a number modulo `_NOISE`.
    period = _SPANS * 10**_LAST_DIGITS if size <= _KEPT_SIZE else _NOISE
    return Padding(_noise(size.bit_length()), _NOISE, _STRIDE, period)


def _equal(payload: bytes, expected: bytes) -> bool:
    """Compare bytes, then JSON values: a server may re-serialise."""
    if payload == expected:
        return True
    # In Python 1 is True; in JSON it is not. Only documents with booleans need the long comparison.
    booleans = any(word in text for word in (b"true", b"false") for text in (payload, expected))
    try:
        one, other = orjson.loads(payload), orjson.loads(expected)
        return bool(one == other) and (not booleans or json_difference.same(one, other))
    except (orjson.JSONDecodeError, RecursionError):  # too deep for Python
        return False


def _kept_rests_from(size: int, width: int, seq: int) -> Iterator[bytes]:
    """Yield the last `size` bytes of message `seq` and of those after it that share all but the last `width` digits."""
    span, last = divmod(seq, 10**width)
    rests = iter(_kept_rests(size, width, span % _SPANS))
    rests.__setstate__(last)  # type: ignore[attr-defined]  # `islice` would be one more object in no cache
    return rests


def _make_rests_from(size: int, width: int, seq: int) -> Iterator[bytes]:
    """Yield the same as `_kept_rests_from`, built on demand."""
    for each in range(seq, seq + 10**width - seq % 10**width):
        yield b"%0*d" % (width, each % 10**width) + _end(size - width, each)


@functools.lru_cache(maxsize=16 * _SPANS)
def _kept_rests(size: int, width: int, span: int) -> tuple[bytes, ...]:
    return tuple(_make_rests_from(size, width, span * 10**width))


def _end(size: int, seq: int) -> bytes:
    """Return the end of message `seq`: a padding of printable noise, and the syntax around it."""
    form = b',"pad":"%b"}'
    room = size - len(form % b"")
    start = seq * _STRIDE % _NOISE
    return form % _noise(room.bit_length())[start : start + room]


@functools.lru_cache(maxsize=2)
def _noise(bits: int) -> bytes:
    """Return noise with room for fewer than 2**bits characters at any of `_NOISE` places."""
    # Seeded, so that a run can be repeated byte for byte.
    size = _NOISE + (1 << bits)
    return base64.b64encode(random.Random(0).randbytes(size * 3 // 4 + 3))[:size]
