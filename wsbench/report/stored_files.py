"""The files beside a run.json, held against it: one that was cut off or edited is refused, not passed on."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from wsbench.errors import ResultError
from wsbench.report import hlog
from wsbench.results.run_result import Run

LOG, TIMELINE = "latency.hlog", "timeline.csv"
_HGRM_COUNT = re.compile(rb"^#\[Max +=[^,]*, Total count +=\s*(\d+)\]$", re.MULTILINE)
_OF_TIMELINE = ("sent", "received", "lost")


def read_log(directory: Path, series: str | None = None) -> bytes:
    """latency.hlog, or the lines of one series of it.

    Raises:
        ResultError: there is none.
    """
    text = _read(directory, LOG)
    return text if series is None else b"".join(hlog.select_series(text.splitlines(keepends=True), series))


def read_lines(directory: Path, run: Run, series: str | None = None) -> Iterator[hlog.StoredLine]:
    """The lines of latency.hlog, one by one.

    Raises:
        ResultError: there is none, or it is no log, or (behind the last line) it holds less or more than the run says.
    """
    where, found = str(directory / LOG), Counter[str]()
    with _opened(directory, LOG) as rows:  # a day's log is half a gigabyte
        for line in hlog.read_lines(rows if series is None else hlog.select_series(rows, series), where):
            found[line.tag] += int(line.counts.counts.sum())
            yield line
    asked = run.latency if series is None else {series: run.latency[series]}
    _agree(where, found, {name: latency.count for name, latency in asked.items()})


def read_timeline(directory: Path, run: Run) -> bytes:
    """timeline.csv.

    Raises:
        ResultError: there is none, or its rows do not add up to what the run says.
    """
    text, where = _read(directory, TIMELINE), str(directory / TIMELINE)
    try:
        rows = list(csv.DictReader(text.decode().splitlines(), strict=True))
        found = {name: sum(int(row[name]) for row in rows) for name in _OF_TIMELINE}
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise ResultError(f"{where} is not a timeline: {error}", remedy="The file was cut off or edited.") from error
    _agree(where, found, {name: getattr(run.messages_all_phases, name) for name in _OF_TIMELINE})
    return text


def read_distribution(directory: Path, run: Run, series: str) -> bytes:
    """The .hgrm of a series.

    Raises:
        ResultError: there is none, or it holds less or more than the run says.
    """
    name = f"{series}.hgrm"
    text = _read(directory, name)
    count = _HGRM_COUNT.search(text)
    _agree(str(directory / name), {series: int(count[1]) if count else 0}, {series: run.latency[series].count})
    return text


def _agree(where: str, found: Mapping[str, int], expected: Mapping[str, int]) -> None:
    for name in sorted({*found, *expected}):
        if found.get(name, 0) != expected.get(name, 0):
            raise ResultError(
                f"{where} and run.json do not agree: {found.get(name, 0):,} and {expected.get(name, 0):,} of {name!r}",
                remedy="One of the files was cut off or edited.",
            )


def _read(directory: Path, name: str) -> bytes:
    with _opened(directory, name) as file:
        return file.read()


def _opened(directory: Path, name: str) -> BinaryIO:
    try:
        return (directory / name).open("rb")
    except OSError as error:
        raise ResultError(f"the result {directory} has no {name}: {error.strerror or error}") from error
