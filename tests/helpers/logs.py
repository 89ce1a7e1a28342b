"""Encoder and decoder of a complete HdrHistogram log; wsbench itself handles one line at a time."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass

from wsbench.measure.histogram import Buckets
from wsbench.report.hlog import encode_header, encode_line, read_lines


@dataclass(frozen=True)
class Line:
    """Distribution of a series in an interval."""

    tag: str
    start_ns: int
    length_ns: int
    buckets: Buckets


def encode(lines: Iterable[Line], *, start_ns: int, comment: str) -> bytes:
    """Encode a log. Times are relative to `start_ns`, the start of the run."""
    entries = [
        (line.start_ns, line.tag, encode_line(line.tag, line.start_ns - start_ns, line.length_ns, line.buckets))
        for line in lines
    ]
    return encode_header(start_ns=start_ns, comment=comment) + b"".join(row for _, _, row in sorted(entries))


def decode(text: bytes, where: str) -> list[Line]:
    """Decode a log into the lines that `encode` got."""
    lines = read_lines(io.BytesIO(text), where)
    return [Line(line.tag, line.start_ns, line.length_ns, line.counts.buckets()) for line in lines]
