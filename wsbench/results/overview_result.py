"""The model of an experiment's overview: what `wsbench matrix` ends with, cell by cell.

Made by wsbench.experiment, read by wsbench.report and the command line.
"""

from __future__ import annotations

import msgspec


class Ratio(msgspec.Struct, frozen=True):
    """Of a target's figure to the baseline's (geometric means over the runs), with its confidence interval.

    Attributes:
        assumed: the spread from run to run is assumed, for a side has one run only.
    """

    ratio: float
    low: float
    high: float
    assumed: bool


class Figure(msgspec.Struct, frozen=True):
    """The median over a cell's runs; None where nobody knows it, or it falls among the lost messages."""

    value: float | None
    ratio: Ratio | None = None


class Row(msgspec.Struct, frozen=True):
    """One cell.

    Attributes:
        conditions: all but the target, for people; rows of the same conditions stand side by side.
        open_loop: whether messages left on a schedule.
        asked: runs that it should have; `done`: those that it has.
        figures: by name, see `FIGURES`; empty without a run.
        lost, corrupted, wrong: messages of all its runs, warm-up included; `wrong` counts whatever else should not be.
        verdicts: of the generator, those other than "ok", with the number of runs.
        remarks: what else a reader of its figures must know.
        failures: why runs failed, each reason once.
        hole: why it can have no runs.
    """

    key: str
    target: str
    conditions: str
    open_loop: bool
    asked: int
    done: int
    figures: dict[str, Figure] = {}
    lost: int = 0
    corrupted: int = 0
    wrong: dict[str, int] = {}
    verdicts: dict[str, int] = {}
    remarks: list[str] = []
    failures: list[str] = []
    hole: str | None = None


class Overview(msgspec.Struct, frozen=True):
    """All cells, in the experiment file's order."""

    baseline: str | None
    confidence: float
    rows: list[Row]


FIGURES = (
    "throughput_per_s",
    "response_p50_ns",
    "response_p99_ns",
    "response_p99.9_ns",
    "service_p50_ns",
    "service_p99_ns",
    "service_p99.9_ns",
    "target_cpu_us_per_message",
    "target_bytes_per_connection",
)
