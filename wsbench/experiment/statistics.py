"""Is NEW slower than BASE? From the figures of single runs to ratios, intervals and verdicts.

The unit is the run: messages of one run share its moment, its memory layout and its neighbours, so that a million of
them are one observation of what differs from run to run. Figures are compared by their logarithms, in which run-to-run
spread is near normal and a ratio is a difference; the ratio reported is that of the geometric means, NEW / BASE.

Interval. Welch's t interval for the difference of two means of unequal variance [1], on the logarithms. No bootstrap:
with three runs a side, resampling sees too few different samples and its intervals come out too narrow. Of pairs
without any difference, these shares fell outside a 95 % interval (log-normal spread; in brackets: one run in ten far
off):

    runs a side     Welch         studentised    BCa          percentile bootstrap
    3               4 %  (2 %)    3 %  (2 %)     16 % (24 %)  22 % (22 %)
    5               5 %  (3 %)    6 %  (5 %)     12 % (21 %)  12 % (14 %)
    10              5 %  (4 %)    5 %  (8 %)      7 %  (8 %)   9 % (10 %)

Decision. Every metric has a margin m: a ratio within [1 / (1 + m), 1 + m] matters to nobody. At confidence 1 - a:

    slower         the ratio is beyond the margin on its bad side (above for a latency, below for throughput): the test
                   of "|log ratio| <= log(1 + m)", twice the smaller one-sided p, is at most a after Holm's
                   correction [2]; for one comparison alone: the whole interval lies beyond the margin
    faster         the same on the good side
    no difference  the whole interval lies within the margin (two one-sided tests [3], each at a / 2)
    inconclusive   neither; with the number of runs that would settle it if spread and ratio stay as they are

Holm's correction is over all metrics of all pairs, so that a is the chance of a single false alarm in the whole
comparison. "No difference" needs none: it is said of each metric by itself, and of the whole only where all agree.
The margins are symmetric in the logarithm: BASE and NEW exchanged, verdicts are exchanged and nothing else.

One run a side has no spread to be measured: an assumed one stands in, or the other side's where that is larger, with
normal quantiles, and the metric says so. Spread under RESOLUTION is not believed: figures have three digits.

Where a percentile fell among the lost messages it has no value (None) but is worse than any: when all runs of one side
are so and none of the other, that is the verdict, without a test; when some are, nothing can be said.

[1] B. L. Welch, Biometrika 34 (1947) 28-35   [2] S. Holm, Scandinavian Journal of Statistics 6 (1979) 65-70
[3] D. J. Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15 (1987) 657-680
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy.special import stdtr, stdtrit

from wsbench.results.comparison_result import Metric, Verdict

THROUGHPUT = "throughput"
MARGINS = {THROUGHPUT: 0.05, "p50": 0.05, "p99": 0.10, "p99.9": 0.15}
ASSUMED_SPREAD = {THROUGHPUT: 0.15, "p50": 0.15, "p99": 0.40, "p99.9": 0.80}
"""Standard deviation of the logarithm from run to run, on the large side of what a shared machine shows."""
ASSUMED_SPREAD_OF_HELD_RATE = 0.01
"""Of the throughput of an open loop that kept to its rate: that is what it was told to do."""
RESOLUTION = 0.001
MOST_RUNS = 1000
"""Nobody repeats a run more often than this."""


@dataclass(frozen=True)
class Question:
    """One metric of two sides, a value a run; None: beyond any value, for the messages were lost.

    Attributes:
        assumed_spread: standard deviation of the logarithm from run to run, for where it cannot be measured.
    """

    metric: str
    base: Sequence[float | None]
    new: Sequence[float | None]
    margin: float
    assumed_spread: float


@dataclass(frozen=True)
class Estimate:
    """What is known of a ratio. All of it in logarithms, and turned so that above zero is worse for every metric.

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
        """Of the two-sided interval that errs with probability `level`."""
        return float(stdtrit(self.freedom, 1 - level / 2)) * self.error

    def p_beyond(self, limit: float) -> float:
        """Twice the smaller one-sided p of "within the limit either way"."""
        return min(1.0, 2 * float(stdtr(self.freedom, (limit - abs(self.worse)) / self.error)))

    def runs_needed(self, limit: float, level: float, level_beyond: float) -> int | None:
        """Runs a side that would decide for or against the limit, if ratio and spread were as they seem."""
        # A ratio just at the limit can never be decided; then as many as would narrow the interval to a half of it.
        gap = max(abs(abs(self.worse) - limit), limit / 4)
        chosen = level_beyond if abs(self.worse) > limit else level
        spread = math.sqrt(sum(self.variances))

        def decides(runs: int) -> bool:
            freedom = math.inf if self.assumed else 2 * (runs - 1)
            return float(stdtrit(freedom, 1 - chosen / 2)) * spread / math.sqrt(runs) <= gap

        if not decides(MOST_RUNS):
            return None
        low, high = 1, MOST_RUNS
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if decides(middle) else (middle, high)
        return high


