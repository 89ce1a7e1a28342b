"""The report of a run."""

from __future__ import annotations

from collections.abc import Iterable

from wsbench.report import hlog, outcome_text, series_labels
from wsbench.report.html import run_plots, tables
from wsbench.report.html.heat_map import collect_latencies, heat_map
from wsbench.report.html.page import render
from wsbench.report.html.timeline_reader import read_timeline
from wsbench.report.text.summary import describe_conditions
from wsbench.results.run_result import Run

OVER_TIME = "response"
"""The series of the heat map."""


def report(run: Run, lines: Iterable[hlog.Line], timeline: bytes) -> bytes:
    """Return the report of a run from the lines of latency.hlog and the text of timeline.csv."""
    over_time = read_timeline(timeline, "timeline.csv")
    series, columns = collect_latencies(lines, over_time, OVER_TIME)
    heat = heat_map(columns, over_time)
    main = run_plots.main_plots(run, series, heat, over_time)
    connecting = run_plots.connect_plot(run, series)
    return render(
        "run.html",
        [*main, *([connecting] if connecting else [])],
        title=run.name,
        version=run.wsbench,
        run=run,
        description=describe_conditions(run),
        kind=outcome_text.kind(run),
        meaning=tables.VERDICTS.get(run.generator.verdict, ""),
        tables=tables,
        main=main,
        connecting=connecting,
        latency_series=series_labels.message_series(run),
        scenario_series=series_labels.scenario_series(run),
        connect_series=series_labels.connect_series(run),
        one_response=series_labels.response_is_service(run),
    )
