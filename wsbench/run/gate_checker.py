"""The check of conditions: each against the figures of a run, from its exact distributions and counts by phase."""

from __future__ import annotations

import functools
import operator
from collections import ChainMap, Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import msgspec

from wsbench.measure.delta import COUNTER, errors_of, lost_of, open_share, rejected_of
from wsbench.measure.figures import RUN_FIGURES, Unit
from wsbench.measure.histogram import Buckets, highest_value, lowest_value, mean_and_deviation, percentile
from wsbench.measure.phases import Phase
from wsbench.measure.quantity import Quantity
from wsbench.measure.series import AWAY, BUILT_IN
from wsbench.results.run_result import ConnectionCounts, Gate, MessageCounts, Run, WholeRun
from wsbench.run.gates import Condition, hint
from wsbench.units import format_count, format_duration, format_rate, format_share

NO_VALUE = "–"
"""Begins the value of a gate on a figure that has none; the reason follows in parentheses."""
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_FROM_ABOVE = (">", ">=", "!=")
"""A gate with one of these fails for a figure without a value."""
_DURATIONS: dict[str, Callable[[Buckets], float]] = {
    "min": lambda buckets: lowest_value(min(buckets)),
    "mean": lambda buckets: mean_and_deviation(buckets)[0],
    "max": lambda buckets: highest_value(max(buckets)),
}


class _NoValue(Exception):
    """The reason why a quantity has no value. The run has nothing of an `unknown` name."""

    def __init__(self, reason: str, *, unknown: bool = False) -> None:
        super().__init__(reason)
        self.unknown = unknown


class SeriesTotals(Protocol):
    """The sums of a run: `Totals`, or rounded ones of a run in progress."""

    def counts(self, phase: Phase | None = None) -> dict[str, int]:
        """Return the counts of a phase, or of all."""

    def counters(self) -> dict[str, int]:
        """Return the scenario's counters, of all phases."""

    def series(self, name: str, phase: Phase | None = None) -> Buckets:
        """Return a series of a phase, or of all."""


@dataclass(frozen=True)
class GateFigures:
    """Facts of a run that gates need beside its sums; `phases` says for each series what it covers without a scope."""

    throughput: float
    outage_ns: int
    whole_run: WholeRun
    messages: MessageCounts
    connections: ConnectionCounts
    counters: Mapping[str, int]
    phases: Mapping[str, str]

    @classmethod
    def of(cls, run: Run) -> GateFigures:
        """Return the figures of a run that has ended."""
        return cls(
            run.throughput.received_per_s,
            run.availability.outage_ns,
            run.whole_run,
            run.messages_all_phases,
            run.connections,
            run.counters,
            {name: latency.phases for name, latency in run.latency.items()},
        )


