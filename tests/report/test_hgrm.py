"""Percentile distributions: columns and footer as HdrHistogram prints them, in milliseconds."""

from __future__ import annotations

import io
import re
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsbench.measure.histogram import Buckets, record, to_hdr
from wsbench.report.hgrm import encode

VALUES = list(range(10_000, 4_000_000, 1_234))


def spread(values: list[int]) -> Buckets:
    buckets: Buckets = {}
    for value in values:
        record(buckets, value)
    return buckets


def rows_of(text: str) -> list[list[str]]:
    return [row.split() for row in text.splitlines()[2:] if not row.startswith("#")]


TEXT = encode(spread(VALUES)).decode("ascii")


def test_columns_are_aligned_as_plotters_expect_them() -> None:
    head, empty, *rows = TEXT.splitlines()
    assert (head, empty) == ("       Value     Percentile TotalCount 1/(1-Percentile)", "")
    *data, last = [row for row in rows if not row.startswith("#")]
    assert all(re.fullmatch(r" *\d+\.\d{3} [01]\.\d{12} +\d+ +\d+\.\d{2}", row) for row in data)
    assert re.fullmatch(r" *\d+\.\d{3} 1\.000000000000 +\d+", last), "the last line has no reciprocal"
    assert {len(row) for row in data} == {12 + 1 + 14 + 1 + 10 + 1 + 14}


def test_the_text_equals_that_of_hdrh_except_the_deviation_which_hdrh_does_not_scale() -> None:
    out = io.BytesIO()
    to_hdr(spread(VALUES)).output_percentile_distribution(out, 1_000_000.0)
    theirs = out.getvalue().decode().splitlines()
    assert rows_of(TEXT)[:-1] == rows_of("\n".join(theirs))[: len(rows_of(TEXT)) - 1]
    assert [row.split(",")[0] for row in TEXT.splitlines()[-3:]] == [row.split(",")[0] for row in theirs[-3:]]


def test_the_footer_is_in_the_unit_of_the_values() -> None:
    mean, deviation, maximum, count = (
        float(found)
        for found in re.fullmatch(  # type: ignore[union-attr]
            r"#\[Mean    = +([\d.]+), StdDeviation   = +([\d.]+)\]\n"
            r"#\[Max     = +([\d.]+), Total count    = +(\d+)\]\n"
            r"#\[Buckets = +32, SubBuckets     = +2048\]\n",
            "".join(TEXT.splitlines(keepends=True)[-3:]),
        ).groups()
    )
    assert mean == pytest.approx(statistics.fmean(VALUES) / 1e6, rel=0.001)
    assert deviation == pytest.approx(statistics.pstdev(VALUES) / 1e6, rel=0.001)
    assert maximum == pytest.approx(max(VALUES) / 1e6, rel=0.001)
    assert count == len(VALUES)


@given(st.lists(st.integers(0, 10**11), min_size=1, max_size=50))
@settings(max_examples=25)
def test_values_percentiles_and_counts_rise_to_the_total(values: list[int]) -> None:
    rows = rows_of(encode(spread(values)).decode())
    for column in (0, 1, 2):
        figures = [float(row[column]) for row in rows]
        assert figures == sorted(figures)
    assert int(rows[-1][2]) == len(values)
    for row in rows[:-1]:
        level, reciprocal = float(row[1]), float(row[3])
        assert reciprocal == pytest.approx(1 / (1 - level), rel=0.01, abs=0.006)
    assert len(rows[-1]) == 3


def test_an_empty_distribution_has_a_footer_of_zeros() -> None:
    text = encode({}).decode()
    assert rows_of(text) == []
    assert "Mean    =        0.000, StdDeviation   =        0.000" in text
    assert "Total count    =            0" in text
