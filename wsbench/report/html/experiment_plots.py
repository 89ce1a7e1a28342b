"""The plots of an experiment: percentile curves, ratios to the baseline, and efficiency, by target."""

from __future__ import annotations

import html
import math
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from wsbench.measure.histogram import Buckets
from wsbench.report.html.plots import (
    Json,
    PercentileSeries,
    Plot,
    latency_axis,
    percentile_plot,
    scatter,
    vertical_line,
)
from wsbench.results.overview_result import Overview, OverviewRow
from wsbench.units import NS_PER_S, format_count

_COLOURS = ("--a", "--c", "--b", "--d", "--e", "--f", "--g", "--h")
_DASHES = ("solid", "dash", "dot", "dashdot")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star", "hexagon")
_LETTER_POSITIONS = ("middle left", "middle right", "top left", "top right", "bottom left", "bottom right")
"""Position of a point's letter, by its conditions: a target's points lie above each other, often close together."""
_RATIOS = {
    "throughput_per_s": ("throughput", "right of 1 is more throughput"),
    "response_p50_ns": ("response p50", "left of 1 is faster"),
    "response_p99_ns": ("response p99", "left of 1 is faster"),
    "response_p99.9_ns": ("response p99.9", "left of 1 is faster"),
    "target_cpu_us_per_message": ("target's CPU per message", "left of 1 is cheaper"),
}
_CPU, _P99 = "target_cpu_us_per_message", "response_p99_ns"


@dataclass(frozen=True)
class Group:
    """The cells of one set of conditions, the baseline's first. `letter` labels it in the plots."""

    letter: str
    conditions: str
    rows: list[OverviewRow]


Curves = Mapping[str, tuple[Buckets, int]]
"""The distribution over all runs of a cell and the number of lost messages, by the cell's key."""
Styles = Mapping[str, int]
"""The number of every target, from which its colour, dash and symbol follow."""


def percentile_plots(groups: Sequence[Group], curves: Curves, styles: Styles) -> Iterator[Plot]:
    """Yield the percentile curves of every set of conditions that has runs."""
    for group in groups:
        lines = [
            PercentileSeries(_plain(row.target), *_line_style(styles[row.target]), *curves[row.key])
            for row in group.rows
            if row.key in curves and curves[row.key][0]
        ]
        if lines:
            how = f"{group.conditions}. `response` over all runs of a target. Each step to the right adds a nine."
            title = f"{group.letter}: latency by percentile"
            yield Plot(f"curves-{group.letter}", title, how, *percentile_plot(lines), 380)


def ratio_plots(overview: Overview, groups: Sequence[Group], styles: Styles) -> list[Plot]:
    """Return a plot of every metric that has ratios to the baseline."""
    return [plot for name in _RATIOS if (plot := _ratio_plot(name, overview, groups, styles))]


def _ratio_plot(name: str, overview: Overview, groups: Sequence[Group], styles: Styles) -> Plot | None:
    metric, direction = _RATIOS[name]
    data: list[Json] = []
    edges = [1.0]
    places: list[str] = []
    for target, style in styles.items():
        found = {
            f"{_plain(target)} · {group.letter}": figure.ratio
            for group in groups
            for row in group.rows
            if row.target == target and (figure := row.figures.get(name)) is not None and figure.ratio is not None
        }
        if not found:
            continue
        places += found
        ratios = list(found.values())
        edges += [edge for ratio in ratios for edge in (ratio.low, ratio.high)]
        data.append(
            scatter(
                "markers",
                _plain(target),
                [ratio.ratio for ratio in ratios],
                list(found),
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": [ratio.high - ratio.ratio for ratio in ratios],
                    "arrayminus": [ratio.ratio - ratio.low for ratio in ratios],
                    "thickness": 1.5,
                    "width": 4,
                },
                customdata=[[f"{ratio.low:.3g}", f"{ratio.high:.3g}"] for ratio in ratios],
                marker=_marker(style, 8),
                hovertemplate="× %{x:.3g} (%{customdata[0]} – %{customdata[1]})",
            )
        )
    if not data:
        return None
    how = (
        f"Ratio to {overview.baseline}, with its {100 * overview.confidence:g} % confidence interval: {direction}. "
        "If the interval contains 1, no difference could be shown."
    )
    layout: Json = {
        "xaxis": {"type": "log", "title": {"text": "× baseline"}, **_factors(min(edges), max(edges))},
        "yaxis": {"type": "category", "autorange": "reversed", "categoryorder": "array", "categoryarray": places},
        "hovermode": "closest",
        "showlegend": False,
        "shapes": [vertical_line(1, {"color": "--ink"})],
    }
    return Plot(f"ratio-{name.replace('.', '-')}", f"Ratio of {metric}", how, data, layout, 120 + 24 * len(places))


