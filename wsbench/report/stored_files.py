"""The files beside a run.json, checked against it.

All functions raise ResultError for a file that cannot be read, or that was truncated or edited.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from wsbench.errors import ResultError
from wsbench.measure.series import file_stem
from wsbench.report import hlog
from wsbench.results.run_result import Run

LOG, TIMELINE = "latency.hlog", "timeline.csv"
_HGRM_COUNT = re.compile(rb"^#\[Max +=[^,]*, Total count +=\s*(\d+)\]$", re.MULTILINE)
_TIMELINE_COUNTS = ("sent", "received", "lost")


def read_log(directory: Path, series: str | None = None) -> bytes:
    """Read latency.hlog, or its rows of one series."""
    text = _read(directory, LOG)
    return text if series is None else b"".join(hlog.select_series(text.splitlines(keepends=True), series))


def read_lines(directory: Path, run: Run, series: str | None = None) -> Iterator[hlog.Line]:
    """Yield the lines of latency.hlog. After the last line, its counts must be those of the run."""
    where, counted = str(directory / LOG), Counter[str]()
    with _opened(directory, LOG) as rows:  # a day's log is half a gigabyte
        for line in hlog.read_lines(rows if series is None else hlog.select_series(rows, series), where):
            counted[line.tag] += int(line.counts.counts.sum())
            yield line
    expected = run.latency if series is None else {series: run.latency[series]}
    _check(where, counted, {name: latency.count for name, latency in expected.items()})


def read_timeline(directory: Path, run: Run) -> bytes:
    """Read timeline.csv, whose sums must be those of the run."""
    text, where = _read(directory, TIMELINE), str(directory / TIMELINE)
    try:
        rows = list(csv.DictReader(text.decode().splitlines(), strict=True))
        counted = {name: sum(int(row[name]) for row in rows) for name in _TIMELINE_COUNTS}
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise ResultError(f"{where} is not a timeline: {error}", remedy="The file was truncated or edited.") from error
    _check(where, counted, {name: getattr(run.messages_all_phases, name) for name in _TIMELINE_COUNTS})
    return text


def read_distribution(directory: Path, run: Run, series: str) -> bytes:
    """Read the .hgrm of a series, whose count must be that of the run."""
    name = f"{file_stem(series)}.hgrm"
    text = _read(directory, name)
    count = _HGRM_COUNT.search(text)
    _check(str(directory / name), {series: int(count[1]) if count else 0}, {series: run.latency[series].count})
    return text


def _check(where: str, counted: Mapping[str, int], expected: Mapping[str, int]) -> None:
    for name in sorted({*counted, *expected}):
        here, there = counted.get(name, 0), expected.get(name, 0)
        if here != there:
            what = f"{where} and run.json do not agree: {here:,} and {there:,} of {name!r}"
            raise ResultError(what, remedy="One of the files was truncated or edited.")


def _read(directory: Path, name: str) -> bytes:
    with _opened(directory, name) as file:
        return file.read()


def _opened(directory: Path, name: str) -> BinaryIO:
    try:
        return (directory / name).open("rb")
    except OSError as error:
        raise ResultError(f"the result {directory} has no {name}: {error.strerror or error}") from error
