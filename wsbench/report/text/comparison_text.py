"""A comparison for the terminal: one table per pair, notes, and the verdict as its last line."""

from __future__ import annotations

from wsbench.report.text.text_table import draw, left, right
from wsbench.results.comparison_result import Comparison, ComparisonSide, Metric, Pair, Verdict
from wsbench.units import format_count, format_duration

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


def format_metric(metric: Metric, value: float | None) -> str:
    """Return a value of a metric with its unit."""
    if metric.metric == "throughput":
        return "–" if value is None else f"{format_count(value)}/s"
    return format_duration(value)


def metric_cells(metric: Metric) -> tuple[str, str, str, str, str, str]:
    """Return the cells under `HEADINGS`."""
    interval = "–" if metric.low is None or metric.high is None else f"{_ratio(metric.low)} – {_ratio(metric.high)}"
    ratio = "–" if metric.ratio is None else _ratio(metric.ratio)
    spread = "–" if metric.spread is None else f"{100 * metric.spread:.2g} %"
    if metric.spread_from == "assumed":
        spread += " (assumed)"
    return (
        format_metric(metric, metric.base),
        format_metric(metric, metric.new),
        ratio,
        interval,
        spread,
        _percent(metric.margin),
    )


def _ratio(ratio: float) -> str:
    digits = 3 if ratio < 10 else 1 if ratio < 100 else 0
    return f"{ratio:,.{digits}f}"


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def _side(name: str, side: ComparisonSide) -> str:
    return f"{name:<5} {side.given}   ({', '.join(side.targets)})"


def _table(pair: Pair, *, named: bool) -> list[str]:
    runs = f"{len(pair.base)} against {len(pair.new)} run{'s' if max(len(pair.base), len(pair.new)) > 1 else ''}"
    if pair.reason:
        return [f"{pair.key}: not compared: {pair.reason}"]
    heading = [f"{pair.key}   ({runs})"] if named else []
    columns = [left(), *(right(heading, 6) for heading in HEADINGS), left("verdict")]
    return [*heading, *draw(columns, map(_row, pair.metrics), indent=2)]


def _row(metric: Metric) -> list[str] | str:
    verdict = f"{metric.verdict}: {metric.reason}" if metric.reason else f"{metric.verdict}"
    if metric.verdict == Verdict.NOT_COMPARED:
        return f"  {metric.metric:<10}  {verdict}"
    return [metric.metric, *metric_cells(metric), verdict]
