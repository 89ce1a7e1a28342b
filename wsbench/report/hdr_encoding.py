"""HdrHistogram's V2 compressed encoding, directly from and to buckets: the last field of a .hlog line.

The format (HdrHistogram's AbstractHistogram.encodeIntoCompressedByteBuffer): a cookie and a length, then a zlib
stream of a header and the counts in the order of their values. Each count is a ZigZag LEB128 integer; a negative
number -n stands for n zeros. hdrh fills an array of 33,792 counts for it, which takes ten times as long, and a day's
run has 350,000 lines.
"""

from __future__ import annotations

import binascii
import struct
import zlib
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from wsbench.measure.bucket_arrays import SparseBuckets
from wsbench.measure.histogram import DIGITS, HIGHEST_KEY, HIGHEST_NS, Buckets

_COOKIE, _COMPRESSED_COOKIE = 0x1C849303 | 0x10, 0x1C849304 | 0x10
_OUTER = struct.Struct(">II")
_INNER = struct.Struct(">IIIIQQd")
"""Cookie, length of the counts, normalising offset, significant digits, lowest and highest value, conversion ratio."""
_HALF_BITS, _HALF = 10, 1024
_MASK = (1 << (_HALF_BITS + 1)) - 1
_PIECE = 400
_COUNTS = (HIGHEST_KEY >> 11) * _HALF + (HIGHEST_KEY & _MASK) + 1
_LONGEST = 9


def encode(buckets: Mapping[int, int], yield_control: Callable[[], None] = lambda: None) -> bytes:
    """Encode as base64 text. `yield_control` is called about every 0.1 ms, and may run other greenlets."""
    ends = [key for key in buckets if key < 0 or key > HIGHEST_KEY]
    if ends:  # values out of range count as the lowest or the highest, as in `to_hdr`
        buckets = _clamped(buckets)
    keys = sorted(buckets)
    yield_control()
    out = bytearray()
    append = out.append
    following = 0
    for start in range(0, len(keys), _PIECE):
        for key in keys[start : start + _PIECE]:
            count = buckets[key] << 1
            if not count:
                continue
            index = (key >> 11) * _HALF + (key & _MASK)
            zeros = ((index - following) << 1) - 1
            if 0 < zeros < 0x80:
                append(zeros)
            elif zeros > 0:
                _put(out, zeros)
            if count < 0x80:
                append(count)
            else:
                _put(out, count)
            following = index + 1
        yield_control()
    inner = _INNER.pack(_COOKIE, len(out), 0, DIGITS, 1, HIGHEST_NS, 1.0)
    packed = zlib.compress(inner + out)
    return binascii.b2a_base64(_OUTER.pack(_COMPRESSED_COOKIE, len(packed)) + packed, newline=False)


def _clamped(buckets: Mapping[int, int]) -> Buckets:
    kept: Buckets = {}
    for key, count in buckets.items():
        place = min(max(key, 0), HIGHEST_KEY)
        kept[place] = kept.get(place, 0) + count
    return kept


def _put(out: bytearray, value: int) -> None:
    """Append one LEB128 integer of at most 9 bytes; the ninth holds eight bits."""
    for _ in range(_LONGEST - 1):
        if value < 0x80:
            break
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def decode(text: bytes) -> SparseBuckets | None:
    """Decode what `encode` returns. None for a histogram of other settings than ours, or with counts from 2**55 up.

    Raises:
        ValueError: `text` is not a histogram, or incomplete.
    """
    blob = binascii.a2b_base64(text, strict_mode=True)
    if len(blob) < _OUTER.size:
        raise ValueError("a histogram without a header")
    cookie, length = _OUTER.unpack_from(blob)
    if cookie != _COMPRESSED_COOKIE:
        return None
    if length != len(blob) - _OUTER.size:
        raise ValueError(f"a histogram of {len(blob) - _OUTER.size} bytes, whose header says {length}")
    try:
        inner = zlib.decompress(blob[_OUTER.size :])
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if len(inner) < _INNER.size:
        raise ValueError("a histogram without a header")
    cookie, length, offset, digits, lowest, highest, ratio = _INNER.unpack_from(inner)
    if (cookie, offset, digits, lowest, highest, ratio) != (_COOKIE, 0, DIGITS, 1, HIGHEST_NS, 1.0):
        return None
    if length != len(inner) - _INNER.size:
        raise ValueError(f"counts of {len(inner) - _INNER.size} bytes, whose header says {length}")
    return _counts(np.frombuffer(inner, np.uint8, offset=_INNER.size))


def _counts(octets: npt.NDArray[np.uint8]) -> SparseBuckets | None:
    """Decode all integers at once: a day's log has 350,000 lines of thousands each."""
    if not octets.size:
        return SparseBuckets.of({})
    (ends,) = (octets < 0x80).nonzero()
    if not ends.size or ends[-1] != octets.size - 1:
        raise ValueError("counts that end within an integer")
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    longest = int(lengths.max())
    if longest >= _LONGEST:
        return None
    values = (octets[starts] & 0x7F).astype(np.int64)
    for place in range(1, longest):
        (longer,) = (lengths > place).nonzero()
        values[longer] |= (octets[starts[longer] + place] & 0x7F).astype(np.int64) << 7 * place
    zeros = values & 1 == 1
    following = np.cumsum(np.where(zeros, (values + 1) >> 1, 1))
    if following[-1] > _COUNTS:
        raise ValueError("counts beyond the highest value")
    filled = ~zeros & (values != 0)
    index = following[filled] - 1
    high = np.maximum((index >> _HALF_BITS) - 1, 0)
    return SparseBuckets(high << 11 | (index - (high << _HALF_BITS)), values[filled] >> 1)
