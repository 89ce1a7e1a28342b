"""The plots of a run over time. They share one axis, which covers the whole run, and the shades of its phases."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from wsbench.report.html.heat_map import HeatMap
from wsbench.report.html.plots import Json, Plot, latency_axis, line, packed, seconds
from wsbench.report.html.timeline_reader import OTHERS, Moment, Timeline
from wsbench.units import NS_PER_S

TOGETHER = "time"
"""`meta` of the plots that zoom together."""
_PHASES = {"ramp": "ramp", "warmup": "warm-up", "measure": "measure", "drain": "drain"}
_LABELLED_SHARE = 0.08
_PREFIXES = ("", "k", "M", "G", "T", "P", "E")
_ERRORS = {
    "lost": ("lost", "--bad", "dash"),
    "missed": ("missed", "--c", "dot"),
    "corrupted": ("corrupted", "--d", "dashdot"),
    "rejected": ("failed by the scenario", "--e", "dash"),
    "connect_failed": ("failed to connect", "--a", "solid"),
    "dropped": ("dropped", "--f", "solid"),
    OTHERS: ("others", "--h", "dot"),
}
"""Label and style of each kind of error."""
_MARGIN = {"l": 76, "r": 14, "t": 28, "b": 44, "pad": 2}
"""The same for all, so that an instant is at the same place in all of them."""


def time_plots(heat: HeatMap | None, over_time: Timeline) -> list[Plot]:
    """Return the plots over time that have data."""
    if not over_time.moments:
        return []
    axis = _TimeAxis(over_time)
    plots = [
        _latency(heat, over_time, axis) if heat is not None else None,
        _throughput(axis),
        _errors(axis),
        _connections(axis),
        _cpu(axis),
    ]
    return [plot for plot in plots if plot is not None]


class _TimeAxis:
    """The common axis: from the first second of the ramp to the end of the drain."""

    def __init__(self, over_time: Timeline) -> None:
        self.moments = over_time.moments
        end_s = over_time.end_s
        self.scale, unit = (1.0, "s") if end_s <= 180 else (60.0, "min") if end_s <= 3 * 3600 else (3600.0, "h")
        self._edges = [edge / self.scale for moment in self.moments for edge in (moment.start_s, moment.end_s)]
        self._common: Json = {
            "meta": TOGETHER,
            "margin": _MARGIN,
            "xaxis": {
                "title": {"text": f"time since the start ({unit})"},
                "range": [0, end_s / self.scale],
                "unifiedhovertitle": {"text": f"%{{x:.4~r}} {unit}"},
            },
            **_phases(self.moments, self.scale),
        }

    def layout(self, yaxis: Json) -> Json:
        """Return a layout with the common axis."""
        return {**self._common, "yaxis": {**yaxis, "automargin": False}}

    def counts(self, title: str, **more: Any) -> Json:
        """Return a layout for values that begin at 0."""
        return self.layout({"title": {"text": title}, "rangemode": "tozero", "tickformat": "~s", **more})

    def steps(
        self, name: str, value: Callable[[Moment], float | None], colour: str, dash: str, hover: str, **more: Any
    ) -> Json:
        """Return a line of one level a moment."""
        return {**self.line(name, self.levels(value), colour, dash, hover), **more}

    def levels(self, value: Callable[[Moment], float | None]) -> list[float | None]:
        """Return the value of each moment for its beginning and its end."""
        return [level for moment in self.moments for level in [value(moment)] * 2]

    def line(self, name: str, levels: Sequence[float | None], colour: str, dash: str, hover: str) -> Json:
        """Return a line of two levels a moment."""
        return line(name, self._edges, levels, colour, dash, hover=hover)


def _latency(heat: HeatMap, over_time: Timeline, axis: _TimeAxis) -> Plot:
    scale = axis.scale
    rows, columns = len(heat.counts), len(heat.counts[0])
    counts = [count for row in heat.counts for count in row]
    top = math.log10(max(counts))
    powers = range(math.ceil(top) + 1)
    middles = [(start + end) / 2 / scale for start, end in pairwise(heat.time_edges_s)]
    colours: Json = {
        "type": "heatmap",
        "name": "messages",
        "x": [edge / scale for edge in heat.time_edges_s],
        "y": [edge / NS_PER_S for edge in heat.latency_edges_ns],
        "z": packed([math.log10(count) if count else None for count in counts], (rows, columns)),
        "zmin": 0,
        "zmax": max(1.0, top),
        "colorscale": [[0, "--heat-0"], [0.33, "--heat-1"], [0.67, "--heat-2"], [1, "--heat-3"]],
        "hoverinfo": "skip",
        "colorbar": {
            "orientation": "h",
            "x": 1,
            "xanchor": "right",
            "y": 1.16,
            "yanchor": "bottom",
            "len": 0.45,
            "thickness": 10,
            "ypad": 0,
            "title": {"text": "messages", "side": "top", "font": {"size": 11}},
            "tickvals": list(powers),
            "ticktext": [f"{10 ** (power % 3)}{_PREFIXES[power // 3]}" for power in powers],
            "outlinewidth": 0,
        },
    }
    lines = [
        line(name, middles, [seconds(value) for value in values], colour, dash, hover="%{y:.3s}s")
        for name, colour, dash, values in (("p50", "--p50", "solid", heat.p50_ns), ("p99", "--p99", "dot", heat.p99_ns))
    ]
    per = "one second" if over_time.every_s == 1 else f"{over_time.every_s} s"
    how = (
        f"Every column is {per}. The stronger the colour, the more replies took that long (`response`, measure phase). "
        "A rising band means that the server slows down, a single column a stall. A line has a gap where the "
        "percentile is among messages that were lost or missed."
    )
    layout = axis.layout(latency_axis("response", [edge / NS_PER_S for edge in heat.latency_edges_ns]))
    return Plot("heat", "Latency over time", how, [colours, *lines], layout, height=420)


def _throughput(axis: _TimeAxis) -> Plot:
    rates = [
        axis.steps("sent", lambda moment: moment.sent_per_s, "--c", "dot", "%{y:,.1f}/s"),
        axis.steps("received", lambda moment: moment.received_per_s, "--a", "solid", "%{y:,.1f}/s"),
    ]
    if any(moment.errors["lost"] for moment in axis.moments):
        rates.append(_error_line(axis, "lost"))
    how = (
        "Messages by the second in which they were due. The lines of sent and received coincide as long as the server "
        "answers every message. Shaded phases do not count."
    )
    return Plot("throughput", "Throughput over time", how, rates, axis.counts("messages/s"))


def _errors(axis: _TimeAxis) -> Plot | None:
    kinds = [kind for kind in _ERRORS if any(moment.errors[kind] for moment in axis.moments)]
    if not kinds:
        return None
    how = (
        "Messages that were lost, missed (due, but not sent), corrupted, or whose reply the scenario failed, by the "
        "second in which they were due; failed attempts to connect or to reconnect, dropped connections and others, "
        "such as a scenario's, when they happened. The scale is logarithmic: a line at its lower end means none."
    )
    rates = [rate for moment in axis.moments for kind in kinds if (rate := moment.per_s(kind))]
    # A logarithmic axis has no 0: there, the lines lie at its lower end.
    low = 0.4 * min(rates)
    lines = [_error_line(axis, kind, low) for kind in kinds]
    ends = [math.log10(low), math.log10(max(rates)) + 0.1]
    layout = axis.layout({"type": "log", "title": {"text": "errors/s"}, "dtick": 1, "tickformat": "~g", "range": ends})
    return Plot("errors", "Errors over time", how, lines, layout, 300)


def _error_line(axis: _TimeAxis, kind: str, low: float = 0.0) -> Json:
    name, colour, dash = _ERRORS[kind]
    rates = axis.levels(lambda moment: moment.per_s(kind))
    drawn = [max(rate or 0.0, low) for rate in rates]
    return {**axis.line(name, drawn, colour, dash, "%{customdata:,.1f}/s"), "customdata": packed(rates)}


def _connections(axis: _TimeAxis) -> Plot:
    lines = [axis.steps("open", lambda moment: float(moment.connections), "--b", "solid", "%{y:,.0f}")]
    how = "Open connections at the end of every second."
    if any(moment.wanted is not None for moment in axis.moments):
        how += " Filled: those that were wanted and not open, because they were dropped or could not be opened."
        filled = {"fill": "tonexty", "fillcolor": "--gap"}
        lines.append(axis.steps("wanted", lambda moment: moment.wanted, "--faint", "dot", "%{y:,.0f}", **filled))
    return Plot("connections", "Connections over time", how, lines, axis.counts("connections"), 260)


def _cpu(axis: _TimeAxis) -> Plot | None:
    busy = [moment.cpu_percent for moment in axis.moments if moment.cpu_percent is not None]
    if not busy:
        return None
    cpu = axis.steps("busiest worker", lambda moment: moment.cpu_percent, "--d", "solid", "%{y:.0f} %")
    how = "CPU of the busiest worker, in percent of a core. Near 100 %, the generator is the limit, not the server."
    layout = axis.counts("CPU of one core", ticksuffix=" %", range=[0, max(100.0, *busy) * 1.05])
    return Plot("cpu", "The generator's CPU", how, [cpu], layout, 260)


def _phases(moments: Sequence[Moment], scale: float) -> Json:
    """Shade the phases that do not count, and label the phases that are long enough."""
    spans: dict[str, tuple[float, float]] = {}
    for moment in moments:
        start, _ = spans.get(moment.phase, (moment.start_s, 0.0))
        spans[moment.phase] = (start, moment.end_s)
    whole = max(end for _, end in spans.values()) or 1.0
    shapes = [
        {
            "type": "rect",
            "xref": "x",
            "yref": "paper",
            "x0": start / scale,
            "x1": end / scale,
            "y0": 0,
            "y1": 1,
            "fillcolor": "--shade",
            "line": {"width": 0},
            "layer": "below",
        }
        for phase, (start, end) in spans.items()
        if phase != "measure"
    ]
    names = [
        {
            "text": _PHASES.get(phase, ""),
            "x": (start + end) / 2 / scale,
            "xref": "x",
            "y": 1,
            "yref": "paper",
            "yanchor": "bottom",
            "showarrow": False,
            "font": {"size": 11, "color": "--faint"},
        }
        for phase, (start, end) in spans.items()
        if (end - start) / whole >= _LABELLED_SHARE
    ]
    return {"shapes": shapes, "annotations": names}
