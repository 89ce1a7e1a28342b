"""A distribution as CSV: every value that occurred."""

from __future__ import annotations

import csv
import io

from wsbench.measure.bucket_arrays import SparseBuckets
from wsbench.measure.histogram import record
from wsbench.report.distribution_csv import encode


def test_a_row_for_every_value_with_its_count_and_its_percentile() -> None:
    first, second = {}, {}
    record(first, 1_000, 50)
    record(first, 1_500, 40)
    record(second, 1_500, 9)
    record(second, 5_000_000)
    rows = list(csv.reader(io.StringIO(encode([SparseBuckets.of(first), SparseBuckets.of(second)]).decode())))
    assert rows == [
        ["value_ns", "count", "percentile"],
        ["1000", "50", "50.000000"],
        ["1500", "49", "99.000000"],
        ["5001215", "1", "100.000000"],
    ]


def test_an_empty_distribution_is_a_header_alone() -> None:
    assert encode([]) == encode([SparseBuckets.of({})]) == b"value_ns,count,percentile\n"
