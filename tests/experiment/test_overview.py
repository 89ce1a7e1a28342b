"""From runs to an overview: medians, ratios to the baseline, faults."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.comparisons import cell, run_with, spread_runs, write_experiment
from msgspec.structs import replace

from wsbench.experiment.overview import make_overview
from wsbench.results import experiment_result
from wsbench.results.experiment_result import Cell, Load
from wsbench.results.overview_result import FIGURES, Overview, OverviewRow
from wsbench.results.run_result import (
    ConnectionCounts,
    Generator,
    Latency,
    MessageCounts,
    NegotiatedWith,
    Run,
    TargetResult,
)


def using(run: Run, *, cpu_us: float | None, memory: int | None) -> Run:
    return replace(run, target=TargetResult("t", "1", True, 1.0, cpu_us, 1_000_000, memory))


def overview_of(where: Path, *cells: tuple[Cell, list[Run | str]], baseline: str | None = "base") -> Overview:
    experiment = replace(experiment_result.load(write_experiment(where, cells)), baseline=baseline)
    return make_overview(experiment, where)


def values(row: OverviewRow) -> list[float | None]:
    return [row.figures[name].value for name in FIGURES]


def test_figures_are_medians_over_runs(tmp_path: Path) -> None:
    runs = [
        using(run_with(per_s=per_s, p50_ns=p50, p99_ns=2 * p50, p99_9_ns=3 * p50), cpu_us=cpu, memory=memory)
        for per_s, p50, cpu, memory in ((900.0, 50, 9.0, 100), (1000.0, 70, 2.0, 300), (5000.0, 60, 3.0, 200))
    ]
    service = Latency(count=20_000, p50_ns=1, p99_ns=2, p99_9_ns=3)
    runs = [replace(run, latency={**run.latency, "service": service}, messages_all_phases=run.messages) for run in runs]
    (row,) = overview_of(tmp_path / "e", (cell("base"), runs)).rows
    assert values(row) == [1000.0, 60, 120, 180, 1, 2, 3, 3.0, 200]
    assert (row.asked, row.done, row.lost, row.corrupted) == (3, 3, 0, 0)
    assert row.conditions == "ws, compression off, 128 B, 50 connections, open loop, 1,000 messages/s, constant"
    assert all(figure.ratio is None for figure in row.figures.values())


def test_ratios_are_to_the_baseline_under_the_same_conditions(tmp_path: Path) -> None:
    found = overview_of(
        tmp_path / "e",
        (cell("base"), [using(run, cpu_us=10.0, memory=1000) for run in spread_runs(5, 1)]),
        (cell("new"), [using(run, cpu_us=5.0, memory=4000) for run in spread_runs(5, 2, factor=2.0)]),
        (cell("new", payload_size=4096), [run_with()] * 5),
    )
    base, new, elsewhere = found.rows
    assert {figure.ratio for figure in (*base.figures.values(), *elsewhere.figures.values())} == {None}
    for name, wanted in (
        ("throughput_per_s", 1.0),
        ("response_p50_ns", 2.0),
        ("response_p99_ns", 2.0),
        ("response_p99.9_ns", 2.0),
        ("target_cpu_us_per_message", 0.5),
        ("target_bytes_per_connection", 4.0),
    ):
        ratio = new.figures[name].ratio
        assert ratio is not None
        assert ratio.low <= wanted <= ratio.high
        assert ratio.ratio == pytest.approx(wanted, rel=0.03)
        assert ratio.high / ratio.low < 1.1
        assert not ratio.assumed


def test_one_run_a_side_has_an_assumed_spread(tmp_path: Path) -> None:
    found = overview_of(tmp_path / "e", (cell("base"), [run_with()]), (cell("new"), [run_with(p50_ns=100_000)]))
    ratio = found.rows[1].figures["response_p50_ns"].ratio
    assert ratio is not None
    assert ratio.assumed
    assert ratio.low < 2.0 < ratio.high


def test_a_figure_that_nobody_knows_has_no_ratio(tmp_path: Path) -> None:
    found = overview_of(
        tmp_path / "e",
        (cell("base"), [using(run_with(), cpu_us=1.0, memory=0)] * 2),
        (cell("new"), [using(run_with(p99_9_ns=None, samples=2000), cpu_us=None, memory=10)] * 2),
    )
    new = found.rows[1].figures
    assert new["target_cpu_us_per_message"].value is None
    assert new["response_p99.9_ns"].value is None
    for name in ("target_cpu_us_per_message", "target_bytes_per_connection", "response_p99.9_ns"):
        assert new[name].ratio is None
    assert new["response_p99_ns"].ratio is not None


def test_a_percentile_of_too_few_messages_has_no_ratio(tmp_path: Path) -> None:
    run = run_with(samples=999)
    runs = [replace(run, latency={**run.latency, "service": run.latency["response"]})] * 3
    found = overview_of(tmp_path / "e", (cell("base"), runs), (cell("new"), runs))
    ratios = {name for name, figure in found.rows[1].figures.items() if figure.ratio is not None}
    assert ratios == {"throughput_per_s", "response_p50_ns", "service_p50_ns"}


def test_what_went_wrong_is_counted_over_all_runs_and_phases(tmp_path: Path) -> None:
    wrong = MessageCounts(sent=9, received=8, lost=1, corrupted=2, duplicated=3, reordered=4, unexpected=5, missed=6)
    bad = replace(
        run_with(), messages_all_phases=wrong, connections=ConnectionCounts(asked=2, opened=1, failed=1, dropped=7)
    )
    good = replace(run_with(), messages_all_phases=MessageCounts(), connections=ConnectionCounts())
    saturated = replace(good, generator=Generator("saturated"))
    (row,) = overview_of(tmp_path / "e", (cell("base"), [bad, bad, saturated, "it died", "it died"])).rows
    assert (row.asked, row.done, row.failures) == (5, 3, ["it died"])
    assert (row.lost, row.corrupted) == (2, 4)
    assert row.wrong == {"duplicated": 6, "reordered": 8, "unexpected": 10, "missed": 12}
    assert row.verdicts == {"saturated": 1}
    assert row.remarks == ["2 connections failed", "14 connections dropped"]


@pytest.mark.parametrize(("granted", "remarks"), [(None, ["no compression granted"]), ("permessage-deflate", [])])
def test_compression_that_was_not_granted(tmp_path: Path, granted: str | None, remarks: list[str]) -> None:
    compressed = replace(cell("base"), compression="on")
    run = replace(run_with(), negotiated=NegotiatedWith(compression=granted), connections=ConnectionCounts(50, 50))
    (row,) = overview_of(tmp_path / "e", (compressed, [run])).rows
    assert row.remarks == remarks


def test_holes_and_cells_without_a_run(tmp_path: Path) -> None:
    closed = replace(cell("new"), load=Load("closed", in_flight=4), key="closed")
    hole = cell("tiny", hole="tiny has no TLS")
    found = overview_of(tmp_path / "e", (closed, ["no"]), (hole, []), (cell("base"), [run_with()]), baseline=None)
    failed, never, done = found.rows
    assert (failed.figures, failed.done, failed.asked, failed.open_loop) == ({}, 0, 1, False)
    assert failed.conditions.endswith("closed loop, 4 in flight")
    assert (never.hole, never.asked) == ("tiny has no TLS", 0)
    assert done.open_loop
