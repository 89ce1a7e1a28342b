"""Is NEW slower than BASE? From the figures of single runs to ratios, intervals and verdicts.

The unit is the run. The messages of a run share its time, its memory layout and its neighbours on the machine, so a
million of them are one observation of the differences between runs. Figures are compared by their logarithms, in which
the spread from run to run is nearly normal and a ratio is a difference. The reported ratio is that of the geometric
means, NEW / BASE.

Interval. Welch's t interval for the difference of two means of unequal variance [1], on the logarithms. No bootstrap:
with three runs per side, resampling sees too few different samples, and its intervals are too narrow. Of pairs without
any difference, these shares fell outside a 95 % interval (log-normal spread; in brackets: one run in ten far off):

    runs per side   Welch         studentised    BCa          percentile bootstrap
    3               4 %  (2 %)    3 %  (2 %)     16 % (24 %)  22 % (22 %)
    5               5 %  (3 %)    6 %  (5 %)     12 % (21 %)  12 % (14 %)
    10              5 %  (4 %)    5 %  (8 %)      7 %  (8 %)   9 % (10 %)

Decision. Every metric has a margin m: a ratio within [1 / (1 + m), 1 + m] does not matter. At confidence 1 - a:

    slower         the ratio is beyond the margin on its bad side (above for a latency, below for throughput): the test
                   of "|log ratio| <= log(1 + m)", twice the smaller one-sided p, is at most a after Holm's
                   correction [2]; for one comparison alone: the whole interval lies beyond the margin
    faster         the same on the good side
    no difference  the whole interval lies within the margin (two one-sided tests [3], each at a / 2)
    inconclusive   neither; with the number of runs that would decide it, given this spread and ratio

Holm's correction covers all metrics of all pairs, so a is the chance of a single false alarm in the whole comparison.
"No difference" needs no correction: it holds for each metric alone, and for the whole only if all metrics have it.
The margins are symmetric in the logarithm: if BASE and NEW are exchanged, only the verdicts are exchanged.

With one run per side, no spread can be measured. An assumed spread is used (or the other side's, if that is larger),
with normal quantiles, and the metric states it. A spread below RESOLUTION is replaced by it: figures have three digits.

A percentile that fell among the lost messages has no value (None) and is worse than any value. If that is so in all
runs of one side and in none of the other, it decides the verdict without a test; if in some runs, the metric is
inconclusive.

[1] B. L. Welch, Biometrika 34 (1947) 28-35   [2] S. Holm, Scandinavian Journal of Statistics 6 (1979) 65-70
[3] D. J. Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15 (1987) 657-680
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy.special import stdtr, stdtrit

from wsbench.results.comparison_result import Metric, Verdict

THROUGHPUT = "throughput"
MARGINS = {THROUGHPUT: 0.05, "p50": 0.05, "p99": 0.10, "p99.9": 0.15}
ASSUMED_SPREAD = {THROUGHPUT: 0.15, "p50": 0.15, "p99": 0.40, "p99.9": 0.80}
"""Standard deviation of the logarithm from run to run: rather more than on a typical shared machine."""
ASSUMED_SPREAD_OF_HELD_RATE = 0.01
"""For the throughput of an open loop that kept to its rate: the rate determines it."""
RESOLUTION = 0.001
MOST_RUNS = 1000
"""The largest number of runs per side that is worth recommending."""


@dataclass(frozen=True)
class Question:
    """One metric of two sides, with a value per run; None is worse than any value: too many messages were lost.

    `assumed_spread` is the standard deviation of the logarithm from run to run where it cannot be measured.
    """

    metric: str
    base: Sequence[float | None]
    new: Sequence[float | None]
    margin: float
    assumed_spread: float


@dataclass(frozen=True)
class Estimate:
    """Estimate of a ratio, in logarithms; for every metric, a value above zero is worse.

    Attributes:
        variances: of a single run, of BASE and of NEW.
        freedom: degrees of freedom of t; infinite for an assumed spread.
    """

    worse: float
    error: float
    freedom: float
    variances: tuple[float, float]
    assumed: bool

    def half_width(self, level: float) -> float:
        """Return half the width of the two-sided interval with error probability `level`."""
        return float(stdtrit(self.freedom, 1 - level / 2)) * self.error

    def p_beyond(self, limit: float) -> float:
        """Return twice the smaller one-sided p of "within the limit in both directions"."""
        return min(1.0, 2 * float(stdtr(self.freedom, (limit - abs(self.worse)) / self.error)))

    def runs_needed(self, limit: float, level: float, level_beyond: float) -> int | None:
        """Return the runs per side that would decide for or against the limit, given this ratio and spread."""
        # A ratio at the limit can never be decided: then as many runs as narrow the interval to half the limit.
        gap = max(abs(abs(self.worse) - limit), limit / 4)
        chosen = level_beyond if abs(self.worse) > limit else level
        spread = math.sqrt(sum(self.variances))

        def decides(runs: int) -> bool:
            freedom = math.inf if self.assumed else 2 * (runs - 1)
            return float(stdtrit(freedom, 1 - chosen / 2)) * spread / math.sqrt(runs) <= gap

        numbers = range(2, MOST_RUNS + 1)
        place = bisect_left(numbers, True, key=decides)
        return numbers[place] if place < len(numbers) else None


def estimate_ratio(question: Question) -> Estimate:
    """Estimate the ratio from positive values: at least one run per side, and no None."""
    logs = [[math.log(value) for value in _known(values)] for values in (question.base, question.new)]
    difference = fmean(logs[1]) - fmean(logs[0])
    spreads = [max(stdev(values), RESOLUTION) for values in logs if len(values) > 1]
    assumed = len(spreads) < 2
    if assumed:
        spreads = [max([question.assumed_spread, *spreads])] * 2
    parts = [spread**2 / len(values) for spread, values in zip(spreads, logs, strict=True)]
    variance = sum(parts)
    freedom = math.inf
    if not assumed:
        freedom = variance**2 / sum(part**2 / (len(values) - 1) for part, values in zip(parts, logs, strict=True))
    worse = -difference if question.metric == THROUGHPUT else difference
    return Estimate(worse, math.sqrt(variance), freedom, (spreads[0] ** 2, spreads[1] ** 2), assumed)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values, in the same order."""
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def judge(questions: Sequence[Question], confidence: float = 0.95) -> list[Metric]:
    """Return a verdict on every question, in the same order, corrected for the number of questions."""
    level = 1 - confidence
    answers: list[Metric | Estimate] = [_among_the_lost(question) or estimate_ratio(question) for question in questions]
    estimates = [(place, answer) for place, answer in enumerate(answers) if isinstance(answer, Estimate)]
    limits = [math.log1p(question.margin) for question in questions]
    p_values = holm([answer.p_beyond(limits[place]) for place, answer in estimates])
    for (place, answer), p in zip(estimates, p_values, strict=True):
        answers[place] = _verdict(questions[place], answer, p, level, len(estimates))
    return [answer for answer in answers if isinstance(answer, Metric)]


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _mean(values: Sequence[float | None]) -> float | None:
    known = _known(values)
    if len(known) < len(values):
        return None
    return known[0] if len(known) == 1 else math.exp(fmean(map(math.log, known)))


