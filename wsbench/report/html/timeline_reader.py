"""timeline.csv, read into as many columns as can be seen."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise

from wsbench.errors import ResultError

COLUMNS = 600
"""Maximum number of columns; a plot is about twice as many pixels wide."""
_INTERVAL_S = 1.0
_ROUNDING_S = 0.002
"""Times in the files are rounded to milliseconds."""
KINDS = ("lost", "missed", "corrupted", "rejected", "connect_failed", "dropped")
"""Columns that count errors of one kind; files of earlier versions lack some. `rejected` are among the `corrupted`."""
OTHERS = "others"
"""Errors of no such kind: those of the column `errors` that no other column has."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Moment:
    """Some seconds of one phase. Times are from the run's start, rates are means, `cpu_percent` is the maximum of the
    busiest worker.

    Attributes:
        connections, wanted: the last counts; `wanted` is None in files of earlier versions.
        errors: counts of all `KINDS`, each error under one of them, and of `OTHERS`.
    """

    phase: str
    start_s: float
    end_s: float
    connections: int
    sent_per_s: float
    received_per_s: float
    errors: dict[str, int]
    cpu_percent: float | None
    wanted: int | None

    @property
    def unanswered(self) -> int:
        """Number of messages that are the slowest of `response`: lost, or due and not sent."""
        return self.errors["lost"] + self.errors["missed"]

    def per_s(self, kind: str) -> float:
        """Return the errors of a kind per second."""
        return self.errors[kind] / (self.end_s - self.start_s or _INTERVAL_S)


@dataclass(frozen=True)
class Timeline:
    """timeline.csv. `begin_ns` is since the epoch; a column of a plot over time covers `every_s` seconds."""

    moments: list[Moment]
    begin_ns: int
    every_s: int

    @property
    def end_s(self) -> float:
        """End of the last moment; 0 without one."""
        return self.moments[-1].end_s if self.moments else 0.0

    @property
    def measure_s(self) -> float:
        """Start of the measure phase, from where columns are counted."""
        return next((moment.start_s for moment in self.moments if moment.phase == "measure"), 0.0)

    def column(self, start_s: float) -> int:
        """Return the column of an interval of the measure phase."""
        return max(0, _column(start_s - self.measure_s, self.every_s))


def read_timeline(text: bytes, where: str) -> Timeline:
    """Parse timeline.csv, or raise a ResultError that names it `where`."""
    try:
        rows = _rows(text)
        every_s = math.ceil(rows[-1].end_s / COLUMNS) if rows else 1
        begin = datetime.fromisoformat(rows[0].cells["time"]) if rows else _EPOCH
        phases = [list(phase) for _, phase in groupby(rows, lambda row: row.cells["phase"])]
        moments = [moment for phase in phases for moment in _moments(phase, every_s)]
        begin_ns = (begin - _EPOCH) // timedelta(microseconds=1) * 1000
    except (ValueError, KeyError, TypeError, ArithmeticError, csv.Error) as error:
        raise ResultError(f"{where} is not a timeline: {error}", remedy="The file was truncated or edited.") from error
    return Timeline(moments, begin_ns, every_s)


@dataclass(frozen=True)
class _Row:
    cells: dict[str, str]
    start_s: float
    end_s: float


def _rows(text: bytes) -> list[_Row]:
    rows = list(csv.DictReader(text.decode().splitlines(), strict=True))
    starts = [float(cells["elapsed_s"]) for cells in rows]
    ends = [min(start + _INTERVAL_S, following) for start, following in pairwise([*starts, math.inf])]
    return [_Row(*row) for row in zip(rows, starts, ends, strict=True)]


def _moments(phase: Sequence[_Row], every_s: int) -> Iterator[Moment]:
    begin_s = phase[0].start_s
    for _, rows in groupby(phase, lambda row: _column(row.start_s - begin_s, every_s)):
        yield _moment(list(rows))


def _column(after_s: float, every_s: int) -> int:
    return int((after_s + _ROUNDING_S) // every_s)


def _moment(rows: Sequence[_Row]) -> Moment:
    seconds = sum(row.end_s - row.start_s for row in rows) or _INTERVAL_S
    busy = [float(row.cells["worker_cpu_percent"]) for row in rows if row.cells["worker_cpu_percent"]]
    sent, received = (sum(int(row.cells[name]) for row in rows) for name in ("sent", "received"))
    wanted = rows[-1].cells.get("wanted")
    errors = {kind: sum(int(row.cells.get(kind, 0)) for row in rows) for kind in KINDS}
    errors["corrupted"] -= errors["rejected"]
    everything = sum(int(row.cells.get("errors", 0)) for row in rows)
    return Moment(
        phase=rows[0].cells["phase"],
        start_s=rows[0].start_s,
        end_s=rows[-1].end_s,
        connections=int(rows[-1].cells["connections"]),
        sent_per_s=sent / seconds,
        received_per_s=received / seconds,
        errors={**errors, OTHERS: max(0, everything - sum(errors.values()))},
        cpu_percent=max(busy, default=None),
        wanted=None if wanted is None else int(wanted),
    )
