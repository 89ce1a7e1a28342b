"""The report of a capacity: the answer, whose limit it is, latency against load, and every step."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from wsbench.experiment.load_curve import LoadPoint, load_curve
from wsbench.measure.figures import Unit
from wsbench.report.html import tables
from wsbench.report.html.page import render
from wsbench.report.html.plots import Json, Plot, latency_axis, scatter, seconds, vertical_line
from wsbench.report.text import capacity_text
from wsbench.results.capacity_result import GENERATOR, TARGET, Capacity
from wsbench.results.percentile_fields import figure_of
from wsbench.results.run_result import Run
from wsbench.run.gate_parser import parse_objective
from wsbench.run.gates import Condition
from wsbench.units import NS_PER_S, format_count, format_duration

_SERIES = (("p50", "--a", "solid"), ("p99", "--c", "dash"), ("p99.9", "--d", "dot"))
_FEWEST = {"p50": 1, "p99": 100, "p99.9": 1_000}
"""Messages without which a percentile is but the maximum."""
_MARKS = {TARGET: ("x", "--bad"), GENERATOR: ("triangle-up", "--warn")}


def report(capacity: Capacity, example: Run | None) -> bytes:
    """Return the page. `example` is any of the runs: it has the machine on which all of them ran."""
    points = load_curve(capacity.steps)
    figures = [_curve(capacity, points)] if any(point.p50_ns for point in points) else []
    return render(
        "capacity.html",
        figures,
        title=capacity.name,
        version=capacity.wsbench,
        capacity=capacity,
        figures=figures,
        points=points,
        example=example,
        mood=_mood(capacity),
        tiles=_tiles(capacity, points),
        capacity_text=capacity_text,
        tables=tables,
        count=format_count,
    )


def _mood(capacity: Capacity) -> tuple[str, str]:
    """Return the CSS class and the sign of the box with the answer."""
    if capacity.complete and capacity.answer is None:
        return "bad", "✕"
    return ("good", "✓") if capacity.limited_by == TARGET and capacity.complete else ("warn", "▲")


def _tiles(capacity: Capacity, points: Sequence[LoadPoint]) -> list[tuple[str, str]]:
    unit, answer, knee = capacity_text.load_unit(capacity), capacity.answer, capacity.knee
    at = next((point for point in points if answer and point.load == answer.load), None)
    return [
        (f"capacity, {unit}", capacity_text.format_number(answer.load if answer else None)),
        ("limited by", capacity.limited_by or "–"),
        (f"knee, {unit}", capacity_text.format_number(knee.load if knee else None)),
        ("p50 at capacity", format_duration(at.p50_ns if at else None)),
        ("p99 at capacity", format_duration(at.p99_ns if at else None)),
        ("runs", format_count(len(capacity.steps))),
    ]


def _curve(capacity: Capacity, points: Sequence[LoadPoint]) -> Plot:
    data = [
        *(line for series in _SERIES if any((line := _line(points, *series))["y"])),
        *_objectives(capacity, points),
        *_failed(capacity, points),
        *_knee(capacity),
    ]
    how = (
        "`response` by load, median over the runs at a load. Latency is flat as long as the target keeps up; above the "
        f"knee, messages queue up. Knee: {capacity_text.describe_knee(capacity)}. The vertical line is the capacity. "
        "A line has a gap where too many messages were lost, or too few measured for that percentile."
    )
    unit = capacity_text.load_unit(capacity)
    axis = {"title": {"text": unit}, "unifiedhovertitle": {"text": f"%{{x:,.4~r}} {unit}"}}
    layout: Json = {
        "xaxis": {**axis, "rangemode": "tozero", "tickformat": ",~r"},
        "yaxis": latency_axis("response", [y for each in data for y in each["y"] if y]),
        "showlegend": True,
    }
    if capacity.answer is not None:
        style = {"color": "--good", "width": 1.5, "dash": "dot"}
        layout["shapes"] = [vertical_line(capacity.answer.load, style, layer="below")]
    return Plot("load", "Latency against load", how, data, layout, 460)


def _line(points: Sequence[LoadPoint], name: str, colour: str, dash: str) -> Json:
    return scatter(
        "lines+markers",
        name,
        [point.load for point in points],
        [seconds(figure_of(point, name)) if point.due >= _FEWEST[name] else None for point in points],
        line={"color": colour, "dash": dash, "width": 2},
        marker={"color": colour, "size": 5},
        hovertemplate="%{y:.3s}s",
    )


def _objectives(capacity: Capacity, points: Sequence[LoadPoint]) -> Iterator[Json]:
    """Yield a horizontal line for each objective that limits latency."""
    for objective in _limits(capacity.objectives):
        if objective.quantity.series in ("response", "service") and objective.value:
            name, level = f"objective {objective.metric}", objective.value / NS_PER_S
            style = {"color": "--faint", "dash": "longdash", "width": 1.5}
            yield scatter("lines", name, [0, points[-1].load], [level, level], line=style, hoverinfo="skip")


def _limits(objectives: Sequence[str]) -> Iterator[Condition]:
    """Yield the objectives on durations."""
    for text in objectives:
        with contextlib.suppress(ValueError):  # wsbench 0.1 took durations without a unit
            if (objective := parse_objective(text)).unit is Unit.DURATION:
                yield objective


def _failed(capacity: Capacity, points: Sequence[LoadPoint]) -> Iterator[Json]:
    for outcome, (symbol, colour) in _MARKS.items():
        failed = [point for point in points if point.outcome == outcome]
        if failed:
            latencies = [seconds(point.p99_ns or capacity.conditions.timeout_ns) for point in failed]
            style = {"color": colour, "symbol": symbol, "size": 11}
            loads = [point.load for point in failed]
            yield scatter("markers", capacity_text.OUTCOMES[outcome], loads, latencies, marker=style, hoverinfo="skip")


def _knee(capacity: Capacity) -> Iterator[Json]:
    if capacity.knee is not None:
        load, p99 = capacity.knee.load, seconds(capacity.knee.p99_ns)
        style = {"color": "--ink", "symbol": "diamond-open", "size": 14, "line": {"width": 2}}
        yield scatter("markers", "knee", [load], [p99], marker=style, hoverinfo="skip")
