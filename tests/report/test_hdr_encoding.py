"""Histograms encoded directly from buckets: byte for byte as hdrh encodes them, and decoded to the same counts."""

from __future__ import annotations

import base64
import struct
import zlib

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wsbench.measure.histogram import HIGHEST_NS, Buckets, bucket_key, from_hdr, to_hdr
from wsbench.report.hdr_encoding import decode, encode

VALUES = st.integers(-3, 43).flatmap(lambda bits: st.integers(-5 if bits < 0 else 0, 1 << max(bits, 0)))
BUCKETS = st.dictionaries(VALUES.map(lambda v: bucket_key(v) if v >= 0 else v), st.integers(0, 1 << 40), max_size=60)


def unpacked(text: bytes) -> Buckets:
    counts = decode(text)
    assert counts is not None
    return counts.buckets()


@given(BUCKETS)
@example({})
@example({0: 1, 1: 1, 3: 1})
@example({bucket_key(2047): 63, bucket_key(2048): 64, bucket_key(HIGHEST_NS): (1 << 55) - 1})
@example({bucket_key(3 * HIGHEST_NS): 1, bucket_key(5 * HIGHEST_NS): 2, -5: 3, 0: 4})
@settings(max_examples=80, deadline=None)
def test_the_encoding_equals_that_of_hdrh(buckets: Buckets) -> None:
    text = encode(buckets)
    assert text == to_hdr(buckets).encode()
    assert unpacked(text) == from_hdr(HdrHistogram.decode(text))


def test_encoding_yields_control_between_pieces() -> None:
    taken: list[None] = []
    buckets = {bucket_key(value): 1 for value in range(0, 10_000_000, 3_000)}
    assert encode(buckets, lambda: taken.append(None)) == encode(buckets)
    assert len(taken) > len(buckets) // 400


def test_histograms_of_other_settings_are_not_decoded() -> None:
    assert decode(HdrHistogram(1, 3_600_000_000, 2).encode()) is None
    assert decode(encode({5: 1 << 55})) is None


def _packed(counts: bytes, length: int | None = None) -> bytes:
    head = struct.pack(">IIIIQQd", 0x1C849313, len(counts) if length is None else length, 0, 3, 1, HIGHEST_NS, 1.0)
    inner = zlib.compress(head + counts)
    return base64.b64encode(struct.pack(">II", 0x1C849314, len(inner)) + inner)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"HIST",
        b"not base 64",
        encode({5: 1})[:-8],
        _packed(b"\x02", length=2),
        _packed(b"\x02\x80"),
        _packed(b"\xff" * 9),
        base64.b64encode(struct.pack(">II", 0x1C849314, 4) + b"zlib"),
        base64.b64encode(struct.pack(">II", 0x1C849314, 8) + zlib.compress(b"")),
    ],
)
def test_a_damaged_histogram_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        decode(text)


def test_the_last_bucket_is_the_highest() -> None:
    whole = {bucket_key(HIGHEST_NS): 1}
    assert unpacked(encode(whole)) == whole
    counts = zlib.decompress(base64.b64decode(encode(whole))[8:])[40:]
    with pytest.raises(ValueError):
        decode(_packed(counts + b"\x02"))
