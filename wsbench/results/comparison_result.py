"""The model of a comparison: what `wsbench compare` found, for those who print it and those who script against it.

Made by wsbench.experiment, read by wsbench.report and the command line. As with run.json: add to it, never repurpose.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from wsbench.errors import ExitCode

SCHEMA = 1


class Verdict(StrEnum):
    """What NEW is against BASE. `wsbench.experiment.statistics` has the rules."""

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
        p: that chance alone would go so far beyond the margin, corrected for the number of comparisons (Holm).
        spread: from run to run, as the standard deviation of the logarithm; None when none was needed.
        spread_from: "measured" or "assumed".
        not_slower: NEW is surely not slower by more than the margin, even where nothing more can be said.
        runs_needed: runs a side that would settle what is inconclusive; None when that is no matter of more runs.
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
        key: names the pair among those of an experiment.
        reason: why nothing was compared; `missing` when that leaves the comparison incomplete.
    """

    key: str
    base: list[str] = []
    new: list[str] = []
    metrics: list[Metric] = []
    reason: str = ""
    missing: bool = False


class Side(msgspec.Struct, frozen=True):
    """BASE or NEW: as it was given, its kind ("run" or "experiment"), and its targets."""

    given: str
    kind: str
    id: str
    targets: list[str] = []


class Comparison(msgspec.Struct, frozen=True):
    """All of it.

    Attributes:
        series: which latency was compared.
        confidence: of the intervals, and (as 1 - confidence) the chance of a false alarm anywhere in the comparison.
        anyway: it was asked for whatever the conditions; `differences` are those that would have refused it.
        notes: what bears on how far it holds.
    """

    schema: int
    wsbench: str
    base: Side
    new: Side
    verdict: Verdict
    said: str
    series: str
    confidence: float
    anyway: bool
    differences: list[str]
    notes: list[str]
    pairs: list[Pair]


def overall(pairs: list[Pair]) -> Verdict:
    """Slower anywhere is slower. Faster somewhere is faster if it is surely slower nowhere; and so on."""
    metrics = [metric for pair in pairs for metric in pair.metrics if metric.verdict != Verdict.NOT_COMPARED]
    verdicts = {metric.verdict for metric in metrics}
    if Verdict.SLOWER in verdicts:
        return Verdict.SLOWER
    if not metrics or any(pair.missing for pair in pairs):
        return Verdict.INCONCLUSIVE
    if Verdict.FASTER in verdicts and all(metric.not_slower for metric in metrics):
        return Verdict.FASTER
    return Verdict.INCONCLUSIVE if Verdict.INCONCLUSIVE in verdicts else Verdict.NO_DIFFERENCE


def exit_code(comparison: Comparison) -> ExitCode:
    """What a command that ends with it exits with."""
    if comparison.verdict == Verdict.SLOWER:
        return ExitCode.GATE_FAILED
    return ExitCode.INCONCLUSIVE if comparison.verdict == Verdict.INCONCLUSIVE else ExitCode.OK


def encode(comparison: Comparison) -> bytes:
    """As JSON, indented for people, with a newline at its end."""
    return msgspec.json.format(msgspec.json.encode(comparison), indent=2) + b"\n"