class GateChecker:
    """Checks conditions against one run.

    Without a scope, counts and counters are those of the whole run; durations and throughput are those of the measure
    phase, or of the whole run for a series without a value there, as in the result.
    """

    def __init__(self, figures: GateFigures, totals: SeriesTotals) -> None:
        self._figures = figures
        self._totals = totals
        self._buckets = functools.cache(totals.series)
        self._values = functools.cache(self._values_in)

    def check(self, condition: Condition) -> Gate:
        """Return the outcome of a gate."""
        try:
            actual, shown = self._actual(condition)
        except _NoValue as missing:
            failed = missing.unknown or condition.comparison in _FROM_ABOVE
            return Gate(condition.expression, failed, f"{NO_VALUE} ({missing})", condition.objective)
        failed = _COMPARISONS[condition.comparison](actual, condition.value)
        return Gate(condition.expression, failed, shown, condition.objective)

    def _actual(self, condition: Condition) -> tuple[float, str]:
        """Return the value to compare, and its text."""
        quantity, divisor = condition.quantity, condition.divisor
        value = self._value_of(quantity)
        if divisor is None and not condition.share:
            return value, _FORMATS[quantity.unit](value)
        base = self._base_of(quantity) if divisor is None else self._value_of(divisor)
        if not base:
            raise _NoValue(f"of {format_count(base)} {divisor or 'due'}")
        ratio = value / base
        shown = f"{100 * ratio:.3g}%" if condition.share else f"{ratio:.3g}"
        return ratio, f"{shown} ({format_count(value)} of {format_count(base)})"

    def _value_of(self, quantity: Quantity) -> float:
        if quantity.figure is None:
            return self._counter(quantity)
        if quantity.series is not None:
            return self._value_of_series(quantity, quantity.series)
        value = self._values(_phase(quantity)).get(quantity.figure)
        if value is None:
            raise _NoValue("no connection was wanted")
        return value

    def _base_of(self, quantity: Quantity) -> float:
        """Return the number of which a percentage of the quantity is taken."""
        if quantity.series is not None:
            return self._count(quantity.series, _phase(quantity)) + self._lost(quantity.series, _phase(quantity))
        assert quantity.figure is not None
        values = self._values(_phase(quantity))
        return sum(values[name] or 0 for name in RUN_FIGURES[quantity.figure].percent_of)

    def _values_in(self, phase: Phase | None) -> Mapping[str, float | None]:
        """Return the values of the figures in `RUN_FIGURES`, as far as they are known of the phase, and their bases."""
        figures, counts = self._figures, Counter(self._totals.counts(phase))
        values: dict[str, float | None] = {
            "throughput": figures.throughput,
            "availability": open_share(counts),
            "outage": figures.outage_ns,
        }
        if phase is None:
            parts = (figures.whole_run, figures.messages, figures.connections)
            return {**ChainMap(*map(msgspec.structs.asdict, parts)), **values}
        return {
            **counts,
            **values,
            "attempts": counts["connections_opened"] + counts["connect_failed"],
            "failed": counts["connect_failed"],
            "reconnects_failed": counts["reconnects_failed"],
            "dropped": counts["dropped"],
            "due": counts["sent"] + counts["missed"],
            "errors": errors_of(counts),
        }

    def _counter(self, quantity: Quantity) -> int:
        name = quantity.name or ""
        if name not in self._figures.counters:
            raise self._unknown("counter", name)
        phase = _phase(quantity)
        if phase is None:
            return self._figures.counters[name]
        if self._figures.counters[name] != self._totals.counters().get(name):
            raise _NoValue(f"{name} is computed at the end, over the whole run", unknown=True)
        return self._totals.counts(phase).get(COUNTER + name, 0)

    def _value_of_series(self, quantity: Quantity, series: str) -> float:
        if series == AWAY and AWAY not in self._figures.phases:
            return 0  # no connection was dropped
        if series not in self._figures.phases:
            raise self._unknown("series", series)
        phase = _phase(quantity)
        if quantity.unit is Unit.DURATION:
            return self._duration(quantity, series)
        if quantity.figure == "count":
            return self._count(series, phase)
        rejected = rejected_of(series, self._totals.counts(phase)) if quantity.figure == "errors" else 0
        return self._lost(series, phase) + rejected

    def _count(self, series: str, phase: Phase | None) -> int:
        return sum(self._buckets(series, phase).values())

    def _lost(self, series: str, phase: Phase | None) -> int:
        return lost_of(series, self._totals.counts(phase))

    def _duration(self, quantity: Quantity, series: str) -> float:
        phase = _phase(quantity)
        if phase is None and self._figures.phases[series] == "measure":
            phase = Phase.MEASURE
        buckets, lost = self._buckets(series, phase), self._lost(series, phase)
        if not buckets:
            raise _NoValue(f"all {format_count(lost)} were lost" if lost else "nothing was measured")
        if quantity.percent is None:
            return _DURATIONS[quantity.figure or ""](buckets)
        value = percentile(buckets, quantity.percent, lost)
        if value is None:
            due = sum(buckets.values()) + lost
            raise _NoValue(f"{format_count(lost)} of {format_count(due)} were lost")
        return value

    def _unknown(self, kind: str, name: str) -> _NoValue:
        names = sorted({*self._figures.phases, *self._figures.counters}.difference(BUILT_IN))
        known = f"there are {', '.join(names)}" if names else "the scenario names none"
        return _NoValue(f"no {kind} is called {name}; {known}{hint(name)}", unknown=True)


def _phase(quantity: Quantity) -> Phase | None:
    return None if quantity.scope is None else Phase(quantity.scope)


_FORMATS: dict[Unit, Callable[[float], str]] = {
    Unit.DURATION: format_duration,
    Unit.COUNT: format_count,
    Unit.RATE: format_rate,
    Unit.SHARE: format_share,
}