def estimate(question: Question) -> Estimate:
    """From positive values, one a run; at least one a side, and none among the lost."""
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
    """Holm's adjusted p-values, in the order given."""
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def judge(questions: Sequence[Question], confidence: float = 0.95) -> list[Metric]:
    """A verdict on every question, in their order; corrected for how many there are."""
    level = 1 - confidence
    answers: list[Metric | Estimate] = [_among_the_lost(question) or estimate(question) for question in questions]
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
    """The answer where some runs have no value; None where all have one."""
    lost = [sum(value is None for value in values) for values in (question.base, question.new)]
    if lost == [0, 0]:
        return None
    totals = [len(question.base), len(question.new)]
    what = "nothing came back" if question.metric == THROUGHPUT else "it falls among the lost messages"
    if lost == [0, totals[1]]:
        verdict, reason = Verdict.SLOWER, f"in NEW {what}: worse than can be said"
    elif lost == [totals[0], 0]:
        verdict, reason = Verdict.FASTER, f"in BASE {what}: worse than can be said"
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


def _verdict(question: Question, found: Estimate, p: float, level: float, comparisons: int) -> Metric:
    limit = math.log1p(question.margin)
    half = found.half_width(level)
    not_slower = found.worse + half <= limit
    needed, reason = None, ""
    if p <= level:
        verdict = Verdict.SLOWER if found.worse > 0 else Verdict.FASTER
    elif abs(found.worse) + half <= limit:
        verdict = Verdict.NO_DIFFERENCE
    else:
        verdict = Verdict.INCONCLUSIVE
        needed = found.runs_needed(limit, level, level / comparisons)
        if needed is not None:
            needed = max(needed, len(question.base) + 1, len(question.new) + 1)
        alone = abs(found.worse) - half > limit
        reason = _why(found, needed, not_slower=not_slower, alone=alone, comparisons=comparisons)
    sign = -1 if question.metric == THROUGHPUT else 1
    ends = sorted(sign * (found.worse + side * half) for side in (-1, 1))
    return Metric(
        question.metric,
        verdict,
        question.margin,
        base=_mean(question.base),
        new=_mean(question.new),
        ratio=math.exp(sign * found.worse),
        low=math.exp(ends[0]),
        high=math.exp(ends[1]),
        p=p,
        spread=math.sqrt(fmean(found.variances)),
        spread_from="assumed" if found.assumed else "measured",
        not_slower=not_slower,
        runs_needed=needed,
        reason=reason,
    )


def _why(found: Estimate, needed: int | None, *, not_slower: bool, alone: bool, comparisons: int) -> str:
    runs = f"about {needed:,} runs a side would tell" if needed else f"not even {MOST_RUNS:,} runs a side would tell"
    if found.assumed:
        runs += ", were the spread as assumed"
    if alone:
        return f"beyond the margin taken alone, not as one of {comparisons} comparisons; {runs}"
    return f"not slower, but faster or equal? {runs}" if not_slower else runs
