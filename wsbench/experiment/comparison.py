"""`wsbench compare`: from two sides to a `Comparison`, by the rules of `wsbench.experiment.statistics`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain

from wsbench import __version__
from wsbench.errors import UsageError
from wsbench.experiment import preconditions, sides
from wsbench.experiment.sides import MatchedRuns, SideSource
from wsbench.experiment.statistics import ASSUMED_SPREAD, ASSUMED_SPREAD_OF_HELD_RATE, THROUGHPUT, Question, judge
from wsbench.results.comparison_result import SCHEMA, Comparison, ComparisonSide, Metric, Pair, Verdict, overall_verdict
from wsbench.results.percentile_fields import PERCENTILES, figure_of
from wsbench.results.run_result import Run
from wsbench.units import format_count

SERIES = "response"
_HELD_SHARE = 0.99
"""An open loop that received this share of its rate kept to it."""
_MAX_NAMED = 3
"""Pairs named in a sentence."""


def compare(
    base: str, new: str, *, margins: Mapping[str, float], confidence: float = 0.95, anyway: bool = False
) -> Comparison:
    """Compare BASE with NEW, each a path or `EXPERIMENT:TARGET`; `margins` by metric, as shares.

    Raises ResultError if a side is not a result, and UsageError if the sides are not comparable, unless `anyway`.
    """
    sources = sides.read_side(base), sides.read_side(new)
    matched = sides.match_sides(*sources)
    differences = _differences(matched)
    if differences and not anyway:
        what = f"BASE and NEW are not comparable: {'; '.join(differences)}"
        raise UsageError(what, remedy=preconditions.remedy(differences))
    pairs = _judged_pairs(matched, margins, confidence)
    verdict = overall_verdict(pairs)
    return Comparison(
        schema=SCHEMA,
        wsbench=__version__,
        base=_side(sources[0]),
        new=_side(sources[1]),
        verdict=verdict,
        said=_sentence(verdict, pairs),
        series=SERIES,
        confidence=confidence,
        anyway=anyway,
        differences=differences,
        notes=[*_spread_notes(pairs), *_source_notes(*sources), *_pair_notes(matched)],
        pairs=pairs,
    )


def _side(source: SideSource) -> ComparisonSide:
    kind = "run" if isinstance(source.content, Run) else "experiment"
    return ComparisonSide(source.argument, kind, source.content.id, source.targets)


def _differences(matched: Sequence[MatchedRuns]) -> list[str]:
    """Return the differences of all pairs; a difference of several pairs once, with these pairs."""
    return _by_pair(matched, lambda pair: preconditions.differences(pair.base, pair.new))


def _pair_notes(matched: Sequence[MatchedRuns]) -> list[str]:
    failed = [note for pair in matched for note in pair.notes]
    return [*failed, *_by_pair(matched, lambda pair: preconditions.notes(pair.base, pair.new))]


def _by_pair(matched: Sequence[MatchedRuns], of: Callable[[MatchedRuns], list[str]]) -> list[str]:
    compared = [pair for pair in matched if not pair.reason]
    keys: dict[str, list[str]] = {}
    for pair in compared:
        for text in of(pair):
            keys.setdefault(text, []).append(pair.key)
    if len(compared) <= 1:
        return list(keys)
    return [text if len(named) == len(compared) else f"{text} ({_some(named)})" for text, named in keys.items()]


def _some(texts: Sequence[str]) -> str:
    more = len(texts) - _MAX_NAMED
    return "; ".join(texts[:_MAX_NAMED]) + (f"; and {more} more" if more > 0 else "")


def _judged_pairs(matched: Sequence[MatchedRuns], margins: Mapping[str, float], confidence: float) -> list[Pair]:
    questions = [
        [] if pair.reason else [_question(name, pair, margin) for name, margin in margins.items()] for pair in matched
    ]
    answers = iter(judge([each for each in chain(*questions) if isinstance(each, Question)], confidence))
    pairs = []
    for pair, of_pair in zip(matched, questions, strict=True):
        base, new = [[run.id for run in runs] for runs in (pair.base, pair.new)]
        metrics = [next(answers) if isinstance(each, Question) else each for each in of_pair]
        pairs.append(Pair(pair.key, base, new, metrics, pair.reason, pair.missing))
    return pairs


def _question(metric: str, pair: MatchedRuns, margin: float) -> Question | Metric:
    """Return the question to judge; or the answer, where there are too few messages to judge."""
    runs = (*pair.base, *pair.new)
    if metric != THROUGHPUT:
        fewest = min(run.latency[SERIES].due for run in runs)
        needed = PERCENTILES[metric].samples
        if fewest < needed:
            reason = f"a run has {format_count(fewest)} messages; {metric} needs {format_count(needed)}"
            return Metric(metric, Verdict.NOT_COMPARED, margin, reason=reason)
    base, new = [[_value(metric, run) for run in side] for side in (pair.base, pair.new)]
    return Question(metric, base, new, margin, assumed_spread(metric, runs))


def assumed_spread(metric: str, runs: Iterable[Run]) -> float:
    """Return the spread from run to run that is assumed for a metric where it cannot be measured."""
    held = metric == THROUGHPUT and all(map(_held_rate, runs))
    return ASSUMED_SPREAD_OF_HELD_RATE if held else ASSUMED_SPREAD[metric]


def _held_rate(run: Run) -> bool:
    """Return whether an open loop kept to its rate."""
    rate = run.conditions.rate
    return rate is not None and run.throughput.received_per_s >= _HELD_SHARE * rate


def _value(metric: str, run: Run) -> float | None:
    """Return a run's value in ns, or in messages a second; None if it is worse than any value."""
    if metric == THROUGHPUT:
        return run.throughput.received_per_s or None
    value = figure_of(run.latency[SERIES], metric)
    return None if value is None else max(value, 1)


