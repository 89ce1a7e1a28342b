"""The figures that gates can name, with unit and meaning: one table for a run, one for a series."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from enum import StrEnum

from wsbench.measure.phases import Phase


class Unit(StrEnum):
    """The unit of a figure, which decides on the values that it can be compared with."""

    DURATION = "duration"
    COUNT = "count"
    RATE = "rate"
    SHARE = "percentage"

    @property
    def more_is_better(self) -> bool:
        """Whether an objective bounds the figure from below."""
        return self in (Unit.RATE, Unit.SHARE)


@dataclass(frozen=True)
class Figure:
    """One figure of a run or of a series.

    Attributes:
        percent_of: the counts of whose sum a percentage of it is; empty if there is no percentage of it.
        scopes: the phases of which it is known, beside that which it covers without a scope.
        synonyms: words that people write in its place.
    """

    name: str
    unit: Unit
    meaning: str
    percent_of: tuple[str, ...] = ()
    scopes: tuple[str, ...] = tuple(Phase)
    synonyms: tuple[str, ...] = ()


_DUE, _ATTEMPTS = ("due",), ("attempts",)
_BEFORE_DRAIN = (Phase.RAMP, Phase.WARMUP, Phase.MEASURE)
_OF_RUN = (
    Figure(
        "errors",
        Unit.COUNT,
        "all that went wrong: the errors listed in the result, and messages lost, missed or corrupted",
        ("attempts", "due"),
        synonyms=("error", "failures", "failure"),
    ),
    Figure("failed", Unit.COUNT, "attempts to open a connection that failed", _ATTEMPTS),
    Figure("reconnects_failed", Unit.COUNT, "of these, the attempts to reopen a dropped connection", _ATTEMPTS),
    Figure("dropped", Unit.COUNT, "connections that ended before wsbench closed them", _ATTEMPTS),
    Figure(
        "availability",
        Unit.SHARE,
        "share of the wanted connection time in which the connections were open",
        scopes=_BEFORE_DRAIN,
        synonyms=("uptime",),
    ),
    Figure(
        "outage",
        Unit.DURATION,
        "the longest time in which connections were wanted and not one was open",
        scopes=(),
        synonyms=("downtime",),
    ),
    Figure("lost", Unit.COUNT, "messages without a reply in time", _DUE, synonyms=("timeouts", "timeout")),
    Figure("missed", Unit.COUNT, "messages that were due and never sent", _DUE),
    Figure("late", Unit.COUNT, "replies that came after their message was counted as lost", _DUE),
    Figure("corrupted", Unit.COUNT, "replies with wrong content, or that the scenario rejected", _DUE),
    Figure("duplicated", Unit.COUNT, "further replies to an answered message", _DUE),
    Figure("reordered", Unit.COUNT, "replies out of order", _DUE),
    Figure("unexpected", Unit.COUNT, "replies to no message", _DUE),
    Figure("sent", Unit.COUNT, "messages sent"),
    Figure("received", Unit.COUNT, "messages received"),
    Figure("one_way", Unit.COUNT, "messages sent that ask for no reply"),
    Figure("pushed", Unit.COUNT, "messages received that no request asked for"),
    Figure(
        "throughput",
        Unit.RATE,
        "messages received a second",
        scopes=(Phase.MEASURE,),
        synonyms=("rps", "qps", "rate"),
    ),
)
RUN_FIGURES = {figure.name: figure for figure in _OF_RUN}
"""The figures of a run, by name: a count is the value of that name among a scope's counts."""
_OF_SERIES = (
    Figure("min", Unit.DURATION, "the shortest", synonyms=("minimum",)),
    Figure("mean", Unit.DURATION, "the mean", synonyms=("avg", "average")),
    Figure("max", Unit.DURATION, "the longest", synonyms=("maximum", "worst")),
    Figure("count", Unit.COUNT, "the number of values"),
    Figure("lost", Unit.COUNT, "messages without a reply in time, so without a value", _DUE),
    Figure("errors", Unit.COUNT, "those lost, and replies that the scenario rejected", _DUE),
)
SERIES_FIGURES = {figure.name: figure for figure in _OF_SERIES}
"""The figures of a series, by name, beside its percentiles, such as p99.9."""


def suggestion(word: str) -> str | None:
    """Return the figure that was probably meant by a word that is none."""
    figures = {**SERIES_FIGURES, **RUN_FIGURES}
    meant = {synonym: figure.name for figure in figures.values() for synonym in figure.synonyms} | {"median": "p50"}
    spelt = word.lower()
    if spelt in meant:
        return meant[spelt]
    return next(iter(difflib.get_close_matches(spelt, figures, 1, 0.75)), None)
