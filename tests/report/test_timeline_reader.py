"""timeline.csv, read into columns."""

from __future__ import annotations

import math

import pytest

from wsbench.errors import ResultError
from wsbench.report.html.timeline_reader import COLUMNS, KINDS, OTHERS, read_timeline


def test_an_hour_becomes_columns_without_losing_a_count() -> None:
    intervals = ["time,elapsed_s,phase,connections,sent,received,lost,worker_cpu_percent"]
    intervals += [f"2026-11-22T09:15:00.000Z,{n}.250,measure,5,10,9,1,{n % 100}" for n in range(3600)]
    over_time = read_timeline("\n".join(intervals).encode(), "timeline.csv")
    assert over_time.every_s == 7
    assert len(over_time.moments) == math.ceil(3600 / 7) <= COLUMNS
    assert sum(moment.errors["lost"] for moment in over_time.moments) == 3600
    assert {round(moment.sent_per_s, 6) for moment in over_time.moments} == {10.0}
    assert over_time.moments[0].cpu_percent == 6
    assert {moment.wanted for moment in over_time.moments} == {None}, "a file of an earlier version has no such column"


def test_errors_are_summed_by_kind() -> None:
    kinds = ",".join((*KINDS, "errors"))
    intervals = [f"time,elapsed_s,phase,connections,sent,received,worker_cpu_percent,wanted,{kinds}"]
    intervals += [f"2026-11-22T09:15:00.000Z,{n},measure,5,10,9,,7,1,2,7,4,4,5,28" for n in range(1200)]
    first, *_ = read_timeline("\n".join(intervals).encode(), "timeline.csv").moments
    assert list(first.errors.values()) == [2, 4, 6, 8, 8, 10, 18] and first.unanswered == 6
    assert (first.per_s("dropped"), first.connections, first.wanted) == (5.0, 5, 7)


def test_a_file_without_the_newest_columns_has_none_of_their_errors() -> None:
    intervals = "time,elapsed_s,phase,connections,sent,received,worker_cpu_percent,lost,corrupted,errors"
    text = f"{intervals}\n2026-11-22T09:15:00.000Z,0,measure,5,10,9,,1,3,6"
    [moment] = read_timeline(text.encode(), "timeline.csv").moments
    assert {kind: count for kind, count in moment.errors.items() if count} == {"lost": 1, "corrupted": 3, OTHERS: 2}


@pytest.mark.parametrize("text", [b"\xff\xfe", b"time,elapsed_s\n2026,x\n", b"time,phase\n1,2\n", b"elapsed_s\n1\n"])
def test_other_text_is_refused(text: bytes) -> None:
    with pytest.raises(ResultError, match=r"timeline\.csv is not a timeline"):
        read_timeline(text, "timeline.csv")
