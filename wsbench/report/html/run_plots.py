"""The plots of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wsbench.measure.histogram import Buckets
from wsbench.report import series_labels
from wsbench.report.html import time_plots
from wsbench.report.html.heat_map import HeatMap
from wsbench.report.html.plots import PercentileSeries, Plot, percentile_plot
from wsbench.report.html.timeline_reader import Timeline
from wsbench.results.run_result import Run

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
    return [plot for plot in (*plots, *time_plots.time_plots(heat, over_time)) if plot is not None]


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
            lines.append(PercentileSeries(series_labels.label(run, name), *style, buckets, run.latency[name].lost))
    return Plot(plot_id, title, how, *percentile_plot(lines), height) if lines else None