def _among_the_lost(question: Question) -> Metric | None:
    """Return the answer if some runs have no value; None if all have one."""
    lost = [sum(value is None for value in values) for values in (question.base, question.new)]
    if lost == [0, 0]:
        return None
    totals = [len(question.base), len(question.new)]
    what = "nothing came back" if question.metric == THROUGHPUT else "the percentile falls among the lost messages"
    if lost == [0, totals[1]]:
        verdict, reason = Verdict.SLOWER, f"in NEW {what}: worse than any value"
    elif lost == [totals[0], 0]:
        verdict, reason = Verdict.FASTER, f"in BASE {what}: worse than any value"
    elif lost == totals:
        verdict, reason = Verdict.NOT_COMPARED, f"on both sides {what}"
    else:
        sides = zip(("BASE", "NEW"), lost, totals, strict=True)
        counts = " and ".join(f"{count} of {total} runs of {side}" for side, count, total in sides)
        verdict, reason = Verdict.INCONCLUSIVE, f"in {counts} {what}"
    return Metric(
        question.metric,
        verdict,
        question.margin,
        base=_mean(question.base),
        new=_mean(question.new),
        not_slower=verdict == Verdict.FASTER,
        reason=reason,
    )


def _verdict(question: Question, estimate: Estimate, p: float, level: float, comparisons: int) -> Metric:
    limit = math.log1p(question.margin)
    half = estimate.half_width(level)
    not_slower = estimate.worse + half <= limit
    needed, reason = None, ""
    if p <= level:
        verdict = Verdict.SLOWER if estimate.worse > 0 else Verdict.FASTER
    elif abs(estimate.worse) + half <= limit:
        verdict = Verdict.NO_DIFFERENCE
    else:
        verdict = Verdict.INCONCLUSIVE
        needed = estimate.runs_needed(limit, level, level / comparisons)
        if needed is not None:
            needed = max(needed, len(question.base) + 1, len(question.new) + 1)
        alone = abs(estimate.worse) - half > limit
        reason = _why(estimate, needed, not_slower=not_slower, alone=alone, comparisons=comparisons)
    sign = -1 if question.metric == THROUGHPUT else 1
    ends = sorted(sign * (estimate.worse + side * half) for side in (-1, 1))
    return Metric(
        question.metric,
        verdict,
        question.margin,
        base=_mean(question.base),
        new=_mean(question.new),
        ratio=math.exp(sign * estimate.worse),
        low=math.exp(ends[0]),
        high=math.exp(ends[1]),
        p=p,
        spread=math.sqrt(fmean(estimate.variances)),
        spread_from="assumed" if estimate.assumed else "measured",
        not_slower=not_slower,
        runs_needed=needed,
        reason=reason,
    )


def _why(estimate: Estimate, needed: int | None, *, not_slower: bool, alone: bool, comparisons: int) -> str:
    runs = f"about {needed:,}" if needed else f"not even {MOST_RUNS:,}"
    runs += " runs per side would decide" + (", if the spread is as assumed" if estimate.assumed else "")
    if alone:
        return f"beyond the margin as a single comparison, but not as one of {comparisons}; {runs}"
    return f"not slower, but either faster or equal: {runs}" if not_slower else runs
