"""The distribution of a run's latencies drawn in text: a line a range of values, for at most 80 columns."""

from __future__ import annotations

from collections.abc import Mapping

from wsbench.measure.histogram import bounds
from wsbench.results.run_result import Run
from wsbench.units import format_count, format_duration

_MOST_LINES = 16
_WIDTH = 66
"""Of all series together: bars and counts."""
_COUNT = 15
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_SHARED = (1, 2, 4, 12)
"""So many neighbouring bounds are put together in a line: their upper ones are round figures again."""

ASCII = {ord("≤"): "<=", **{ord(sign): plain for sign, plain in zip(_EIGHTHS, " ....####", strict=True)}}
"""For outputs that have no blocks."""


def rows(run: Run) -> list[str]:
    """The lines, with an empty one behind them; none when nothing was measured."""
    latency = run.latency
    response, service = latency["response"], latency["service"]
    if (response.histogram, response.lost) == (service.histogram, service.lost):
        series = {"response = service": response}
    else:
        series = {"response": response, "service": service}
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
    for shared in _SHARED:
        first, last = (_line_of(index, shared) for index in (min(known), max(known)))
        if last - first < _MOST_LINES:
            break
    lines = [[0] * len(columns) for _ in range(last - first + 1)]
    for number, column in enumerate(columns.values()):
        for bound, count in column.items():
            lines[_line_of(place[bound], shared) - first][number] += count
    most = [max(1, *(line[number] for line in lines)) for number in range(len(columns))]
    return [
        f"  ≤ {format_duration(upper[min(line * shared + 1, len(upper) - 1)]):>8}  "
        + "".join(_bar(count, of, width) for count, of in zip(counts, most, strict=True)).rstrip()
        for line, counts in enumerate(lines, first)
    ]


def _line_of(index: int, shared: int) -> int:
    """The line of a bound: rounded up, for it is an upper one. The second bound, 10 ns, ends a line in any case."""
    return -((1 - index) // shared)


def _bar(count: int, most: int, width: int) -> str:
    """A bar and its count; the shortest bar there is for few."""
    eighths = max(round(8 * (width - _COUNT) * count / most), 1) if count else 0
    full, rest = divmod(eighths, 8)
    bar = _EIGHTHS[8] * full + (_EIGHTHS[rest] if rest else "")
    return f"{bar:<{width - _COUNT}}{format_count(count):>{_COUNT - 2}}  "
