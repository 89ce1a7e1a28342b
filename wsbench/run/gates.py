"""Conditions on the figures of a run: gates (--fail-if) and objectives (--slo), in one grammar.

    condition  =  quantity [ "/" quantity ]  comparison  value
    quantity   =  [ scope "." ] [ series "." ] figure  |  [ scope "." ] counter
    scope      =  "ramp" | "warmup" | "measure" | "drain"  |  "stage" and a number, which no run has yet
    figure     =  a percentile ("p50", "p95", "p99.9"), or one of `measure.figures`
    value      =  a duration with its unit, a number or a percentage for a count or a ratio of two, or a rate

Names of series and counters may have dots in them. A name in double quotes may have any characters in it, a quote and
a backslash after a backslash.

A gate fails if its condition is true. A quantity has no value where too many messages were lost, or nothing was
measured: then a gate that bounds it from above fails. A gate on a series or a counter that the run does not have fails.

An objective must be true. It bounds a figure from above, and throughput from below: it is checked as the gate that is
its opposite.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from wsbench.errors import UsageError
from wsbench.measure.figures import RUN_FIGURES, SERIES_FIGURES, Unit, suggestion
from wsbench.measure.histogram import samples_needed
from wsbench.measure.quantity import Quantity
from wsbench.measure.series import BUILT_IN, CONNECT_SERIES

OPPOSITES = {">": "<=", ">=": "<", "<": ">=", "<=": ">", "==": "!=", "!=": "=="}
"""The comparisons, each with the one that is true when it is false."""
_SAMPLES = samples_needed(0.01)
"""Counts, means and the series of connecting need as many messages as p99."""


@dataclass(frozen=True)
class Condition:
    """A parsed condition.

    Attributes:
        divisor: the second quantity of a ratio; None for a condition on one quantity.
        limit: the value as text.
        value: in ns, as a number, as a fraction (`share`), or a second.
        objective: the objective as text whose opposite this is; empty for another condition.
        share: whether the limit is a percentage: of `divisor`, or of the counts that the figure's definition names.
    """

    quantity: Quantity
    divisor: Quantity | None
    comparison: str
    limit: str
    value: float
    share: bool = False
    objective: str = field(default="", compare=False)

    @property
    def metric(self) -> str:
        """The condition's left side: `p99`, `service.p99`, `missing / expected`."""
        return " / ".join(map(str, self.quantities))

    @property
    def expression(self) -> str:
        """The condition as text; `parse` returns the same condition for it."""
        return f"{self.metric} {self.comparison} {self.limit}"

    def __str__(self) -> str:
        return self.expression

    @property
    def quantities(self) -> list[Quantity]:
        """The quantity, and the divisor of a ratio."""
        return [self.quantity] if self.divisor is None else [self.quantity, self.divisor]

    @property
    def unit(self) -> Unit:
        """The unit of the value."""
        return self.quantity.unit

    @property
    def opposite(self) -> Condition:
        """The condition that is true when this one is false."""
        return replace(self, comparison=OPPOSITES[self.comparison], objective=self.expression)

    @property
    def samples(self) -> int:
        """Messages needed to decide the condition: 10 / (1 - q) for a percentile, 10 / s for a share s."""
        if self.share and self.value:
            return samples_needed(self.value)
        percent = self.quantity.percent
        if percent is None or self.quantity.series in CONNECT_SERIES:
            return _SAMPLES
        return samples_needed(1 - percent / 100)


def check_known(conditions: Iterable[Condition], option: str = "--fail-if") -> None:
    """Raise UsageError if a condition names a series or a counter; for a run whose users have none of their own."""
    for condition in conditions:
        for name in (quantity.name for quantity in condition.quantities):
            if name is not None and name not in BUILT_IN:
                raise UsageError(
                    f"{option} {condition.expression!r}: {name!r} is no figure of this run{hint(name)}",
                    remedy=f"Use {', '.join(RUN_FIGURES)}, or [SERIES.] and p99, {', '.join(SERIES_FIGURES)}.",
                )


def hint(word: str) -> str:
    """Return the question whether a figure was meant, to be put after an error; empty if none is similar."""
    meant = suggestion(word)
    return f"; did you mean {meant}?" if meant else ""
