"""Comparisons of stored runs and experiments: which runs are paired, the verdicts, and their sentences."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.comparisons import cell, run_with, spread_runs, write_experiment, write_run
from msgspec.structs import replace

from wsbench.errors import ResultError, UsageError
from wsbench.experiment.comparison import compare
from wsbench.experiment.statistics import MARGINS
from wsbench.results.comparison_result import Comparison, Verdict
from wsbench.results.run_result import Generator, Run
from wsbench.run.exit_codes import of_comparison


def of(base: Path | str, new: Path | str, *, anyway: bool = False) -> Comparison:
    return compare(str(base), str(new), margins=MARGINS, anyway=anyway)


def of_runs(tmp_path: Path, base: Run, new: Run, *, anyway: bool = False) -> Comparison:
    return of(write_run(tmp_path / "base", base), write_run(tmp_path / "new", new), anyway=anyway)


def verdicts(comparison: Comparison) -> dict[str, str]:
    (pair,) = comparison.pairs
    return {metric.metric: metric.verdict.value for metric in pair.metrics}


# -- two runs ----------------------------------------------------------------------------------------------------------


def test_a_much_slower_run(tmp_path: Path) -> None:
    found = of_runs(tmp_path, run_with(), run_with(p50_ns=2_050_000, p99_ns=2_100_000, p99_9_ns=None))
    assert verdicts(found) == {
        "throughput": "no difference",
        "p50": "slower",
        "p99": "slower",
        "p99.9": "slower",
    }
    assert (found.verdict, of_comparison(found)) == (Verdict.SLOWER, 1)
    assert found.said == "NEW is slower: p50 ×41, p99 ×21, p99.9"
    assert "the spread from run to run is assumed" in found.notes[0]
    assert found.pairs[0].base == ["base"] and found.pairs[0].new == ["new"]


def test_a_much_faster_run(tmp_path: Path) -> None:
    slow = run_with(p50_ns=2_050_000, p99_ns=2_100_000, p99_9_ns=None)
    found = of_runs(tmp_path, slow, run_with())
    assert (found.verdict, of_comparison(found)) == (Verdict.FASTER, 0)
    assert found.said.startswith("NEW is faster, and not slower in any metric: p50 ×0.0244")


def test_two_equal_runs_cannot_be_told_apart_nor_called_equal(tmp_path: Path) -> None:
    found = of_runs(tmp_path, run_with(), run_with())
    assert verdicts(found)["p50"] == "inconclusive"
    assert (found.verdict, of_comparison(found)) == (Verdict.INCONCLUSIVE, 5)
    assert found.said.startswith("inconclusive: undecided: p50 ×1, p99 ×1, p99.9 ×1; about ")


def test_a_rate_that_was_not_held_says_as_little_as_any_throughput(tmp_path: Path) -> None:
    held, missed = run_with(per_s=995.0), run_with(per_s=900.0)
    assert verdicts(of_runs(tmp_path / "a", held, held))["throughput"] == "no difference"
    assert verdicts(of_runs(tmp_path / "b", held, missed))["throughput"] == "inconclusive"


@pytest.mark.parametrize(
    ("samples", "compared"),
    [(9_999, ("throughput", "p50", "p99")), (999, ("throughput", "p50")), (19, ("throughput",)), (10_000, (*MARGINS,))],
)
def test_percentiles_of_too_few_messages(tmp_path: Path, samples: int, compared: tuple[str, ...]) -> None:
    found = of_runs(tmp_path, run_with(), run_with(samples=samples))
    told = verdicts(found)
    assert tuple(metric for metric in told if told[metric] != "not compared") == compared
    reasons = {metric.metric: metric.reason for metric in found.pairs[0].metrics}
    if "p99.9" not in compared:
        assert reasons["p99.9"] == f"a run has {samples:,} messages; p99.9 needs 10,000"


def test_a_run_without_anything(tmp_path: Path) -> None:
    nothing = run_with(p50_ns=None, p99_ns=None, p99_9_ns=None, samples=0, per_s=0.0)
    found = of_runs(tmp_path, nothing, nothing)
    assert (found.verdict, found.said) == (Verdict.INCONCLUSIVE, "inconclusive: nothing could be compared")
    assert of_runs(tmp_path / "b", run_with(), nothing).verdict == Verdict.SLOWER


def test_what_is_not_comparable_is_refused_or_compared_anyway(tmp_path: Path) -> None:
    new = replace(run_with(payload_size=256), generator=Generator("saturated"))
    with pytest.raises(UsageError) as refused:
        of_runs(tmp_path / "a", run_with(), new)
    assert refused.value.what.endswith("not comparable: payload: 128 B against 256 B; verdict of NEW: saturated")
    assert "--rate" in refused.value.remedy and "--anyway" in refused.value.remedy
    found = of_runs(tmp_path / "b", run_with(), new, anyway=True)
    assert (found.anyway, found.differences) == (True, ["payload: 128 B against 256 B", "verdict of NEW: saturated"])


def test_paths_of_files_are_as_good_as_directories(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", run_with())
    experiment = write_experiment(tmp_path / "e", [(cell("x"), spread_runs(3, 1))])
    assert of(run / "run.json", run).base.kind == "run"
    assert of(experiment / "experiment.json", experiment).base.kind == "experiment"
    assert of(experiment / "runs" / "0-0", experiment / "runs" / "0-1").base.kind == "run"


def test_what_is_no_result(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", run_with())
    experiment = write_experiment(tmp_path / "e", [(cell("x"), spread_runs(3, 1))])
    with pytest.raises(ResultError, match="no result at"):
        of(run, tmp_path / "nowhere")
    with pytest.raises(ResultError, match="no result at"):
        of(run, f"{tmp_path}/nowhere:x")
    with pytest.raises(UsageError, match="a run has one target"):
        of(run, f"{run}:websockets")
    with pytest.raises(UsageError, match="a run cannot be compared with an experiment"):
        of(run, experiment)
    (experiment / "experiment.json").write_text('{"schema": 2}')
    with pytest.raises(ResultError, match="not an experiment of schema 1"):
        of(experiment, experiment)


# -- experiments -------------------------------------------------------------------------------------------------------


def test_repeated_runs_have_a_spread_of_their_own(tmp_path: Path) -> None:
    base = write_experiment(tmp_path / "base", [(cell("x"), spread_runs(5, 1))])
    same = write_experiment(tmp_path / "same", [(cell("x"), spread_runs(5, 2))])
    worse = write_experiment(tmp_path / "worse", [(cell("x"), spread_runs(5, 3, factor=1.3))])
    equal, slower = of(base, same), of(base, worse)
    assert (equal.verdict, equal.said) == (Verdict.NO_DIFFERENCE, "no difference beyond the margins")
    assert verdicts(slower)["p50"] == "slower"
    assert all(metric.spread_from == "measured" for metric in slower.pairs[0].metrics)
    assert not any("assumed" in note for note in slower.notes)
    assert any(note.startswith("two experiments:") for note in slower.notes)


def test_targets_of_one_experiment_are_paired_by_their_conditions(tmp_path: Path) -> None:
    where = write_experiment(
        tmp_path / "e",
        [
            (cell("x"), spread_runs(4, 1)),
            (cell("x", payload_size=4096), spread_runs(4, 2, payload_size=4096)),
            (cell("y", payload_size=4096), spread_runs(4, 3, payload_size=4096)),
            (cell("y"), spread_runs(4, 4, factor=2.0)),
            (cell("y", payload_size=9999), spread_runs(4, 5, payload_size=9999)),
        ],
    )
    found = of(f"{where}:x", f"{where}:y")
    assert [(pair.base[:1], pair.new[:1]) for pair in found.pairs] == [(["0-0"], ["3-0"]), (["1-0"], ["2-0"]), ([], [])]
    assert [pair.key for pair in found.pairs] == [
        "x ws off 128B 50c open/1000 → y",
        "x ws off 4096B 50c open/1000 → y",
        "y ws off 9999B 50c open/1000",
    ]
    assert found.pairs[2].reason == "only NEW has it"
    assert [{metric.verdict for metric in pair.metrics} for pair in found.pairs] == [
        {Verdict.SLOWER, Verdict.NO_DIFFERENCE},
        {Verdict.NO_DIFFERENCE},
        set(),
    ]
    assert (found.base.targets, found.new.targets) == (["x"], ["y"])
    assert found.said == "NEW is slower: p50 ×1.98, p99 ×1.98, p99.9 ×1.98 in x ws off 128B 50c open/1000 → y"
    assert found.notes == []


def test_experiments_are_paired_by_target_where_they_share_one(tmp_path: Path) -> None:
    both = [(cell("x"), spread_runs(3, 1)), (cell("y"), spread_runs(3, 2, factor=3))]
    base, new = write_experiment(tmp_path / "base", both), write_experiment(tmp_path / "new", both[::-1])
    assert [(pair.base[0], pair.new[0]) for pair in of(base, new).pairs] == [("0-0", "1-0"), ("1-0", "0-0")]
    other = write_experiment(tmp_path / "other", [(cell("z"), spread_runs(3, 3))])
    with pytest.raises(UsageError, match="BASE has the targets x, y, NEW has z"):
        of(base, other)
    assert len(of(f"{base}:y", other).pairs) == 1
    with pytest.raises(UsageError, match="the experiment has no target 'q'"):
        of(f"{base}:q", other)
    elsewhere = write_experiment(tmp_path / "elsewhere", [(cell("z", payload_size=1), spread_runs(3, 3))])
    with pytest.raises(UsageError, match="no cell of"):
        of(other, elsewhere)


def test_a_cell_without_runs_leaves_it_inconclusive_and_a_hole_does_not(tmp_path: Path) -> None:
    small, large = cell("x"), cell("x", payload_size=4096)
    fine = (small, spread_runs(5, 1))
    base = write_experiment(tmp_path / "base", [fine, (large, spread_runs(5, 2, payload_size=4096))])
    failed = write_experiment(tmp_path / "failed", [fine, (large, ["it did not start", "nor now"])], complete=False)
    found = of(base, failed)
    assert (found.pairs[1].reason, found.pairs[1].missing) == ("NEW has no run of it", True)
    assert (found.verdict, of_comparison(found)) == (Verdict.INCONCLUSIVE, 5)
    assert found.said == f"inconclusive: a side has no runs of {large.key}"
    assert "NEW is an unfinished experiment" in found.notes
    assert f"{large.key}: 2 of 2 runs of NEW failed (it did not start)" in found.notes
    hole = write_experiment(tmp_path / "hole", [fine, (cell("x", payload_size=4096, hole="x has no frames"), [])])
    found = of(base, hole)
    assert (found.pairs[1].reason, found.verdict) == ("x has no frames", Verdict.NO_DIFFERENCE)


def test_differences_of_many_cells_are_named_once_or_with_their_cells(tmp_path: Path) -> None:
    cells = [cell("x", payload_size=size) for size in (1, 2, 3, 4, 5)]
    fine = [(each, spread_runs(2, 1, payload_size=each.payload_size)) for each in cells]
    base = write_experiment(tmp_path / "base", fine)
    all_late = [(each, [replace(run, generator=Generator("late")) for run in runs]) for each, runs in fine]
    with pytest.raises(UsageError) as refused:
        of(base, write_experiment(tmp_path / "all", all_late))
    assert refused.value.what.endswith("not comparable: verdict of NEW: late")
    with pytest.raises(UsageError) as refused:
        of(base, write_experiment(tmp_path / "some", [fine[0], *all_late[1:]]))
    keys = "; ".join(each.key for each in cells[1:4])
    assert refused.value.what.endswith(f"not comparable: verdict of NEW: late ({keys}; and 1 more)")
