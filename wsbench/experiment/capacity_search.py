"""The search for a capacity: which load comes next, when one is measured again, when to stop, what the answer is.

Pure: all that is known of a search is what its steps showed, and `decide` follows from that alone.

    up      from `start`, every load twice the one before, until one does not hold (or the highest allowed one does)
    down    as long as none held, every load half the one before, until one holds (or the lowest allowed one does not)
    in      the geometric middle between the highest that held and the lowest that did not, until they are no farther
            apart than the tolerance

A machine that is shared, or a server with a pause now and then, makes single runs fail that another one would pass.
So a load that failed is measured again before it is believed, and so is the load that is to be the answer: of up to
three runs, two decide. When the answer fails then, the search goes on below it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wsbench.results.capacity_result import BOUND, GENERATOR, HELD, TARGET, Bounds
from wsbench.units import NS_PER_S

GROWTH = 2.0
AGREEING = 2
"""So many runs at a load must agree before it is believed to fail, or taken for the answer."""
MOST_STEPS = 80
"""By then, runs contradict each other too much for a better answer."""
_DIGITS = 3
"""Significant ones of a rate, as long as it stays between its neighbours."""


@dataclass(frozen=True)
class Search:
    """What is searched.

    Attributes:
        tolerance: the share by which the answer may lie below the lowest load that failed.
        whole: only whole numbers are loads.
    """

    bounds: Bounds
    tolerance: float
    whole: bool = False


@dataclass(frozen=True)
class MeasuredLoad:
    """A load that was measured: its outcome, as in wsbench.results.capacity_result."""

    load: float
    outcome: str


@dataclass(frozen=True)
class NextLoad:
    """What is to be measured next, and between which loads the limit is known to lie so far (None: open)."""

    load: float
    held: float | None = None
    failed: float | None = None


@dataclass(frozen=True)
class SearchEnd:
    """The end of a search.

    Attributes:
        load: the highest that held; None when none did.
        limited_by: "target", "generator" or "bound".
        failed_at: the lowest that did not hold, if any.
        settled: the runs at that load agree.
    """

    load: float | None
    limited_by: str
    failed_at: float | None
    settled: bool = True


def decide(search: Search, seen: Sequence[MeasuredLoad]) -> NextLoad | SearchEnd:
    """What comes after the steps that were made."""
    by_load = _by_load(seen)
    failed = min((load for load, outcomes in by_load.items() if _failed(outcomes)), default=None)
    held = max(
        (load for load, outcomes in by_load.items() if _held(outcomes) and (failed is None or load < failed)),
        default=None,
    )
    if len(seen) >= MOST_STEPS:
        limited_by = BOUND if failed is None else majority_outcome(by_load[failed])
        return SearchEnd(held, limited_by, failed, settled=False)
    open_ = [load for load, outcomes in by_load.items() if not _failed(outcomes) and not _held(outcomes)]
    if open_ and (failed is None or min(open_) < failed):
        return NextLoad(min(open_), held, failed)
    following = _next(search, held, failed)
    if following is not None:
        return NextLoad(following, held, failed)
    if held is not None and by_load[held].count(HELD) < AGREEING:
        return NextLoad(held, held, failed)
    return SearchEnd(held, BOUND if failed is None else majority_outcome(by_load[failed]), failed)


def best_so_far(seen: Iterable[MeasuredLoad]) -> float | None:
    """The highest load that held and lies below all that failed: the answer of a search that was broken off."""
    outcomes = _by_load(seen)
    failed = min((load for load, its in outcomes.items() if majority_outcome(its) != HELD), default=math.inf)
    return max((load for load in outcomes if load < failed), default=None)


def step_ns(samples: int, rate: float, *, shortest_ns: int, longest_ns: int) -> int:
    """How long to measure at `rate` messages a second for so many samples, in whole milliseconds."""
    wanted_ms = math.ceil(samples / rate * 1000)
    return max(shortest_ns, min(longest_ns, wanted_ms * (NS_PER_S // 1000)))


def majority_outcome(outcomes: Sequence[str]) -> str:
    """Return the outcome of several runs at one load: held if most of them held, else the side whose limit it was.

    One run that failed with a healthy generator is evidence for the target's limit, so "target" wins over "generator".
    """
    if 2 * outcomes.count(HELD) > len(outcomes):
        return HELD
    return TARGET if TARGET in outcomes else GENERATOR


def _by_load(seen: Iterable[MeasuredLoad]) -> dict[float, list[str]]:
    found: dict[float, list[str]] = {}
    for step in seen:
        found.setdefault(step.load, []).append(step.outcome)
    return found


def _failed(outcomes: Sequence[str]) -> bool:
    return len(outcomes) - outcomes.count(HELD) >= AGREEING


def _held(outcomes: Sequence[str]) -> bool:
    """Once, if it never failed: that it is the answer asks for more."""
    held = outcomes.count(HELD)
    return held >= AGREEING or 0 < held == len(outcomes)


def _next(search: Search, held: float | None, failed: float | None) -> float | None:
    """A load that was not measured yet, or None when the limit is known as closely as was asked."""
    bounds = search.bounds
    if held is None and failed is None:
        return bounds.start
    if failed is None:
        assert held is not None
        return None if held >= bounds.most else min(_rounded(search, held * GROWTH), bounds.most)
    if held is None:
        return None if failed <= bounds.least else max(_rounded(search, failed / GROWTH), bounds.least)
    if failed <= held * (1 + search.tolerance) or (search.whole and failed - held <= 1):
        return None
    middle = math.sqrt(held * failed)
    rounded = _rounded(search, middle)
    return rounded if held < rounded < failed else math.floor(held) + 1 if search.whole else middle


def _rounded(search: Search, load: float) -> float:
    if search.whole:
        return float(round(load))
    return round(load, _DIGITS - 1 - math.floor(math.log10(load)))