def _sentence(verdict: Verdict, pairs: Sequence[Pair]) -> str:
    """Return the verdict as a sentence."""
    slower, faster = _named(pairs, Verdict.SLOWER), _named(pairs, Verdict.FASTER)
    if verdict == Verdict.SLOWER:
        return f"NEW is slower: {_some(slower)}" + (f" (but faster: {_some(faster)})" if faster else "")
    if verdict == Verdict.FASTER:
        return f"NEW is faster, and not slower in any metric: {_some(faster)}"
    if verdict == Verdict.NO_DIFFERENCE:
        return "no difference beyond the margins"
    if not any(metric.verdict != Verdict.NOT_COMPARED for pair in pairs for metric in pair.metrics):
        return "inconclusive: nothing could be compared"
    return f"inconclusive: {_undecided(pairs)}" + (f" (but faster: {_some(faster)})" if faster else "")


def _undecided(pairs: Sequence[Pair]) -> str:
    """Return why a comparison has no verdict."""
    missing = [pair.key for pair in pairs if pair.missing]
    if missing:
        return f"a side has no runs of {_some(missing)}"
    metrics = [metric for pair in pairs for metric in pair.metrics if metric.verdict == Verdict.INCONCLUSIVE]
    undecided = [metric for metric in metrics if not metric.not_slower]
    if not undecided:
        return "NEW is not slower; only more runs could distinguish faster from equal"
    counted = [metric.runs_needed for metric in undecided if metric.runs_needed is not None]
    more = f"; about {max(counted):,} runs per side would decide" if len(counted) == len(undecided) else ""
    return f"undecided: {_some(_named(pairs, Verdict.INCONCLUSIVE))}{more}"


def _named(pairs: Sequence[Pair], verdict: Verdict) -> list[str]:
    """Return the metrics with this verdict and their ratios, by pair."""
    named = []
    for pair in pairs:
        metrics = [metric for metric in pair.metrics if metric.verdict == verdict]
        if metrics:
            ratios = ("" if metric.ratio is None else f" ×{metric.ratio:.3g}" for metric in metrics)
            text = ", ".join(metric.metric + ratio for metric, ratio in zip(metrics, ratios, strict=True))
            named.append(f"{text} in {pair.key}" if len(pairs) > 1 else text)
    return named


def _spread_notes(pairs: Sequence[Pair]) -> list[str]:
    metrics = [metric for pair in pairs for metric in pair.metrics]
    assumed = {metric.metric: metric.spread for metric in metrics if metric.spread_from == "assumed"}
    if not assumed:
        return []
    spreads = ", ".join(f"{metric} {100 * (spread or 0):.0f} %" for metric, spread in assumed.items())
    return [f"the spread from run to run is assumed, not measured ({spreads}): a side has only one run"]


def _source_notes(base: SideSource, new: SideSource) -> list[str]:
    notes = [
        f"{side} is an unfinished experiment"
        for side, source in (("BASE", base), ("NEW", new))
        if not isinstance(source.content, Run) and not source.content.complete
    ]
    if not isinstance(base.content, Run) and base.content.id != new.content.id:
        note = "two experiments: the intervals do not include changes of the machine between them"
        notes.append(f"{note} (EXPERIMENT:TARGET compares runs that alternated)")
    return notes
