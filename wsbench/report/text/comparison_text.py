"""A comparison for the terminal: one table per pair, notes, and the verdict as its last line."""

from __future__ import annotations

from wsbench.report.text.text_table import draw, left, right
from wsbench.results.comparison_result import Comparison, ComparisonSide, Metric, Pair, Verdict
from wsbench.units import format_duration, format_rate

HEADINGS = ("base", "new", "ratio", "interval", "spread", "margin")


def render(comparison: Comparison) -> str:
    """Return the whole text."""
    rows = [_side("BASE", comparison.base), _side("NEW", comparison.new), ""]
    for pair in comparison.pairs:
        rows += [*_table(pair, named=len(comparison.pairs) > 1), ""]
    rows.append(basis(comparison))
    if comparison.differences:
        rows.append("COMPARED ANYWAY, although the two are not comparable:")
        rows += [f"  {difference}" for difference in comparison.differences]
    rows += [f"note: {note}" for note in comparison.notes]
    rows += ["", f"verdict: {comparison.said}"]
    return "\n".join(rows) + "\n"


def basis(comparison: Comparison) -> str:
    """Explain the ratios and intervals."""
    several = sum(metric.p is not None for pair in comparison.pairs for metric in pair.metrics)
    corrected = f"; verdicts hold for all {several} comparisons together (Holm)" if several > 1 else ""
    return (
        f"ratio: NEW / BASE, with its {_percent(comparison.confidence)} confidence interval; "
        f"latencies are of `{comparison.series}`{corrected}"
    )


def metric_cells(metric: Metric) -> tuple[str, ...]:
    """Return the cells under `HEADINGS`."""
    interval = "–" if metric.low is None or metric.high is None else f"{_ratio(metric.low)} – {_ratio(metric.high)}"
    spread = "–" if metric.spread is None else f"{100 * metric.spread:.2g} %"
    if metric.spread_from == "assumed":
        spread += " (assumed)"
    formatted = format_rate if metric.metric == "throughput" else format_duration
    return (
        formatted(metric.base),
        formatted(metric.new),
        _ratio(metric.ratio),
        interval,
        spread,
        _percent(metric.margin),
    )


def verdict_text(metric: Metric) -> str:
    """Return a metric's verdict with its reason, if it has one."""
    return f"{metric.verdict}: {metric.reason}" if metric.reason else str(metric.verdict)


def _ratio(ratio: float | None) -> str:
    if ratio is None:
        return "–"
    return f"{ratio:,.{3 if ratio < 10 else 1 if ratio < 100 else 0}f}"


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def _side(name: str, side: ComparisonSide) -> str:
    return f"{name:<5} {side.given}   ({', '.join(side.targets)})"


def _table(pair: Pair, *, named: bool) -> list[str]:
    if pair.reason:
        return [f"{pair.key}: not compared: {pair.reason}"]
    runs = f"{len(pair.base)} against {len(pair.new)} run{'s' if max(len(pair.base), len(pair.new)) > 1 else ''}"
    heading = [f"{pair.key}   ({runs})"] if named else []
    columns = [left(), *(right(heading, 6) for heading in HEADINGS), left("verdict")]
    return [*heading, *draw(columns, map(_row, pair.metrics), indent=2)]


def _row(metric: Metric) -> list[str] | str:
    if metric.verdict == Verdict.NOT_COMPARED:
        return f"  {metric.metric:<10}  {verdict_text(metric)}"
    return [metric.metric, *metric_cells(metric), verdict_text(metric)]
