"""The search of `wsbench capacity`: the next load, when to measure one again, when to stop, and the answer.

`decide` is a pure function of the outcomes of the steps so far.

    up      from `start`, each load twice the previous one, until one does not hold (or the highest allowed one does)
    down    if none held, each load half the previous one, until one holds (or the lowest allowed one does not)
    in      the geometric mean of the highest load that held and the lowest that did not, until they differ by no more
            than the tolerance

On a shared machine, or with a server that pauses now and then, a single run can fail that another would pass. So a load
that failed is measured again before it counts as failed, and so is the load that would be the answer: of up to three
runs, two decide. If the answer then fails, the search continues below it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wsbench.results.capacity_result import BOUND, GENERATOR, HELD, TARGET, Bounds, CapacityStep
from wsbench.units import NS_PER_S

GROWTH = 2.0
AGREEING = 2
"""Runs at a load that must agree before it counts as failed, or becomes the answer."""
MOST_STEPS = 80
"""After this many steps, runs contradict each other too much for a better answer."""
_DIGITS = 3
"""Significant digits of a rate, unless rounding would reach a neighbour."""


@dataclass(frozen=True)
class Search:
    """Parameters of a search; the answer may lie below the lowest load that failed by the share `tolerance`.

    `whole` means that loads are whole numbers.
    """

    bounds: Bounds
    tolerance: float
    whole: bool = False


@dataclass(frozen=True)
class NextLoad:
    """The load to measure next; the highest that held and the lowest that failed so far (None: no such load)."""

    load: float
    held: float | None = None
    failed: float | None = None


@dataclass(frozen=True)
class SearchEnd:
    """The end of a search.

    Attributes:
        load: the highest load that held; None if none did.
        limited_by: "target", "generator" or "bound".
        failed_at: the lowest load that did not hold, if any.
        settled: whether the runs at the answer agree.
    """

    load: float | None
    limited_by: str
    failed_at: float | None
    settled: bool = True


def decide(search: Search, steps: Sequence[CapacityStep]) -> NextLoad | SearchEnd:
    """Return the next load, or the end of the search, after the steps so far."""
    by_load = _by_load(steps)
    failed = min((load for load, outcomes in by_load.items() if _failed(outcomes)), default=None)
    below = [load for load in by_load if failed is None or load < failed]
    held = max((load for load in below if _held(by_load[load])), default=None)
    limited_by = BOUND if failed is None else majority_outcome(by_load[failed])
    if len(steps) >= MOST_STEPS:
        return SearchEnd(held, limited_by, failed, settled=False)
    if undecided := [load for load in below if not _held(by_load[load])]:
        return NextLoad(min(undecided), held, failed)
    following = _next(search, held, failed)
    if following is not None:
        return NextLoad(following, held, failed)
    if held is not None and by_load[held].count(HELD) < AGREEING:
        return NextLoad(held, held, failed)
    return SearchEnd(held, limited_by, failed)


def best_so_far(steps: Iterable[CapacityStep]) -> float | None:
    """Return the highest load that held below all that failed: the answer of an interrupted search."""
    outcomes = _by_load(steps)
    failed = min((load for load, of_load in outcomes.items() if majority_outcome(of_load) != HELD), default=math.inf)
    return max((load for load in outcomes if load < failed), default=None)


def step_ns(samples: int, rate: float, *, shortest_ns: int, longest_ns: int) -> int:
    """Return the length of a measure phase for `samples` messages at `rate` a second, in whole milliseconds."""
    wanted_ms = math.ceil(samples / rate * 1000)
    return max(shortest_ns, min(longest_ns, wanted_ms * (NS_PER_S // 1000)))


def majority_outcome(outcomes: Sequence[str]) -> str:
    """Return the outcome of several runs at one load: held if most of them held, else the side whose limit it was.

    One run that failed with a healthy generator is evidence for the target's limit, so "target" wins over "generator".
    """
    if 2 * outcomes.count(HELD) > len(outcomes):
        return HELD
    return TARGET if TARGET in outcomes else GENERATOR


def _by_load(steps: Iterable[CapacityStep]) -> dict[float, list[str]]:
    by_load: dict[float, list[str]] = {}
    for step in steps:
        by_load.setdefault(step.load, []).append(step.outcome)
    return by_load


def _failed(outcomes: Sequence[str]) -> bool:
    return len(outcomes) - outcomes.count(HELD) >= AGREEING


def _held(outcomes: Sequence[str]) -> bool:
    """Return whether the load held: once is enough if it never failed (an answer needs more)."""
    held = outcomes.count(HELD)
    return held >= AGREEING or 0 < held == len(outcomes)


def _next(search: Search, held: float | None, failed: float | None) -> float | None:
    """Return a load that was not measured yet, or None if the limit is known within the tolerance."""
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
