"""The result of `wsbench compare`, as its reports show it and as `--json` prints it.

wsbench.experiment makes it; wsbench.report and the command line read it. As with run.json: add fields, never give one
another meaning.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

SCHEMA = 1


class Verdict(StrEnum):
    """NEW against BASE. `wsbench.experiment.statistics` has the rules."""

    FASTER = "faster"
    SLOWER = "slower"
    NO_DIFFERENCE = "no difference"
    INCONCLUSIVE = "inconclusive"
    NOT_COMPARED = "not compared"


class Metric(msgspec.Struct, frozen=True):
    """One figure of BASE and NEW.

    Attributes:
        metric: "throughput" (messages a second) or a percentile of the series `response` (ns).
        base, new: geometric means over the runs of a side; None where a percentile fell among the lost messages.
        ratio: NEW / BASE; `low` and `high` bound it at the comparison's level of confidence.
        margin: differences up to this share do not matter.
        p: probability that chance alone goes this far beyond the margin, corrected for the number of comparisons
            (Holm).
        spread: from run to run, as the standard deviation of the logarithm; None when it was not needed.
        spread_from: "measured" or "assumed".
        not_slower: NEW is not slower by more than the margin, even if its verdict is inconclusive.
        runs_needed: runs per side that would decide an inconclusive metric; None when more runs would not.
        reason: why there is no (better) verdict.
    """

    metric: str
    verdict: Verdict
    margin: float
    base: float | None = None
    new: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    spread: float | None = None
    spread_from: str | None = None
    not_slower: bool = False
    runs_needed: int | None = None
    reason: str = ""


class Pair(msgspec.Struct, frozen=True):
    """Two sides under the same conditions: lists of run ids, and what their figures say.

    Attributes:
        key: the pair's name among the pairs of an experiment.
        reason: why nothing was compared.
        missing: whether that leaves the comparison incomplete.
    """

    key: str
    base: list[str] = []
    new: list[str] = []
    metrics: list[Metric] = []
    reason: str = ""
    missing: bool = False


class ComparisonSide(msgspec.Struct, frozen=True):
    """BASE or NEW: the argument (`given`), its kind ("run" or "experiment"), and its targets."""

    given: str
    kind: str
    id: str
    targets: list[str] = []


class Comparison(msgspec.Struct, frozen=True):
    """The whole comparison.

    Attributes:
        said: the verdict in a sentence.
        series: the latency series compared.
        confidence: of the intervals; 1 - confidence is the chance of a false alarm anywhere in the comparison.
        anyway: whether it was requested with --anyway; `differences` are the reasons for which it would be refused.
        notes: facts that limit how far the verdict holds.
    """

    schema: int
    wsbench: str
    base: ComparisonSide
    new: ComparisonSide
    verdict: Verdict
    said: str
    series: str
    confidence: float
    anyway: bool
    differences: list[str]
    notes: list[str]
    pairs: list[Pair]


def overall_verdict(pairs: list[Pair]) -> Verdict:
    """Return the verdict of all pairs: slower if any metric is; faster if one is and no other may be slower."""
    metrics = [metric for pair in pairs for metric in pair.metrics if metric.verdict != Verdict.NOT_COMPARED]
    verdicts = {metric.verdict for metric in metrics}
    if Verdict.SLOWER in verdicts:
        return Verdict.SLOWER
    if not metrics or any(pair.missing for pair in pairs):
        return Verdict.INCONCLUSIVE
    if Verdict.FASTER in verdicts and all(metric.not_slower for metric in metrics):
        return Verdict.FASTER
    return Verdict.INCONCLUSIVE if Verdict.INCONCLUSIVE in verdicts else Verdict.NO_DIFFERENCE
