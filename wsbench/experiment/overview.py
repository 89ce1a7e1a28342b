"""The overview of an experiment: medians over the runs of every cell, and their ratios to the baseline."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from wsbench.experiment.comparison import assumed_spread
from wsbench.experiment.sides import load_runs
from wsbench.experiment.statistics import MARGINS, THROUGHPUT, Question, judge
from wsbench.results.experiment_result import FAILED, Cell, Experiment, Load
from wsbench.results.overview_result import FIGURES, CellFigure, Overview, OverviewRow, Ratio
from wsbench.results.percentile_fields import PERCENTILES, figure_of
from wsbench.results.run_result import Run
from wsbench.units import format_count

CONFIDENCE = 0.95
_WRONG = ("duplicated", "reordered", "unexpected", "missed")


def make_overview(experiment: Experiment, directory: Path) -> Overview:
    """Return the overview of the finished runs; raise ResultError if a run cannot be read."""
    runs = {cell.key: load_runs(cell, directory) for cell in experiment.cells}
    of_baseline = {cell.conditions: runs[cell.key] for cell in experiment.cells if cell.target == experiment.baseline}
    rows = [
        _row(cell, runs[cell.key], [] if cell.target == experiment.baseline else of_baseline.get(cell.conditions, []))
        for cell in experiment.cells
    ]
    return Overview(experiment.baseline, CONFIDENCE, rows)


def without_numbers(reason: str) -> str:
    """Return the reason with `#` for every number, so that reasons that differ only in a port are equal."""
    return re.sub(r"\d+", "#", reason)


def _row(cell: Cell, runs: Sequence[Run], base: Sequence[Run]) -> OverviewRow:
    wrong = {name: sum(getattr(run.messages_all_phases, name) for run in runs) for name in _WRONG}
    failures = {without_numbers(run.reason): run.reason for run in cell.runs if run.status == FAILED and run.reason}
    return OverviewRow(
        key=cell.key,
        target=cell.target,
        conditions=_described(cell),
        open_loop=cell.load.loop == "open",
        asked=len(cell.runs),
        done=len(runs),
        figures=_figures(runs, base),
        lost=sum(run.messages_all_phases.lost for run in runs),
        corrupted=sum(run.messages_all_phases.corrupted for run in runs),
        wrong={name: count for name, count in wrong.items() if count},
        verdicts=dict(Counter(run.generator.verdict for run in runs if run.generator.verdict != "ok")),
        remarks=list(_remarks(cell, runs)),
        failures=list(failures.values()),
        hole=cell.hole,
    )


def _described(cell: Cell) -> str:
    return (
        f"{cell.transport}, compression {cell.compression}, {cell.payload_size:,} B, "
        f"{format_count(cell.connections)} connections, {_load(cell.load)}"
    )


def _load(load: Load) -> str:
    if load.loop == "closed":
        return f"closed loop, {load.in_flight} in flight"
    return f"open loop, {load.rate:,.10g} messages/s, {load.arrivals}"


def _remarks(cell: Cell, runs: Sequence[Run]) -> list[str]:
    counts = {
        "connections failed": sum(run.connections.failed for run in runs),
        "connections dropped": sum(run.connections.dropped for run in runs),
    }
    remarks = [f"{format_count(count)} {what}" for what, count in counts.items() if count]
    if cell.compression != "off" and any(run.negotiated.compression is None for run in runs):
        remarks.append("no compression granted")
    return remarks


def _figures(runs: Sequence[Run], base: Sequence[Run]) -> dict[str, CellFigure]:
    if not runs:
        return {}
    return {
        name: CellFigure(_median([_value(name, run) for run in runs]), _ratio(name, base, runs)) for name in FIGURES
    }


def _value(name: str, run: Run) -> float | None:
    values: Mapping[str, float | None] = {
        "throughput_per_s": run.throughput.received_per_s,
        "target_cpu_us_per_message": run.target.cpu_us_per_message,
        "target_bytes_per_connection": run.target.bytes_per_connection,
    }
    if name in values:
        return values[name]
    series, percentile = _of(name)
    return figure_of(run.latency[series], percentile)


def _of(name: str) -> tuple[str, str]:
    """Return the series and the percentile in the name of a latency."""
    series, percentile = name.removesuffix("_ns").split("_")
    return series, percentile


def _median(values: Sequence[float | None]) -> float | None:
    """Return the median; None if a value is missing, which is worse than any."""
    known = [value for value in values if value is not None]
    return median(known) if len(known) == len(values) else None


def _ratio(name: str, base: Sequence[Run], new: Sequence[Run]) -> Ratio | None:
    runs = (*base, *new)
    values = [[_value(name, run) for run in side] for side in (base, new)]
    known = [[value for value in side if value] for side in values]
    if not base or not new or any(len(side) < len(all_of_it) for side, all_of_it in zip(known, values, strict=True)):
        return None
    metric = _metric(name)
    if name.endswith("_ns"):
        series, _ = _of(name)
        if min(run.latency[series].due for run in runs) < PERCENTILES[metric].samples:
            return None
    question = Question(metric, known[0], known[1], MARGINS[metric], assumed_spread(metric, runs))
    (judged,) = judge([question], CONFIDENCE)
    assert judged.ratio is not None
    assert judged.low is not None
    assert judged.high is not None
    return Ratio(judged.ratio, judged.low, judged.high, judged.spread_from == "assumed")


def _metric(name: str) -> str:
    """Return the metric of `statistics` for a figure; the target's use of resources is judged like a p50."""
    if name == "throughput_per_s":
        return THROUGHPUT
    return _of(name)[1] if name.endswith("_ns") else "p50"
