"""The plots of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from wsbench.measure.histogram import Buckets
from wsbench.report import series_labels
from wsbench.report.html.heat_map import HeatMap
from wsbench.report.html.plots import Json, PercentileSeries, Plot, latency_axis, line, packed, percentile_plot, seconds
from wsbench.report.html.timeline_reader import Moment, Timeline
from wsbench.results.run_result import Run
from wsbench.units import NS_PER_S

_STYLES = {
    "response": ("--a", "solid"),
    "service": ("--b", "dash"),
    "send_lag": ("--c", "dot"),
    "read_lag": ("--d", "dashdot"),
    "connect": ("--a", "solid"),
    "tcp": ("--b", "dash"),
    "tls": ("--c", "dot"),
    "upgrade": ("--d", "dashdot"),
}
_DASHES = ("solid", "dash", "dot", "dashdot")
_PALETTE = [(colour, dash) for dash in _DASHES for colour in ("--a", "--b", "--c", "--d")]
"""Styles of a scenario's custom series."""
_PHASES = {"ramp": "ramp", "warmup": "warm-up", "measure": "measure", "drain": "drain"}
_LABELLED_SHARE = 0.08
_PREFIXES = ("", "k", "M", "G", "T", "P", "E")


def main_plots(run: Run, series: Mapping[str, Buckets], heat: HeatMap | None, over_time: Timeline) -> list[Plot]:
    """Return the plots of latency and load that have data."""
    how = (
        "The share of messages that were faster than a latency. Each step to the right adds a nine. "
        "Lower is better. A curve that rises at the end shows a tail."
    )
    if run.latency["response"].lost:
        how += " Lost messages rank last: the curves end where they begin."
    names = series_labels.message_series(run)
    plots = [_percentiles("percentiles", "Latency by percentile", how, run, names, series, height=400)]
    names, how = series_labels.scenario_series(run), "As above, for the series that the scenario defines."
    plots.append(_percentiles("scenario", "The scenario's series", how, run, names, series, height=400))
    return [plot for plot in (*plots, _heat(heat, over_time), *_load(over_time)) if plot is not None]


def connect_plot(run: Run, series: Mapping[str, Buckets]) -> Plot | None:
    """Return the plot of the time that connections took to open, and of its parts."""
    how = "As above, but over connections: the time of TCP, TLS and the WebSocket upgrade, and the total."
    return _percentiles("connecting", "Connect phases", how, run, series_labels.connect_series(run), series)


def _percentiles(
    plot_id: str, title: str, how: str, run: Run, names: Sequence[str], series: Mapping[str, Buckets], height: int = 340
) -> Plot | None:
    """Return the percentile curves of these series; None if all are empty."""
    lines: list[PercentileSeries] = []
    for name in names:
        if buckets := series.get(name):
            style = _STYLES.get(name) or _PALETTE[len(lines) % len(_PALETTE)]
            lines.append(PercentileSeries(series_labels.label(name), *style, buckets, run.latency[name].lost))
    return Plot(plot_id, title, how, *percentile_plot(lines), height) if lines else None


def _heat(heat: HeatMap | None, over_time: Timeline) -> Plot | None:
    if heat is None:
        return None
    scale, time_axis = _time_axis(over_time.end_s)
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
            "y": 1.02,
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
        "percentile is among lost messages."
    )
    layout: Json = {
        "xaxis": time_axis,
        "yaxis": latency_axis("response", [edge / NS_PER_S for edge in heat.latency_edges_ns]),
    }
    return Plot("heat", "Latency over time", how, [colours, *lines], layout, height=400)


def _load(over_time: Timeline) -> list[Plot]:
    moments = over_time.moments
    if not moments:
        return []
    scale, time_axis = _time_axis(over_time.end_s)
    times = [edge / scale for moment in moments for edge in (moment.start_s, moment.end_s)]
    phases = _phases(moments, scale)

    def steps(name: str, values: Sequence[float | None], colour: str, dash: str, hover: str) -> Json:
        return line(name, times, [value for value in values for _ in range(2)], colour, dash, hover=hover)

    def layout(title: str, **more: Any) -> Json:
        axis = {"title": {"text": title}, "rangemode": "tozero", "tickformat": "~s", **more}
        return {"xaxis": time_axis, "yaxis": axis, **phases}

    rates = [
        steps("sent", [moment.sent_per_s for moment in moments], "--c", "dot", "%{y:,.1f}/s"),
        steps("received", [moment.received_per_s for moment in moments], "--a", "solid", "%{y:,.1f}/s"),
    ]
    if any(moment.lost for moment in moments):
        lost = [moment.lost / (moment.end_s - moment.start_s or 1.0) for moment in moments]
        rates.append(steps("lost", lost, "--bad", "dash", "%{y:,.1f}/s"))
    how = (
        "Messages by the second in which they were due. The lines of sent and received coincide as long as the server "
        "answers every message. Shaded phases do not count."
    )
    plots = [Plot("throughput", "Throughput over time", how, rates, layout("messages/s"))]
    open_ = [steps("open", [float(moment.connections) for moment in moments], "--b", "solid", "%{y:,.0f}")]
    how = "Open connections at the end of every second."
    plots.append(Plot("connections", "Connections over time", how, open_, layout("connections"), 260))
    busy = [moment.cpu_percent for moment in moments]
    if any(value is not None for value in busy):
        cpu = [steps("busiest worker", busy, "--d", "solid", "%{y:.0f} %")]
        how = "CPU of the busiest worker, in percent of a core. Near 100 %, the generator is the limit, not the server."
        top = max(100.0, *(value for value in busy if value is not None))
        axis = layout("CPU of one core", ticksuffix=" %", range=[0, top * 1.05])
        plots.append(Plot("cpu", "The generator's CPU", how, cpu, axis, 260))
    return plots


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


def _time_axis(end_s: float) -> tuple[float, Json]:
    """Return the seconds per unit of the time axis, and the axis."""
    scale, unit = (1.0, "s") if end_s <= 180 else (60.0, "min") if end_s <= 3 * 3600 else (3600.0, "h")
    title = {"text": f"time since the start ({unit})"}
    return scale, {"title": title, "unifiedhovertitle": {"text": f"%{{x:.4~r}} {unit}"}}