def _factors(low: float, high: float) -> Json:
    """Return a logarithmic axis of ratios. It includes 1, and has as many ticks as there is room for."""
    low, high = min(low, 0.9), max(high, 1.1)
    decades = math.log10(high / low)
    values = _ticks(low, high)
    if decades < 0.3:
        values = [0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.4, 1.6, 1.8]
    return {
        "tickvals": values,
        "ticktext": [f"{value:g}" for value in values],
        "range": [math.log10(low) - 0.06 * decades, math.log10(high) + 0.06 * decades],
    }


def _ticks(low: float, high: float) -> list[float]:
    """Return about five to ten round values for a logarithmic axis."""
    decades = math.log10(high / low)
    steps: tuple[float, ...] = (1, 1.5, 2, 3, 5, 7) if decades < 1 else (1, 2, 5) if decades < 2.5 else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [round(step * 10.0**power, 9) for power in powers for step in steps]


def efficiency_plot(groups: Sequence[Group], styles: Styles) -> list[Plot]:
    """Return the plot of CPU cost against p99; empty without such figures."""
    data: list[Json] = []
    for target, style in styles.items():
        points = [
            (group.letter, 1e6 / cpu, p99 / NS_PER_S)
            for group in groups
            for row in group.rows
            if row.target == target and (cpu := _figure(row, _CPU)) and (p99 := _figure(row, _P99))
        ]
        if points:
            letters, xs, ys = map(list, zip(*points, strict=True))
            positions = [
                _LETTER_POSITIONS[string.ascii_uppercase.index(letter[0]) % len(_LETTER_POSITIONS)]
                for letter in letters
            ]
            data.append(
                scatter(
                    "markers+text" if len(groups) <= len(_LETTER_POSITIONS) else "markers",
                    _plain(target),
                    xs,
                    ys,
                    text=letters,
                    textposition=positions,
                    marker=_marker(style, 9),
                    hovertemplate="%{text}: %{x:,.3s} messages/CPU s, p99 %{y:.3s}s",
                )
            )
    if not data:
        return []
    how = (
        "Messages that the target handles per second of its CPU time, against its p99. Further right is cheaper, "
        "further down is faster: the best targets are at the bottom right. Letters stand for conditions, see the table."
    )
    costs = [x for each in data for x in each["x"]]
    ticks = _ticks(min(costs), max(costs))
    labels = [f"{tick:g}" if tick < 1 else format_count(tick) for tick in ticks]
    axis = {"title": {"text": "messages per CPU second"}, "tickvals": ticks, "ticktext": labels}
    layout: Json = {
        "xaxis": {"type": "log", **axis},
        "yaxis": latency_axis("response p99", [y for each in data for y in each["y"]]),
        "hovermode": "closest",
        "showlegend": True,
    }
    return [Plot("efficiency", "Efficiency", how, data, layout, 420)]


def _figure(row: OverviewRow, name: str) -> float | None:
    return row.figures[name].value if name in row.figures else None


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]


def _line_style(number: int) -> tuple[str, str]:
    """Return colour and dash of a target; the dashes of targets with the same colour differ."""
    dash = number if number < len(_COLOURS) else number // len(_COLOURS)
    return _colour(number), _DASHES[dash % len(_DASHES)]


def _marker(number: int, size: int) -> Json:
    return {"color": _colour(number), "symbol": _SYMBOLS[number % len(_SYMBOLS)], "size": size}


def _plain(text: str) -> str:
    """Escape a name for plotly, which interprets some HTML."""
    return html.escape(text, quote=False)
