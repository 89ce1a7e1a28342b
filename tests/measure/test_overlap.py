"""Overlap of spans: the time that they all have in common."""

from __future__ import annotations

import pytest

from wsbench.measure.overlap import Span, longest_overlap


@pytest.mark.parametrize(
    ("sources", "longest"),
    [
        ([], 0),
        ([[]], 0),
        ([[(10, 30)]], 20),
        ([[(10, 30), (40, 70), (80, 90)]], 30),
        ([[(10, 30)], []], 0),
        ([[(10, 30)], [(20, 50)]], 10),
        ([[(10, 30)], [(30, 50)]], 0),
        ([[(10, 100)], [(20, 30), (40, 80)]], 40),
        ([[(10, 100)], [(20, 90)], [(0, 25), (60, 95)]], 30),
        ([[(5, 5), (10, 12)], [(5, 5), (10, 11)]], 1),
    ],
)
def test_the_longest_time_that_all_have_in_common(sources: list[list[Span]], longest: int) -> None:
    assert longest_overlap(sources) == longest
    assert longest_overlap([list(reversed(spans)) for spans in reversed(sources)]) == longest
