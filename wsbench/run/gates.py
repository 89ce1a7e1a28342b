"""--fail-if: a small grammar for conditions under which a run has failed.

    gate    =  metric  comparison  value
    metric  =  [ series "." ] figure  |  count
    series  =  "response" (when none is given) | "service" | "send_lag" | "read_lag"
            |  "connect" | "tcp" | "tls" | "upgrade"  |  one that the scenario names
    figure  =  "p50" | "p90" | "p99" | "p99.9" | "p99.99" | "min" | "mean" | "max"
    count   =  "lost" | "errors" | "duplicated" | "reordered" | "corrupted" | "unexpected" | "missed" | "dropped"
            |  "throughput"  |  a counter of the scenario's own
    value   =  a duration for a figure, a number or a percentage of the messages for a count, a rate for throughput

A figure has no value when too many messages were lost, or none was answered: then a gate that bounds it from above
fails. A gate on a series or a counter that the run does not have fails as well.

An objective (`wsbench capacity --slo`) is the opposite of a gate in the same grammar: a condition that must hold. It
bounds a figure or a count from above, and throughput from below. It does not hold for a figure without a value.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from wsbench.errors import UsageError
from wsbench.measure.histogram import samples_needed
from wsbench.measure.series import SERIES
from wsbench.results.percentile_fields import FIELDS, PERCENTILES, figure_of
from wsbench.results.run_result import Gate, Run
from wsbench.units import format_count, format_duration, format_rate, parse_duration, parse_rate

_COUNTS = ("lost", "errors", "duplicated", "reordered", "corrupted", "unexpected", "missed", "dropped")
_KNOWN = ", ".join((*FIELDS, *_COUNTS, "throughput"))
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
NO_VALUE = "–"
"""Shown in place of a figure that has no value."""
_UPPER, _LOWER = ("<", "<="), (">", ">=")
_PERCENTILE_OF_OTHERS = PERCENTILES["p99"]
"""Counts, means and the series of connecting need as many samples as this percentile."""
_TOKENS = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(>=|<=|==|!=|>|<)?\s*(.*?)\s*")


@dataclass(frozen=True)
class Condition:
    """A parsed gate: `value` in ns, messages, a fraction of the messages (`share`), or messages a second."""

    expression: str
    series: str | None
    metric: str
    comparison: str
    value: float
    share: bool = False

    @property
    def name(self) -> str | None:
        """The series or counter of a scenario that the condition is about; None if every run has it."""
        if self.series is not None:
            return None if self.series in SERIES else self.series
        return None if self.metric in (*_COUNTS, "throughput") else self.metric

    def check(self, run: Run) -> Gate:
        """Return the gate's outcome for a run."""
        if self.name is not None and self.name not in run.latency and self.name not in run.counters:
            return Gate(self.expression, True, f"– (nothing is called {self.name}; {_scenario_names(run)})")
        actual = self._actual(run)
        if actual is None:
            return Gate(self.expression, self.comparison in (">", ">=", "!="), NO_VALUE)
        shown = self._shown(actual)
        return Gate(self.expression, _COMPARISONS[self.comparison](actual, self.value), shown)

    def hold(self, run: Run) -> tuple[bool, str]:
        """Return whether the objective holds for a run, and the value that decided."""
        if self.name is not None and self.name not in run.latency and self.name not in run.counters:
            return False, NO_VALUE
        actual = self._actual(run)
        if actual is None:
            return False, NO_VALUE
        return _COMPARISONS[self.comparison](actual, self.value), self._shown(actual)

    @property
    def metric_name(self) -> str:
        """The metric as it was written: `p99`, `service.p99`, `lost`."""
        return self.expression.partition(self.comparison)[0].strip()

    @property
    def samples(self) -> int:
        """Messages needed to decide the condition: 10 / (1 - q) for a percentile, 10 / s for a share s."""
        if self.share and self.value:
            return samples_needed(self.value)
        if self.series in (None, "connect", "tcp", "tls", "upgrade"):
            return _PERCENTILE_OF_OTHERS.samples
        return PERCENTILES.get(self.metric, _PERCENTILE_OF_OTHERS).samples

    def _actual(self, run: Run) -> float | None:
        if self.series is not None:
            return figure_of(run.latency[self.series], self.metric)
        if self.metric == "throughput":
            return run.throughput.received_per_s
        count = _count(run, self.metric)
        if not self.share:
            return count
        due = run.messages.sent + run.messages.missed
        return count / due if due else None

    def _shown(self, actual: float) -> str:
        if self.series is not None:
            return format_duration(actual)
        if self.metric == "throughput":
            return format_rate(actual)
        return f"{100 * actual:.3g}%" if self.share else format_count(actual)


