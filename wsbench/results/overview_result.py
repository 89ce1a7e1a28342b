"""The overview of an experiment: the figures of every cell, as `wsbench matrix` prints them at its end.

wsbench.experiment makes it; wsbench.report and the command line read it.
"""

from __future__ import annotations

import msgspec


class Ratio(msgspec.Struct, frozen=True):
    """Ratio of a target's figure to the baseline's (geometric means over the runs), with its confidence interval.

    `assumed` means that the spread from run to run is assumed, because a side has only one run.
    """

    ratio: float
    low: float
    high: float
    assumed: bool


class CellFigure(msgspec.Struct, frozen=True):
    """The median over a cell's runs; None where it is unknown, or falls among the lost messages."""

    value: float | None
    ratio: Ratio | None = None


class OverviewRow(msgspec.Struct, frozen=True):
    """One cell.

    Attributes:
        conditions: all conditions but the target, as text; reports group rows by them.
        asked, done: the number of runs that the cell should have, and that it has.
        figures: by name, see `FIGURES`; empty without a run.
        lost, corrupted: messages of all runs, warm-up included.
        wrong: counts of messages with other faults, by fault.
        verdicts: the generator's verdicts other than "ok", with the number of runs.
        remarks: further facts that a reader of the figures must know.
        failures: why runs failed, each reason once.
        hole: why the cell can have no runs.
    """

    key: str
    target: str
    conditions: str
    open_loop: bool
    asked: int
    done: int
    figures: dict[str, CellFigure] = {}
    lost: int = 0
    corrupted: int = 0
    wrong: dict[str, int] = {}
    verdicts: dict[str, int] = {}
    remarks: list[str] = []
    failures: list[str] = []
    hole: str | None = None


class Overview(msgspec.Struct, frozen=True):
    """All cells, in the order of the experiment file."""

    baseline: str | None
    confidence: float
    rows: list[OverviewRow]


PERCENTILES_SHOWN = ("p50", "p99", "p99.9")
FIGURES = (
    "throughput_per_s",
    *(f"{series}_{label}_ns" for series in ("response", "service") for label in PERCENTILES_SHOWN),
    "target_cpu_us_per_message",
    "target_bytes_per_connection",
)
