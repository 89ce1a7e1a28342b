"""Ratios, intervals and verdicts: against scipy, by symmetry, and by their rate of errors."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from wsbench.experiment.statistics import (
    ASSUMED_SPREAD,
    MARGINS,
    MOST_RUNS,
    RESOLUTION,
    THROUGHPUT,
    Question,
    holm,
    judge,
)
from wsbench.results.comparison_result import Metric, Verdict

SPREADS = {THROUGHPUT: 0.05, "p50": 0.08, "p99": 0.2, "p99.9": 0.4}
"""From run to run, of the logarithm: what repeated runs on a shared machine have."""
MIRRORED = {Verdict.SLOWER: Verdict.FASTER, Verdict.FASTER: Verdict.SLOWER}


def ask(metric: str, base: list[float | None], new: list[float | None], margin: float | None = None) -> Question:
    return Question(metric, base, new, MARGINS[metric] if margin is None else margin, ASSUMED_SPREAD[metric])


def answer(metric: str, base: list[float | None], new: list[float | None], margin: float | None = None) -> Metric:
    (found,) = judge([ask(metric, base, new, margin)])
    return found


def side(rng: random.Random, runs: int, *, factor: float = 1.0, outliers: float = 0.0) -> dict[str, list[float | None]]:
    """Figures of runs: log-normal, alike within a run (a slow moment is slow in all of them); some runs far off."""
    figures: dict[str, list[float | None]] = {metric: [] for metric in SPREADS}
    for _ in range(runs):
        moment = rng.gauss(0, 1)
        off = 5 if rng.random() < outliers else 0
        for metric, spread in SPREADS.items():
            by = math.exp(spread * (0.6 * moment + 0.8 * rng.gauss(0, 1) + off))
            figures[metric].append(1000 / by / factor if metric == THROUGHPUT else 1000 * by * factor)
    return figures


def compared(
    rng: random.Random, runs: int, margin: float | None, *, factor: float = 1.0, outliers: float = 0.0
) -> list[Metric]:
    base, new = side(rng, runs, outliers=outliers), side(rng, runs, factor=factor, outliers=outliers)
    return judge([ask(metric, base[metric], new[metric], margin) for metric in SPREADS])


# -- how often it is wrong ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("margin", "outliers"), [(None, 0.0), (0.0, 0.0), (0.0, 0.1)], ids=["default-margins", "no-margin", "outliers"]
)
@pytest.mark.parametrize("runs", [3, 5, 10])
def test_a_against_a_raises_no_more_false_alarms_than_stated(runs: int, margin: float | None, outliers: float) -> None:
    """A pair without any difference; an alarm is "faster" or "slower" in any of its metrics. Stated: 5 %."""
    rng = random.Random(20261122 + runs)
    pairs = 1000
    alarms = sum(
        any(found.verdict in MIRRORED for found in compared(rng, runs, margin, outliers=outliers)) for _ in range(pairs)
    )
    assert alarms / pairs <= 0.05


@pytest.mark.parametrize("runs", [3, 5, 10])
def test_intervals_hold_the_true_ratio_as_often_as_stated(runs: int) -> None:
    rng = random.Random(runs)
    found = [metric for _ in range(400) for metric in compared(rng, runs, None, factor=1.3)]
    true = {metric: 1 / 1.3 if metric == THROUGHPUT else 1.3 for metric in SPREADS}
    held = sum((each.low or 0) <= true[each.metric] <= (each.high or 0) for each in found)
    assert held / len(found) >= 0.94


@pytest.mark.parametrize("runs", [3, 5, 10])
def test_a_difference_as_large_as_the_margin_is_seldom_called_none(runs: int) -> None:
    rng = random.Random(runs)
    margin = 0.25
    wrong = sum(
        found.verdict == Verdict.NO_DIFFERENCE
        for _ in range(500)
        for found in compared(rng, runs, margin, factor=1 + margin)
    )
    assert wrong / (500 * len(SPREADS)) <= 0.05


def test_a_large_difference_is_found() -> None:
    rng = random.Random(1)
    for _ in range(50):
        found = {metric.metric: metric.verdict for metric in compared(rng, 5, None, factor=1.8)}
        assert (found[THROUGHPUT], found["p50"]) == (Verdict.SLOWER, Verdict.SLOWER)


# -- intervals and decisions -------------------------------------------------------------------------------------------


def test_the_interval_is_welchs() -> None:
    base, new = [100.0, 104.0, 97.0], [120.0, 131.0, 118.0, 125.0, 140.0]
    found = answer("p50", [*base], [*new])
    test = ttest_ind([math.log(value) for value in new], [math.log(value) for value in base], equal_var=False)
    interval = test.confidence_interval(0.95)
    assert found.low == pytest.approx(math.exp(interval.low), rel=1e-9)
    assert found.high == pytest.approx(math.exp(interval.high), rel=1e-9)
    assert (found.spread_from, found.verdict) == ("measured", Verdict.SLOWER)
    assert answer("p50", [*base], [*new], margin=0.0).p == pytest.approx(test.pvalue, rel=1e-9)


@pytest.mark.parametrize(
    ("new", "margin", "verdict", "not_slower"),
    [
        ([120.0, 121.0, 122.0], 0.05, Verdict.SLOWER, False),
        ([120.0, 121.0, 122.0], 0.30, Verdict.NO_DIFFERENCE, True),
        ([120.0, 121.0, 122.0], 0.20, Verdict.INCONCLUSIVE, False),
        ([80.0, 81.0, 82.0], 0.05, Verdict.FASTER, True),
        ([95.0, 96.0, 97.0], 0.05, Verdict.INCONCLUSIVE, True),
        ([99.0, 100.0, 101.0], 0.05, Verdict.NO_DIFFERENCE, True),
        ([60.0, 100.0, 170.0], 0.05, Verdict.INCONCLUSIVE, False),
    ],
)
def test_decisions(new: list[float | None], margin: float, verdict: Verdict, not_slower: bool) -> None:
    base: list[float | None] = [99.0, 100.0, 101.0]
    found = answer("p50", base, new, margin)
    assert (found.verdict, found.not_slower) == (verdict, not_slower)
    assert found.low is not None and found.high is not None
    beyond = found.low > 1 + margin or found.high < 1 / (1 + margin)
    assert beyond == (verdict in MIRRORED)
    assert bool(found.reason) == (verdict == Verdict.INCONCLUSIVE)


def test_less_throughput_is_slower() -> None:
    found = answer(THROUGHPUT, [1000.0, 1010.0, 990.0], [700.0, 705.0, 695.0])
    assert found.verdict == Verdict.SLOWER
    assert found.ratio == pytest.approx(0.7, rel=0.01)
    assert found.low is not None and found.high is not None and found.low < 0.7 < found.high < 1
    assert answer(THROUGHPUT, [700.0, 705.0, 695.0], [1000.0, 1010.0, 990.0]).verdict == Verdict.FASTER


positive = st.floats(1, 1e9)


@given(st.sampled_from(sorted(MARGINS)), *[st.lists(positive, min_size=1, max_size=6)] * 2)
def test_exchanged_sides_exchange_the_verdict(metric: str, base: list[float | None], new: list[float | None]) -> None:
    one, other = answer(metric, base, new), answer(metric, new, base)
    assert other.verdict == MIRRORED.get(one.verdict, one.verdict)
    assert one.ratio is not None and one.low is not None and one.high is not None
    assert other.ratio == pytest.approx(1 / one.ratio, rel=1e-6)
    assert other.low == pytest.approx(1 / one.high, rel=1e-6)
    assert one.low <= one.ratio <= one.high


def test_figures_without_any_spread() -> None:
    found = answer("p50", [24_127.0] * 3, [24_127.0] * 3)
    assert (found.verdict, found.ratio, found.spread) == (Verdict.NO_DIFFERENCE, 1.0, RESOLUTION)
    assert answer("p50", [24_127.0] * 3, [30_000.0] * 3).verdict == Verdict.SLOWER


# -- many comparisons --------------------------------------------------------------------------------------------------


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_one_of_many_must_be_clearer_than_one_alone() -> None:
    clear = ask("p50", [99.0, 100.0, 101.0], [110.0, 111.0, 114.0])
    dull = ask("p50", [60.0, 100.0, 170.0], [60.0, 100.0, 170.0])
    assert judge([clear])[0].verdict == Verdict.SLOWER
    found = judge([clear, *[dull] * 40])[0]
    assert found.verdict == Verdict.INCONCLUSIVE
    assert "but not as one of 41" in found.reason
    assert found.low is not None and found.low > 1.05


# -- one run a side ----------------------------------------------------------------------------------------------------


def test_one_run_a_side_rests_on_an_assumed_spread() -> None:
    slower, equal = answer("p50", [50.0], [2050.0]), answer("p50", [50.0], [50.0])
    assert (slower.verdict, slower.spread, slower.spread_from) == (Verdict.SLOWER, ASSUMED_SPREAD["p50"], "assumed")
    assert equal.verdict == Verdict.INCONCLUSIVE
    half = 1.959964 * ASSUMED_SPREAD["p50"] * math.sqrt(2)
    assert equal.high == pytest.approx(math.exp(half), rel=1e-6)
    assert "if the spread is as assumed" in equal.reason


def test_one_run_against_several_takes_the_larger_spread() -> None:
    assert answer("p50", [50.0], [50.0, 51.0, 52.0]).spread == ASSUMED_SPREAD["p50"]
    wild = answer("p50", [50.0], [20.0, 50.0, 150.0])
    assert (wild.spread_from, wild.spread) == ("assumed", pytest.approx(1.008, rel=0.01))


# -- lost messages -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "new", "verdict", "said"),
    [
        ([100.0], [None], Verdict.SLOWER, "in NEW the percentile falls among the lost messages"),
        ([None, None], [100.0, 90.0], Verdict.FASTER, "in BASE the percentile falls among the lost messages"),
        ([None], [None], Verdict.NOT_COMPARED, "on both sides"),
        ([100.0, 101.0], [None, 100.0], Verdict.INCONCLUSIVE, "0 of 2 runs of BASE and 1 of 2 runs of NEW"),
    ],
)
def test_a_percentile_among_the_lost(
    base: list[float | None], new: list[float | None], verdict: Verdict, said: str
) -> None:
    found = answer("p99.9", base, new)
    assert (found.verdict, found.ratio, found.p) == (verdict, None, None)
    assert said in found.reason
    assert found.not_slower == (verdict == Verdict.FASTER)


def test_the_lost_do_not_count_among_the_comparisons() -> None:
    questions = [ask("p99", [100.0], [None]), ask("p50", [99.0, 100.0, 101.0], [104.0, 110.0, 117.0])]
    assert judge(questions)[1].p == judge(questions[1:])[0].p


# -- how many runs it would take ---------------------------------------------------------------------------------------


def alike(runs: int, mean: float, spread: float) -> list[float | None]:
    """Return figures of this geometric mean and exactly this spread (of an even number: half above, half below)."""
    by = spread * math.sqrt((runs - 1) / runs)
    return [mean * math.exp(by if number % 2 else -by) for number in range(runs)]


def test_so_many_runs_as_were_said_to_be_needed_are_enough_and_fewer_are_not() -> None:
    needed = answer("p50", alike(4, 100, 0.1), alike(4, 100, 0.1)).runs_needed
    assert needed is not None and 10 < needed < 100
    needed += needed % 2
    assert answer("p50", alike(needed, 100, 0.1), alike(needed, 100, 0.1)).verdict == Verdict.NO_DIFFERENCE
    fewer = needed - 4
    assert answer("p50", alike(fewer, 100, 0.1), alike(fewer, 100, 0.1)).verdict == Verdict.INCONCLUSIVE


def test_more_runs_than_anybody_would_do() -> None:
    found = answer("p50", [1.0, 100.0, 10_000.0], [1.0, 100.0, 10_000.0])
    assert found.runs_needed is None
    assert f"not even {MOST_RUNS:,} runs" in found.reason
    assert answer("p50", [100.0], [100.0], margin=0.0).runs_needed is None
