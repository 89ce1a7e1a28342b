"""HdrHistogram logs: by the format's own rules, read by hdrh, and read back by wsbench."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
from helpers.logs import Line, decode, encode
from hypothesis import given, settings
from hypothesis import strategies as st

from wsbench.errors import ResultError
from wsbench.measure.histogram import HIGHEST_NS, Buckets, bucket_key, percentiles, record
from wsbench.report.hlog import LEGEND, select_series

MS, S = 1_000_000, 1_000_000_000
START = 1_795_000_000_250 * MS
COMMENT = "wsbench 0.1.0 20261122T091500Z-echo"


def spread(*values: int) -> Buckets:
    buckets: Buckets = {}
    for value in values:
        record(buckets, value)
    return buckets


LINES = [
    Line("connect", START, S, spread(900_000, 1_000_000)),
    Line("response", START + 2 * S, S, spread(*range(10_000, 90_000, 777))),
    Line("response", START + 3 * S, S, spread(*range(20_000, 5_000_000, 7_777), 0)),
    Line("response", START + 4 * S, 437 * MS, spread(3 * S)),
    Line("service", START + 2 * S, S, spread(*range(9_000, 80_000, 555))),
    Line("service", START + 4 * S, 437 * MS, {}),
]
LOG = encode(LINES, start_ns=START, comment=COMMENT)


def in_order(lines: list[Line]) -> list[Line]:
    return sorted(lines, key=lambda line: (line.start_ns, line.tag))


# -- the format ------------------------------------------------------------------------------------------------------


def test_the_header_is_that_of_a_version_1_3_log() -> None:
    comment, version, start, base, legend = LOG.decode("ascii").splitlines()[:5]
    assert comment == f"#[{COMMENT}]"
    assert version == "#[Histogram log format version 1.3]"
    assert start == "#[StartTime: 1795000000.250 (seconds since epoch), Wed Nov 18 11:06:40 UTC 2026]"
    assert base == "#[BaseTime: 1795000000.250 (seconds since epoch)]"
    assert legend == LEGEND == '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"'


def test_every_line_is_tagged_and_has_three_decimals() -> None:
    rows = LOG.decode("ascii").splitlines()[5:]
    assert len(rows) == len(LINES)
    for row in rows:
        assert re.fullmatch(r"Tag=[a-z_]+,\d+\.\d{3},\d+\.\d{3},\d+\.\d{3},HISTF[A-Za-z0-9+/]+={0,2}", row)
    assert LOG.endswith(b"\n")
    assert b"\r" not in LOG


def test_times_are_relative_to_the_base_and_the_maximum_is_in_ms() -> None:
    fields = [row.split(",")[:4] for row in LOG.decode("ascii").splitlines()[5:]]
    assert fields == [
        ["Tag=connect", "0.000", "1.000", "1.000"],
        ["Tag=response", "2.000", "1.000", "0.089"],
        ["Tag=service", "2.000", "1.000", "0.079"],
        ["Tag=response", "3.000", "1.000", "5.001"],
        ["Tag=response", "4.000", "0.437", "3001.025"],
        ["Tag=service", "4.000", "0.437", "0.000"],
    ]


def test_histograms_are_v2_compressed() -> None:
    blob = base64.b64decode(LOG.splitlines()[5].split(b",")[-1])
    cookie = int.from_bytes(blob[:4], "big")
    assert cookie & ~0xF0 == 0x1C849304
    assert int.from_bytes(blob[4:8], "big") == len(blob) - 8


def test_lines_are_in_order_of_time() -> None:
    assert encode(reversed(LINES), start_ns=START, comment=COMMENT) == LOG


def test_a_log_without_lines() -> None:
    log = encode([], start_ns=START, comment="empty")
    assert len(log.splitlines()) == 5
    assert decode(log, "here") == []


# -- read by hdrh ----------------------------------------------------------------------------------------------------


def test_hdrh_reads_the_same_intervals(tmp_path: Path) -> None:
    file = tmp_path / "latency.hlog"
    file.write_bytes(LOG)
    reader = HistogramLogReader(str(file), HdrHistogram(1, HIGHEST_NS, 3))
    read = []
    while (histogram := reader.get_next_interval_histogram()) is not None:
        read.append(histogram)
    reader.close()
    assert reader.get_start_time_sec() == START / S
    assert [each.get_tag() for each in read] == [line.tag for line in in_order(LINES)]
    percents = [50.0, 90.0, 99.0, 99.9, 100.0]
    for line, histogram in zip(in_order(LINES), read, strict=True):
        assert histogram.get_total_count() == sum(line.buckets.values())
        assert round(histogram.get_start_time_stamp()) == line.start_ns // MS
        assert round(histogram.get_end_time_stamp()) == (line.start_ns + line.length_ns) // MS
        if line.buckets:
            values = histogram.get_percentile_to_value_dict(percents)
            assert [values[percent] for percent in percents] == percentiles(line.buckets, percents)


def test_hdrh_sums_the_intervals_of_a_series_to_the_total(tmp_path: Path) -> None:
    file = tmp_path / "response.hlog"
    file.write_bytes(of_series("response"))
    total = HdrHistogram(1, HIGHEST_NS, 3)
    reader = HistogramLogReader(str(file), total)
    while reader.add_next_interval_histogram() is not None:
        pass
    reader.close()
    of_response = [line.buckets for line in LINES if line.tag == "response"]
    assert total.get_total_count() == sum(sum(buckets.values()) for buckets in of_response)


# -- read back -------------------------------------------------------------------------------------------------------

VALUES = st.integers(0, 41).flatmap(lambda bits: st.integers(0, 1 << bits))
MADE_LINES = st.lists(
    st.builds(
        Line,
        st.sampled_from(["response", "service", "send_lag", "read_lag", "connect"]),
        st.integers(0, 10_000_000).map(lambda ms: START + ms * MS),
        st.integers(1, 1000).map(lambda ms: ms * MS),
        st.dictionaries(VALUES.map(bucket_key), st.integers(1, 10**9), max_size=10).map(
            lambda d: dict(sorted(d.items()))
        ),
    ),
    max_size=4,
)


@given(MADE_LINES)
@settings(max_examples=50)
def test_decoding_returns_what_was_encoded(lines: list[Line]) -> None:
    read = decode(encode(lines, start_ns=START, comment=COMMENT), "here")
    assert sorted(read, key=repr) == sorted(lines, key=repr)


def test_values_out_of_range_are_written_as_its_ends() -> None:
    line = Line("service", START, S, {**spread(2 * HIGHEST_NS), -5: 3})
    (read,) = decode(encode([line], start_ns=START, comment=COMMENT), "here")
    assert read.buckets == {0: 3, bucket_key(HIGHEST_NS): 1}
    maximum_ms = float(encode([line], start_ns=START, comment=COMMENT).splitlines()[5].split(b",")[3])
    assert maximum_ms == pytest.approx(HIGHEST_NS / MS, rel=0.001), "no more than the histogram holds"


def test_untagged_lines_of_other_tools_are_read_too() -> None:
    row = LOG.splitlines()[5].split(b",", 1)[1]
    (line,) = decode(b"#[BaseTime: 10.500 (seconds since epoch)]\n" + row, "here")
    assert (line.tag, line.start_ns, line.buckets) == ("", 10_500 * MS, LINES[0].buckets)


def of_series(tag: str) -> bytes:
    return b"".join(select_series(LOG.splitlines(keepends=True), tag))


def test_one_series_of_a_log() -> None:
    only = of_series("service")
    assert only.splitlines()[:5] == LOG.splitlines()[:5]
    assert decode(only, "here") == [line for line in LINES if line.tag == "service"]
    assert decode(of_series("serv"), "here") == []


# -- damage ----------------------------------------------------------------------------------------------------------


def test_a_log_truncated_within_a_line_is_refused() -> None:
    start = LOG.index(b"Tag=")
    ends = {at for at in range(start, len(LOG)) if LOG[at - 1 : at + 1].endswith(b"\n") or LOG[at - 1 : at] == b"\n"}
    for at in range(start + 1, len(LOG), 7):
        if at not in ends:
            with pytest.raises(ResultError, match=r"latency\.hlog, line \d+: not a line of a histogram log"):
                decode(LOG[:at], "latency.hlog")


def test_a_changed_histogram_is_refused() -> None:
    start = LOG.index(b"HISTF") + 12
    end = LOG.index(b"\n", start)
    for at in range(start, end):
        changed = LOG[:at] + (b"A" if LOG[at : at + 1] != b"A" else b"B") + LOG[at + 1 :]
        try:
            read = decode(changed, "here")
        except ResultError:
            continue
        assert read == in_order(LINES), "what did no harm: bits that base 64 leaves unused"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b",0.000,1.000,", b",zero,1.000,"),
        (b",0.000,1.000,", b",nan,1.000,"),
        (b",0.000,1.000,", b",0.000,"),
        (b",0.000,1.000,", b",0.000,1.000,1.000,"),
        (b"Tag=connect", b"connect"),
        (b"HISTF", b"HISTG"),
        (b"HISTF", b""),
        (b"BaseTime: 1795000000.250", b"BaseTime: soon"),
    ],
)
def test_an_edited_log_is_refused(old: bytes, new: bytes) -> None:
    assert old in LOG
    with pytest.raises(ResultError, match=r"here, line \d+") as caught:
        decode(LOG.replace(old, new, 1), "here")
    assert caught.value.exit_code == 2


def test_bytes_that_are_not_text_are_refused() -> None:
    with pytest.raises(ResultError):
        decode(b"\xff\xfe\x00\x01", "here")