def _scenario_names(run: Run) -> str:
    names = sorted({*run.latency, *run.counters}.difference(SERIES))
    return f"there are {', '.join(names)}" if names else "the scenario names none"


def _count(run: Run, name: str) -> int:
    if name == "errors":
        wrong = run.messages.lost + run.messages.corrupted + run.messages.missed
        return wrong + run.connections.failed + run.connections.dropped
    if name == "dropped":
        return run.connections.dropped
    if name not in _COUNTS:
        return run.counters[name]
    count: int = getattr(run.messages, name)
    return count


def parse(expression: str) -> Condition:
    """Parse a condition; a ValueError names the error and its character (from 1)."""
    match = _TOKENS.fullmatch(expression)
    if match is None:
        raise ValueError(f"{expression!r}: a metric is expected at character 1, as in 'p99 > 5ms'")
    name, comparison, value = match.groups()
    if comparison is None:
        at = match.end(1) + 1
        raise ValueError(f"{expression!r}: a comparison (> >= < <= == !=) is expected at character {at}")
    series, metric = _metric(expression, name, match.start(1))
    if not value:
        raise ValueError(f"{expression!r}: a value is expected at character {match.end(2) + 1}")
    try:
        number, share = _value(series, metric, value)
    except ValueError as error:
        raise ValueError(f"{expression!r}, character {match.start(3) + 1}: {error}") from error
    return Condition(expression.strip(), series, metric, comparison, number, share)


def parse_objective(expression: str) -> Condition:
    """Parse an objective; raise ValueError as `parse`, or if it bounds from the wrong side, like a --fail-if."""
    condition = parse(expression)
    if condition.metric == "throughput":
        allowed: tuple[str, ...] = _LOWER
    else:
        allowed = _UPPER if condition.series is not None else (*_UPPER, "==")
    if condition.comparison not in allowed:
        better = f"{condition.metric_name} {allowed[0]} ..."
        raise ValueError(f"{expression!r}: an objective is what must hold, such as '{better}'")
    return condition


def _metric(expression: str, name: str, at: int) -> tuple[str | None, str]:
    if name in _COUNTS or name == "throughput":
        return None, name
    series, dot, figure = name.partition(".")
    if name in FIELDS:
        return "response", name
    if dot and figure in FIELDS:
        return series, figure
    # p99.9 has a dot of its own, and so may a name
    for each in FIELDS:
        if name.endswith(f".{each}") and name != each:
            return name.removesuffix(f".{each}"), each
    if not dot and not re.fullmatch(r"p\d+", name):
        return None, name
    raise ValueError(f"{expression!r}, character {at + 1}: {name!r} is no metric: use {_KNOWN}, or SERIES.FIGURE")


def check_known(conditions: Iterable[Condition], option: str = "--fail-if") -> None:
    """Raise UsageError if a metric is a scenario's; for a run whose users have no series or counters of their own."""
    for condition in conditions:
        if condition.name is not None:
            raise UsageError(
                f"{option} {condition.expression!r}: {condition.name!r} is no metric of this run",
                remedy=f"Use {_KNOWN}, or SERIES.FIGURE.",
            )


def _value(series: str | None, metric: str, text: str) -> tuple[float, bool]:
    if series is not None:
        return parse_duration(text), False
    if metric == "throughput":
        return parse_rate(text), False
    number, percent = (text[:-1], True) if text.endswith("%") else (text, False)
    try:
        value = float(number)
    except ValueError:
        raise ValueError(f"{text!r} is neither a number nor a percentage") from None
    if not 0 <= value < float("inf"):
        raise ValueError(f"{text!r} is neither a number nor a percentage")
    return (value / 100, True) if percent else (value, False)
