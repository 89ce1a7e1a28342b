"""The report of an experiment: its table, and figures that hold the targets side by side.

Conditions are called A, B, C ... in the figures, where their full text has no room.
"""

from __future__ import annotations

import html
import math
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from wsbench.measure.histogram import Buckets
from wsbench.report.html import tables
from wsbench.report.html.page import render
from wsbench.report.html.plots import Json, PercentileSeries, Plot, latency_axis, percentile_plot
from wsbench.report.text import overview_text
from wsbench.results.overview_result import FIGURES, Overview, OverviewRow
from wsbench.results.run_result import Run
from wsbench.units import NS_PER_S, format_count

_COLOURS = ("--a", "--c", "--b", "--d", "--e", "--f", "--g", "--h")
_DASHES = ("solid", "dash", "dot", "dashdot")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star", "hexagon")
_AROUND = ("middle left", "middle right", "top left", "top right", "bottom left", "bottom right")
"""Where a point's letter stands, by its condition: a target's points are above each other, and often close."""
_RATIOS = {
    "throughput_per_s": ("throughput", "right of 1 is more throughput"),
    "response_p50_ns": ("response p50", "left of 1 is faster"),
    "response_p99_ns": ("response p99", "left of 1 is faster"),
    "response_p99.9_ns": ("response p99.9", "left of 1 is faster"),
    "target_cpu_us_per_message": ("target's CPU a message", "left of 1 is cheaper"),
}
_CPU, _P99 = "target_cpu_us_per_message", "response_p99_ns"


@dataclass(frozen=True)
class ExperimentReport:
    """What a report of an experiment is made of.

    Attributes:
        curves: by a cell's key, `response` over all its runs, and the number of messages lost.
        example: any of the runs, for the machine that all ran on.
    """

    id: str
    name: str
    started: str
    complete: bool
    seed: int
    wsbench: str
    overview: Overview
    curves: Mapping[str, tuple[Buckets, int]]
    example: Run | None


@dataclass(frozen=True)
class Group:
    """The cells of one set of conditions, the baseline's first."""

    letter: str
    conditions: str
    rows: list[OverviewRow]


def report(experiment: ExperimentReport) -> bytes:
    """The page."""
    overview = experiment.overview
    groups = _groups(overview)
    targets = list(dict.fromkeys(row.target for group in groups for row in group.rows))
    looks = {target: number for number, target in enumerate(targets)}
    curves = [figure for group in groups if (figure := _curves(group, experiment.curves, looks))]
    ratios = [figure for name in _RATIOS if (figure := _ratio_plot(name, overview, groups, looks))]
    efficiency = _efficiency(groups, looks)
    plots = [*curves, *ratios, *([efficiency] if efficiency else [])]
    return render(
        "experiment.html",
        plots,
        title=experiment.name,
        version=experiment.wsbench,
        experiment=experiment,
        groups=groups,
        targets=targets,
        runs=sum(row.done for row in overview.rows),
        asked=sum(row.asked for row in overview.rows),
        ratios=ratios,
        curves=curves,
        efficiency=efficiency,
        figures=FIGURES,
        overview_text=overview_text,
        tables=tables,
    )


def _groups(overview: Overview) -> list[Group]:
    found = []
    for number, (conditions, rows) in enumerate(groupby(overview.rows, lambda row: row.conditions)):
        ordered = sorted(rows, key=lambda row: row.target != overview.baseline)
        found.append(Group(_letter(number), conditions, ordered))
    return found


def _letter(number: int) -> str:
    """A .. Z, AA, AB ..."""
    rest, place = divmod(number, 26)
    return (_letter(rest - 1) if rest else "") + string.ascii_uppercase[place]


def _curves(group: Group, curves: Mapping[str, tuple[Buckets, int]], looks: Mapping[str, int]) -> Plot | None:
    lines = [
        PercentileSeries(_plain(row.target), _colour(looks[row.target]), _dash(looks[row.target]), *curves[row.key])
        for row in group.rows
        if row.key in curves and curves[row.key][0]
    ]
    if not lines:
        return None
    how = f"{group.conditions}. `response` over all runs of a target; every step to the right is another nine."
    return Plot(f"curves-{group.letter}", f"{group.letter}: latency by percentile", how, *percentile_plot(lines), 380)


