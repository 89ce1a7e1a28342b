"""Spans of time that several sources have in common."""

from __future__ import annotations

from collections.abc import Sequence

Span = tuple[int, int]


def longest_overlap(sources: Sequence[Sequence[Span]]) -> int:
    """Return the length of the longest time that lies in a span of every source; 0 if there is none.

    The spans of one source do not overlap.
    """
    # At one instant, ends come before begins.
    edges = sorted(edge for spans in sources for start, end in spans for edge in ((start, 1), (end, -1)))
    inside, began, longest = 0, 0, 0
    for instant, step in edges:
        if inside == len(sources):
            longest = max(longest, instant - began)
        inside += step
        began = instant
    return longest
