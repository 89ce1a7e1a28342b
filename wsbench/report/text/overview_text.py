"""An experiment's overview for the terminal: under every set of conditions a row a target, with ratios below it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from wsbench.results.overview_result import FIGURES, CellFigure, Overview, OverviewRow, Ratio
from wsbench.units import format_bytes, format_count, format_duration

_NAME = 22
_WIDTHS = (11,) * len(FIGURES) + (7, 10)
_ABOVE = ("", "response", "", "", "service", "", "", "target", "target")
_HEADINGS = ("replies/s", "p50", "p99", "p99.9", "p50", "p99", "p99.9", "µs CPU/msg", "mem/conn.")
_COUNTS = ("lost", "corrupted")
_LONGEST_REASON, _BEGIN = 240, 100
_LEAST, _MOST = 0.01, 100
"""Ratios beyond are not told apart."""
_SATURATED = (
    "saturated: the generator was at its limit, as in every closed loop whose target is not slower: latency there is "
    "`service`, the target's under full load, and throughput is no less than what is shown."
)
_LATE = "late: messages left so late that `response` is spoiled; `service` holds: use a lower rate, or more processes."


def render(overview: Overview, path: str) -> str:
    """The tables and what they rest on; `path` is where the experiment lies."""
    rows: list[str] = []
    for conditions, group in groupby(overview.rows, lambda row: row.conditions):
        rows += [conditions, *_table(list(group), overview.baseline), ""]
    rows += [*basis(overview), *legend(overview), f"result: {path}"]
    return "\n".join(rows) + "\n"


def _table(rows: list[OverviewRow], baseline: str | None) -> list[str]:
    lines = []
    if any(row.done for row in rows):
        lines += [_line("", *_ABOVE), _line("", *_HEADINGS, *_COUNTS)]
    for row in sorted(rows, key=lambda row: row.target != baseline):
        lines += _cell(row)
    return lines


def _cell(row: OverviewRow) -> Iterator[str]:
    name = f"  {row.target}"
    if row.hole is not None:
        yield f"{name:<{_NAME}}  – {row.hole}"
        return
    if not row.done:
        yield f"{name:<{_NAME}}  – {'FAILED' if row.failures else 'not run yet'}"
    else:
        figures = (figure_cell(figure, row.figures[figure]) for figure in FIGURES)
        counts = (format_count(row.lost), format_count(row.corrupted))
        yield _line(name, *figures, *counts, after=marks(row))
        ratios = [row.figures[figure].ratio for figure in FIGURES]
        if any(ratios):
            yield _line("    × baseline", *map(ratio_cell, ratios))
            yield _line("", *map(interval_cell, ratios))
    for reason in row.failures:
        yield f"    failed: {_shortened(reason)}"


def _shortened(reason: str) -> str:
    """Begin and end: a traceback has what matters at its end. experiment.json has all of it."""
    return reason if len(reason) <= _LONGEST_REASON else f"{reason[:_BEGIN]} ... {reason[_BEGIN - _LONGEST_REASON :]}"


def marks(row: OverviewRow) -> str:
    """What a reader of a row must know beside its figures."""
    marks = []
    if row.lost or row.corrupted:
        marks.append("LOSSES" if not row.corrupted else "CORRUPTED")
    if row.done < row.asked:
        marks.append(f"{row.done} of {row.asked} runs")
    for verdict, count in row.verdicts.items():
        marks.append(verdict if count == row.done else f"{verdict} ({count} of {row.done})")
    marks += [f"{format_count(count)} {what}" for what, count in row.wrong.items()]
    return ", ".join([*marks, *row.remarks])


def figure_cell(name: str, figure: CellFigure) -> str:
    """A figure of `FIGURES` in its unit."""
    if name.endswith("_ns"):
        return format_duration(figure.value)
    if name == "target_bytes_per_connection":
        return format_bytes(figure.value)
    if name == "target_cpu_us_per_message":
        return "–" if figure.value is None else f"{figure.value:.1f}"
    return format_count(figure.value)


def ratio_cell(ratio: Ratio | None) -> str:
    """Empty where there is none."""
    return "" if ratio is None else _digits(ratio.ratio)


def interval_cell(ratio: Ratio | None) -> str:
    """The confidence interval of a ratio; empty where there is none."""
    if ratio is None:
        return ""
    return f"{_digits(ratio.low)}–{_digits(ratio.high)}{'?' if ratio.assumed else ''}"


def _digits(value: float) -> str:
    if value < _LEAST:
        return f"<{_LEAST}"
    if value >= _MOST:
        return f">{_MOST}"
    return f"{value:.1f}" if value >= 9.95 else f"{value:.2f}"


def _line(name: str, *texts: str, after: str = "") -> str:
    cells = "".join(f"{text:>{width}}" for text, width in zip(texts, _WIDTHS, strict=False))
    return f"{name:<{_NAME}}{cells}{'   ' if after else ''}{after}".rstrip()


def basis(overview: Overview) -> list[str]:
    """What figures and ratios rest on, in a sentence or two."""
    most = max((row.done for row in overview.rows), default=0)
    lines = [f"Medians over {most} runs a cell." if most > 1 else "One run a cell."]
    found = [figure.ratio for row in overview.rows for figure in row.figures.values() if figure.ratio is not None]
    if found:
        lines[0] += (
            f" × baseline: ratio to {overview.baseline} (of the geometric means over runs) with its "
            f"{100 * overview.confidence:g} % confidence interval, each for itself: `wsbench compare` gives verdicts "
            "that hold together."
        )
    if any(ratio.assumed for ratio in found):
        lines.append("?: the spread from run to run is assumed, not measured: one run a cell.")
    return lines


def legend(overview: Overview) -> Iterator[str]:
    """What the marks of the rows mean, and whether all was verified."""
    verdicts = {verdict for row in overview.rows for verdict in row.verdicts}
    if "saturated" in verdicts:
        yield _SATURATED
    if "late" in verdicts:
        yield _LATE
    rows = [row for row in overview.rows if row.done]
    if rows:
        bad = sum(bool(row.lost or row.corrupted) for row in rows)
        yield (
            f"verified: every echo of {len(rows)} cells, "
            + (f"{bad} of them with messages lost or corrupted" if bad else "none lost, none corrupted")
        )
