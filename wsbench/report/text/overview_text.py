"""An experiment's overview for the terminal: one table per set of conditions, one row per target, ratios below it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from wsbench.report.text.stored_rows import stored_rows
from wsbench.report.text.text_table import draw, left, right
from wsbench.results.overview_result import FIGURES, CellFigure, Overview, OverviewRow, Ratio
from wsbench.units import format_bytes, format_count, format_duration

_GROUPS = ("", "", "response", "", "", "service", "", "", "target", "target")
_HEADINGS = ("replies/s", "p50", "p99", "p99.9", "p50", "p99", "p99.9", "µs CPU/msg", "mem/conn.", "lost", "corrupted")
_LONGEST_REASON, _REASON_START = 240, 100
_LOWEST_RATIO, _HIGHEST_RATIO = 0.01, 100
"""Ratios outside are shown as `<0.01` and `>100`."""
_SATURATED = (
    "saturated: the generator was at its limit, as in every closed loop whose target is faster. Its latency is "
    "`service` at full load, and the target's throughput may be higher than shown."
)
_LATE = "late: messages left so late that `response` is not valid; `service` is. Use a lower rate, or more processes."


def render(overview: Overview, path: str) -> str:
    """Return the tables and their explanation. `path` is the experiment's directory."""
    rows: list[str] = []
    for conditions, group in groupby(overview.rows, lambda row: row.conditions):
        rows += [conditions, *_table(list(group), overview.baseline), ""]
    rows += [*basis(overview), *legend(overview), *stored_rows(path)]
    return "\n".join(rows) + "\n"


def _table(rows: list[OverviewRow], baseline: str | None) -> list[str]:
    lines: list[list[str] | str] = []
    if any(row.done for row in rows):
        lines += [[*_GROUPS], ["", *_HEADINGS]]
    for row in sorted(rows, key=lambda row: row.target != baseline):
        lines += _cell(row)
    return draw([left(width=18), *(right(width=6) for _ in _HEADINGS), left()], lines, indent=2)


def _cell(row: OverviewRow) -> Iterator[list[str] | str]:
    if not row.done:
        yield f"  {row.target:<18}  – {row.hole or ('FAILED' if row.failures else 'not run yet')}"
    else:
        figures = (figure_cell(figure, row.figures[figure]) for figure in FIGURES)
        yield [row.target, *figures, format_count(row.lost), format_count(row.corrupted), marks(row)]
        ratios = [row.figures[figure].ratio for figure in FIGURES]
        if any(ratios):
            yield ["  × baseline", *map(ratio_cell, ratios)]
            yield ["", *map(interval_cell, ratios)]
    for reason in row.failures:
        yield f"    failed: {_shortened(reason)}"


def _shortened(reason: str) -> str:
    """Keep the start and the end: the cause is at a traceback's end. experiment.json has all of it."""
    if len(reason) <= _LONGEST_REASON:
        return reason
    return f"{reason[:_REASON_START]} ... {reason[_REASON_START - _LONGEST_REASON :]}"


def marks(row: OverviewRow) -> str:
    """Return the warnings about a row: losses, missing runs, verdicts, remarks."""
    marks = []
    if row.lost or row.corrupted:
        marks.append("LOSSES" if not row.corrupted else "CORRUPTED")
    if row.done < row.asked:
        marks.append(f"{row.done} of {row.asked} runs")
    for verdict, count in row.verdicts.items():
        marks.append(verdict if count == row.done else f"{verdict} ({count} of {row.done})")
    marks += [f"{format_count(count)} {name}" for name, count in row.wrong.items()]
    return ", ".join([*marks, *row.remarks])


def figure_cell(name: str, figure: CellFigure) -> str:
    """Return a figure of `FIGURES` with its unit; CPU without."""
    if name.endswith("_ns"):
        return format_duration(figure.value)
    if name == "target_bytes_per_connection":
        return format_bytes(figure.value)
    if name == "target_cpu_us_per_message":
        return "–" if figure.value is None else f"{figure.value:.1f}"
    return format_count(figure.value)


def ratio_cell(ratio: Ratio | None) -> str:
    """Return a ratio; empty for None."""
    return "" if ratio is None else _digits(ratio.ratio)


def interval_cell(ratio: Ratio | None) -> str:
    """Return the confidence interval of a ratio; empty for None."""
    if ratio is None:
        return ""
    return f"{_digits(ratio.low)}–{_digits(ratio.high)}{'?' if ratio.assumed else ''}"


def _digits(value: float) -> str:
    if value < _LOWEST_RATIO:
        return f"<{_LOWEST_RATIO}"
    if value >= _HIGHEST_RATIO:
        return f">{_HIGHEST_RATIO}"
    return f"{value:.1f}" if value >= 9.95 else f"{value:.2f}"


def basis(overview: Overview) -> list[str]:
    """Explain the figures and ratios."""
    runs = max((row.done for row in overview.rows), default=0)
    lines = [f"Medians over {runs} runs per cell." if runs > 1 else "One run per cell."]
    ratios = [figure.ratio for row in overview.rows for figure in row.figures.values() if figure.ratio is not None]
    if ratios:
        lines[0] += (
            f" × baseline: ratio to {overview.baseline} (of the geometric means over runs) with its "
            f"{100 * overview.confidence:g} % confidence interval. Each interval stands alone: the verdicts of "
            "`wsbench compare` hold together."
        )
    if any(ratio.assumed for ratio in ratios):
        lines.append("?: the spread between runs is assumed, not measured: there is one run per cell.")
    return lines


def legend(overview: Overview) -> Iterator[str]:
    """Explain the verdicts of the rows, and report whether all echoes were verified."""
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
