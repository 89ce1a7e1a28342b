"""The report of an experiment: its table, its plots, and names that stay text in them."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from helpers.html_document import Document
from helpers.sample_run import RUN
from msgspec.structs import replace

from wsbench.measure.histogram import Buckets, record
from wsbench.report.html import experiment_page, experiment_plots
from wsbench.results.experiment_result import Experiment
from wsbench.results.overview_result import FIGURES, CellFigure, Overview, OverviewRow, Ratio
from wsbench.results.run_result import Run

HOSTILE = "</script><b>x</b>&amp;"
CONDITIONS = ("ws, compression off, 128 B, 50 connections, closed loop, 1 in flight", "wss, the rest as before")


def buckets(value_ns: int) -> Buckets:
    found: Buckets = {}
    for n in range(1000):
        record(found, value_ns + n)
    return found


def row(target: str, conditions: str, factor: float = 1.0, **more: object) -> OverviewRow:
    values = dict(zip(FIGURES, (1000.0, 50e3, 100e3, None, 40e3, 90e3, None, 20.0, 5000.0), strict=True))
    ratio = None if factor == 1 else Ratio(factor, factor * 0.9, factor * 1.1, assumed=False)
    figures = {name: CellFigure(None if value is None else value * factor, ratio) for name, value in values.items()}
    made = OverviewRow(f"{target} {conditions}", target, conditions, False, 3, 3, figures)
    return replace(made, **more)


def made(
    rows: list[OverviewRow],
    curves: Mapping[str, tuple[Buckets, int]] | None = None,
    example: Run | None = RUN,
    **more: object,
) -> Document:
    experiment = Experiment(
        schema=1,
        id="20261122T091500Z-compare",
        name="compare",
        complete=True,
        started="2026-11-22T09:15:00.000Z",
        wsbench="0.1.0",
        seed=7,
        baseline="base",
        cells=[],
    )
    if curves is None:
        curves = {each.key: (buckets(100_000), 0) for each in rows if each.done}
    overview = Overview("base", 0.95, rows)
    return Document(experiment_page.report(replace(experiment, **more), overview, curves, example).decode())


TWO = [
    row(target, conditions, factor) for conditions in CONDITIONS for target, factor in (("base", 1.0), ("fast", 0.5))
]


def test_plots_compare_the_targets() -> None:
    document = made(TWO)
    ratios = [f"ratio-{name}".replace(".", "-") for name in FIGURES if name in experiment_plots._RATIOS]
    assert set(document.figures()) == {"curves-A", "curves-B", "efficiency", *ratios}
    places = [attrs["id"] for tag, attrs in document.elements if tag == "figure"]
    assert sorted(map(str, places)) == sorted(document.figures())
    assert [line["name"] for line in document.figure("curves-B")["data"]] == ["base", "fast"]


def test_a_ratio_has_its_interval() -> None:
    (points,) = made(TWO).figure("ratio-response_p99_ns")["data"]
    assert (points["name"], points["x"], points["y"]) == ("fast", [0.5, 0.5], ["fast · A", "fast · B"])
    error = points["error_x"]
    assert isinstance(error, dict)
    assert (error["array"], error["arrayminus"]) == (pytest.approx([0.05, 0.05]), pytest.approx([0.05, 0.05]))
    assert "× 0.50 0.45–0.55" in made(TWO).text


def test_efficiency_is_messages_per_cpu_second_against_p99() -> None:
    base, fast = made(TWO).figure("efficiency")["data"]
    assert (base["x"], base["y"], base["text"]) == ([50_000.0, 50_000.0], [1e-4, 1e-4], ["A", "B"])
    assert (fast["x"], fast["y"]) == ([100_000.0, 100_000.0], [5e-5, 5e-5])


def test_holes_failures_and_losses_are_shown() -> None:
    rows = [
        row("base", CONDITIONS[0]),
        row("none", CONDITIONS[0], done=0, figures={}, hole="none has no TLS"),
        row("broken", CONDITIONS[0], done=0, figures={}, failures=["it did not start"]),
        row("lossy", CONDITIONS[0], 2.0, lost=1234, done=2),
    ]
    text = made(rows, complete=False).text
    for expected in (
        "Incomplete.",
        "– none has no TLS",
        "✕ broken failed: it did not start",
        "1,234",
        "LOSSES",
        "2 of 3 runs",
    ):
        assert expected in text


def test_an_experiment_without_a_run_has_a_report() -> None:
    rows = [row("base", CONDITIONS[0], done=0, figures={})]
    document = made(rows, {}, example=None, complete=False)
    assert document.figures() == []
    assert "– not run yet" in document.text


def test_names_stay_text_in_tables_and_in_plots() -> None:
    rows = [row("base", HOSTILE), row(HOSTILE, HOSTILE, 0.5, failures=[HOSTILE], remarks=[HOSTILE])]
    document = made(rows, name=HOSTILE)
    assert len(document.scripts) == 3
    assert document.text.count(HOSTILE) >= 6
    shown = json.dumps([document.figure(name)["data"] for name in document.figures()])
    assert "&lt;/script&gt;&lt;b&gt;x&lt;/b&gt;&amp;amp;" in shown and "<b>x" not in shown


def test_letters_continue_after_z() -> None:
    assert [experiment_page._letter(number) for number in (0, 25, 26, 27, 52)] == ["A", "Z", "AA", "AB", "BA"]
