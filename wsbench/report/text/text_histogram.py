"""The distribution of a run's latencies as text: one line per range of values, at most 80 columns wide."""

from __future__ import annotations

from collections.abc import Mapping

from wsbench.measure.histogram import bounds
from wsbench.report.series_labels import label, response_is_service
from wsbench.results.run_result import Run
from wsbench.units import format_count, format_duration

_MAX_LINES = 16
_WIDTH = 66
"""Width of all series together, with bars and counts."""
_COUNT = 15
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_BOUNDS_PER_LINE = (1, 2, 4, 12)
"""Numbers of neighbouring bounds that one line can have, so that its upper bound is a round figure."""

ASCII = {ord("≤"): "<=", **{ord(sign): plain for sign, plain in zip(_EIGHTHS, " ....####", strict=True)}}
"""Replacements for outputs without block characters."""


def rows(run: Run) -> list[str]:
    """Return the lines and an empty one after them; none when nothing was measured."""
    latency = run.latency
    response, service = latency["response"], latency["service"]
    series = {label(run, "response"): response}
    if not response_is_service(run):
        series["service"] = service
    columns = {name: each.histogram for name, each in series.items()}
    if not any(columns.values()):
        return []
    width = _WIDTH // len(columns)
    drawn = _draw(columns, width)
    lost = [each.lost for each in series.values()]
    if any(lost):
        drawn.append(f"  {'lost':<12}" + "".join(f"{format_count(count):>{width}}" for count in lost).rstrip())
    return [f"{'distribution':<14}" + "".join(f"{name:<{width}}" for name in columns).rstrip(), *drawn, ""]


def _draw(columns: Mapping[str, Mapping[int, int]], width: int) -> list[str]:
    upper = list(bounds())
    place = {bound: index for index, bound in enumerate(upper)}
    known = [place[bound] for column in columns.values() for bound in column]
    for shared in _BOUNDS_PER_LINE:
        first, last = (_line_of(index, shared) for index in (min(known), max(known)))
        if last - first < _MAX_LINES:
            break
    lines = [[0] * len(columns) for _ in range(last - first + 1)]
    for number, column in enumerate(columns.values()):
        for bound, count in column.items():
            lines[_line_of(place[bound], shared) - first][number] += count
    maxima = [max(1, *(line[number] for line in lines)) for number in range(len(columns))]
    return [
        f"  ≤ {format_duration(upper[min(line * shared + 1, len(upper) - 1)]):>8}  "
        + "".join(_bar(count, maximum, width) for count, maximum in zip(counts, maxima, strict=True)).rstrip()
        for line, counts in enumerate(lines, first)
    ]


def _line_of(index: int, shared: int) -> int:
    """Return the line of an upper bound, rounded up. The second bound, 10 ns, always ends a line."""
    return -((1 - index) // shared)


def _bar(count: int, maximum: int, width: int) -> str:
    """Return a bar and its count. The smallest non-zero count has the shortest bar."""
    eighths = max(round(8 * (width - _COUNT) * count / maximum), 1) if count else 0
    full, rest = divmod(eighths, 8)
    bar = _EIGHTHS[8] * full + (_EIGHTHS[rest] if rest else "")
    return f"{bar:<{width - _COUNT}}{format_count(count):>{_COUNT - 2}}  "