def _ratio_plot(name: str, overview: Overview, groups: Sequence[Group], looks: Mapping[str, int]) -> Plot | None:
    what, which = _RATIOS[name]
    data: list[Json] = []
    edges = [1.0]
    places: list[str] = []
    for target, look in looks.items():
        points = [
            (f"{_plain(target)} · {group.letter}", figure.ratio)
            for group in groups
            for row in group.rows
            if row.target == target and (figure := row.figures.get(name)) is not None and figure.ratio is not None
        ]
        if not points:
            continue
        places += [place for place, _ in points]
        edges += [edge for _, ratio in points for edge in (ratio.low, ratio.high)]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": _plain(target),
                "y": [place for place, _ in points],
                "x": [ratio.ratio for _, ratio in points],
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": [ratio.high - ratio.ratio for _, ratio in points],
                    "arrayminus": [ratio.ratio - ratio.low for _, ratio in points],
                    "thickness": 1.5,
                    "width": 4,
                },
                "customdata": [[f"{ratio.low:.3g}", f"{ratio.high:.3g}"] for _, ratio in points],
                "marker": {"color": _colour(look), "symbol": _SYMBOLS[look % len(_SYMBOLS)], "size": 8},
                "hovertemplate": "× %{x:.3g} (%{customdata[0]} – %{customdata[1]})",
            }
        )
    if not data:
        return None
    how = (
        f"Times {overview.baseline}'s, with the {100 * overview.confidence:g} % confidence interval: {which}. "
        "An interval that holds 1 is no difference that could be shown."
    )
    layout: Json = {
        "xaxis": {"type": "log", "title": {"text": "× baseline"}, **_factors(min(edges), max(edges))},
        "yaxis": {"type": "category", "autorange": "reversed", "categoryorder": "array", "categoryarray": places},
        "hovermode": "closest",
        "showlegend": False,
        "shapes": [
            {
                "type": "line",
                "xref": "x",
                "yref": "paper",
                "x0": 1,
                "x1": 1,
                "y0": 0,
                "y1": 1,
                "line": {"color": "--ink"},
            }
        ],
    }
    return Plot(f"ratio-{name.replace('.', '-')}", f"Ratio of {what}", how, data, layout, 120 + 24 * len(places))


def _factors(low: float, high: float) -> Json:
    """A logarithmic axis of ratios, with as many ticks as there is room for, 1 among them."""
    low, high = min(low, 0.9), max(high, 1.1)
    room = math.log10(high / low)
    values = _ticks(low, high)
    if room < 0.3:
        values = [0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.4, 1.6, 1.8]
    return {
        "tickvals": values,
        "ticktext": [f"{value:g}" for value in values],
        "range": [math.log10(low) - 0.06 * room, math.log10(high) + 0.06 * room],
    }


def _ticks(low: float, high: float) -> list[float]:
    """Round values of a logarithmic axis, some five to ten of them."""
    room = math.log10(high / low)
    steps: tuple[float, ...] = (1, 1.5, 2, 3, 5, 7) if room < 1 else (1, 2, 5) if room < 2.5 else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [round(step * 10.0**power, 9) for power in powers for step in steps]


def _efficiency(groups: Sequence[Group], looks: Mapping[str, int]) -> Plot | None:
    data: list[Json] = []
    for target, look in looks.items():
        points = []
        for group in groups:
            for row in group.rows:
                cpu, p99 = (row.figures[name].value if name in row.figures else None for name in (_CPU, _P99))
                if row.target == target and cpu and p99:
                    points.append((group.letter, 1e6 / cpu, p99 / NS_PER_S))
        if points:
            data.append(
                {
                    "type": "scatter",
                    "mode": "markers+text" if len(groups) <= len(_AROUND) else "markers",
                    "name": _plain(target),
                    "x": [x for _, x, _ in points],
                    "y": [y for _, _, y in points],
                    "text": [letter for letter, _, _ in points],
                    "textposition": [
                        _AROUND[string.ascii_uppercase.index(letter[0]) % len(_AROUND)] for letter, _, _ in points
                    ],
                    "marker": {"color": _colour(look), "symbol": _SYMBOLS[look % len(_SYMBOLS)], "size": 9},
                    "hovertemplate": "%{text}: %{x:,.3s} messages/CPU s, p99 %{y:.3s}s",
                }
            )
    if not data:
        return None
    how = (
        "Messages that the target handles with a second of its CPU time, against its p99. Right is cheaper, down is "
        "faster: the best are at the bottom right. Letters are conditions, see the table."
    )
    xs = [x for each in data for x in each["x"]]
    layout: Json = {
        "xaxis": {"type": "log", "title": {"text": "messages per CPU second"}, **_thousands(xs)},
        "yaxis": latency_axis("response p99", [y for each in data for y in each["y"]]),
        "hovermode": "closest",
        "showlegend": True,
    }
    return Plot("efficiency", "Efficiency", how, data, layout, 420)


def _thousands(values: Sequence[float]) -> Json:
    ticks = _ticks(min(values), max(values))
    return {"tickvals": ticks, "ticktext": [f"{tick:g}" if tick < 1 else format_count(tick) for tick in ticks]}


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]


def _dash(number: int) -> str:
    return (
        _DASHES[number // len(_COLOURS) % len(_DASHES)] if number >= len(_COLOURS) else _DASHES[number % len(_DASHES)]
    )


def _plain(text: str) -> str:
    """A name that plotly, which knows some HTML, shows as it is."""
    return html.escape(text, quote=False)
