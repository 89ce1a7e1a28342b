"""HdrHistogram logs (.hlog), version 1.3: one line an interval and series, tagged with the series' name.

The format is HdrHistogram's (HistogramLogWriter of its Java version): comments with start and base time in seconds
since the epoch, a legend, then `Tag=name,start,length,max,histogram` with times relative to the base in seconds, the
maximum in ms with three decimals, and the histogram (here of ns) V2-encoded, compressed, in base 64.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from hdrh.codec import HdrHistogramEncoder
from hdrh.histogram import HdrHistogram

from wsbench.errors import ResultError
from wsbench.measure.bucket_arrays import SparseBuckets
from wsbench.measure.histogram import Buckets, from_hdr, highest_value
from wsbench.report import hdr_encoding
from wsbench.units import NS_PER_MS, NS_PER_S

LEGEND = '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"'


@dataclass(frozen=True)
class Line:
    """One interval of one series. Instants in ns since the epoch."""

    tag: str
    start_ns: int
    length_ns: int
    buckets: Buckets


@dataclass(frozen=True)
class StoredLine:
    """The same, read from a log: most of a day's 350,000 are only added up."""

    tag: str
    start_ns: int
    length_ns: int
    counts: SparseBuckets


def encode(lines: Iterable[Line], *, start_ns: int, comment: str) -> bytes:
    """A log of lines. `start_ns`, the run's begin, is the base all times are relative to."""
    entries = [(line.start_ns, line.tag, encode_line(line, start_ns=start_ns)) for line in lines]
    return encode_header(start_ns=start_ns, comment=comment) + b"".join(row for _, _, row in sorted(entries))


def encode_header(*, start_ns: int, comment: str) -> bytes:
    """What stands above the lines."""
    start_s = start_ns / NS_PER_S
    date = datetime.fromtimestamp(start_s, UTC).strftime("%a %b %d %H:%M:%S UTC %Y")
    rows = [
        f"#[{comment}]",
        "#[Histogram log format version 1.3]",
        f"#[StartTime: {start_s:.3f} (seconds since epoch), {date}]",
        f"#[BaseTime: {start_s:.3f} (seconds since epoch)]",
        LEGEND,
    ]
    return ("\n".join(rows) + "\n").encode()


def encode_line(line: Line, *, start_ns: int, yield_control: Callable[[], None] = lambda: None) -> bytes:
    """A line as it stands in the log; `yield_control` as in `packed.encode`."""
    start = (line.start_ns - start_ns) / NS_PER_S
    maximum_ms = highest_value(max(line.buckets, default=0)) / NS_PER_MS
    figures = f"Tag={line.tag},{start:.3f},{line.length_ns / NS_PER_S:.3f},{maximum_ms:.3f},"
    return figures.encode() + hdr_encoding.encode(line.buckets, yield_control) + b"\n"


def decode(text: bytes, where: str) -> list[Line]:
    """The lines of a log as they were given to `encode`.

    Raises:
        ResultError: a line that is not one; `where` names the log.
    """
    lines = read_lines(io.BytesIO(text), where)
    return [Line(line.tag, line.start_ns, line.length_ns, line.counts.buckets()) for line in lines]


def read_lines(rows: Iterable[bytes], where: str) -> Iterator[StoredLine]:
    """The lines of a log that comes row by row: a day's are too many to hold without need.

    Raises:
        ResultError: a row that is none, or there are none; `where` names the log.
    """
    base_ns, empty = 0, True
    for number, text in enumerate(rows, 1):
        try:
            row = text.decode("utf-8", "replace").strip()
            empty &= not row
            if row.startswith("#[BaseTime: "):
                base_ns = _ns(row.split()[1])
            elif row and not row.startswith(("#", '"')):
                yield _line(row, base_ns)
        except Exception as error:  # the decoder of the blob has no one kind of exception
            raise ResultError(f"{where}, line {number}: not a line of a histogram log ({error})") from error
    if empty:
        raise ResultError(f"{where} is empty", remedy="The file was cut off.")


def select_series(rows: Iterable[bytes], tag: str) -> Iterator[bytes]:
    """The rows of a log, of one series alone."""
    wanted = (b"#", b'"', f"Tag={tag},".encode())
    return (row for row in rows if row.startswith(wanted))


def _line(row: str, base_ns: int) -> StoredLine:
    tag = ""
    if row.startswith("Tag="):
        tag, _, row = row.removeprefix("Tag=").partition(",")
    start, length, _, blob = row.split(",")
    counts = hdr_encoding.decode(blob.encode("ascii"))
    if counts is None:
        counts = SparseBuckets.of(_of_other_settings(blob))
    return StoredLine(tag, base_ns + _ns(start), _ns(length), counts)


def _of_other_settings(blob: str) -> Buckets:
    payload = HdrHistogramEncoder.decode(blob.encode("ascii"), True)
    head = payload.payload
    histogram = HdrHistogram(
        head.lowest_trackable_value, head.highest_trackable_value, head.significant_figures, hdr_payload=payload
    )
    return from_hdr(histogram)


def _ns(seconds: str) -> int:
    # Decimal: an instant since the epoch does not fit a float to the nanosecond.
    return round(Decimal(seconds) * NS_PER_S)
