"""HdrHistogram logs (.hlog), version 1.3: one line per interval and series, tagged with the series' name.

The format is HdrHistogram's (HistogramLogWriter of its Java version): comments with start and base time in seconds
since the epoch, a legend, then `Tag=name,start,length,max,histogram` with times relative to the base in seconds, the
maximum in ms with three decimals, and the histogram (here of ns) V2-encoded, compressed, in base 64.
A tag has neither commas nor spaces: it is the percent-encoded name (`measure.series.encode_name`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from hdrh.codec import HdrHistogramEncoder
from hdrh.histogram import HdrHistogram

from wsbench.errors import ResultError
from wsbench.measure.bucket_arrays import SparseBuckets
from wsbench.measure.histogram import Buckets, from_hdr, highest_value
from wsbench.measure.series import decode_name, encode_name
from wsbench.report import hdr_encoding
from wsbench.units import NS_PER_MS, NS_PER_S

LEGEND = '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"'


@dataclass(frozen=True)
class Line:
    """Distribution of a series in an interval, which starts at an instant in ns since the epoch.

    The counts stay an array: most of a day's 350,000 lines are only summed.
    """

    tag: str
    start_ns: int
    length_ns: int
    counts: SparseBuckets


def encode_header(*, start_ns: int, comment: str) -> bytes:
    """Encode the rows above the lines, whose times are relative to `start_ns`, the start of the run."""
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


def encode_line(
    tag: str, after_ns: int, length_ns: int, buckets: Buckets, yield_control: Callable[[], None] = lambda: None
) -> bytes:
    """Encode a line that starts `after_ns` after the start of the log. `yield_control`: see `hdr_encoding.encode`."""
    maximum_ms = highest_value(max(buckets, default=0)) / NS_PER_MS
    figures = f"Tag={encode_name(tag)},{after_ns / NS_PER_S:.3f},{length_ns / NS_PER_S:.3f},{maximum_ms:.3f},"
    return figures.encode() + hdr_encoding.encode(buckets, yield_control) + b"\n"


def read_lines(rows: Iterable[bytes], where: str) -> Iterator[Line]:
    """Yield the lines of a log, row by row: those of a day need much memory.

    Raises:
        ResultError: a row is not a line of a log, or the log is empty. `where` names the log.
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
        except Exception as error:  # the blob's decoder raises many kinds of exceptions
            raise ResultError(
                f"{where}, line {number}: not a line of a histogram log ({error})",
                remedy="The file was truncated or edited.",
            ) from error
    if empty:
        raise ResultError(f"{where} is empty", remedy="The file was truncated.")


def select_series(rows: Iterable[bytes], tag: str) -> Iterator[bytes]:
    """Yield the header of a log and the rows of one series."""
    wanted = (b"#", b'"', f"Tag={encode_name(tag)},".encode())
    return (row for row in rows if row.startswith(wanted))


def _line(row: str, base_ns: int) -> Line:
    tag = ""
    if row.startswith("Tag="):
        tag, _, row = row.removeprefix("Tag=").partition(",")
        tag = decode_name(tag)
    start, length, _, blob = row.split(",")
    counts = hdr_encoding.decode(blob.encode("ascii"))
    if counts is None:
        counts = SparseBuckets.of(_of_other_settings(blob))
    return Line(tag, base_ns + _ns(start), _ns(length), counts)


def _of_other_settings(blob: str) -> Buckets:
    payload = HdrHistogramEncoder.decode(blob.encode("ascii"), True)
    head = payload.payload
    limits = head.lowest_trackable_value, head.highest_trackable_value, head.significant_figures
    return from_hdr(HdrHistogram(*limits, hdr_payload=payload))


def _ns(seconds: str) -> int:
    # Decimal: an instant since the epoch does not fit a float to the nanosecond.
    return round(Decimal(seconds) * NS_PER_S)
