"""A file for settled seconds: a day has 86,400 of them, and each takes 100 KB in memory.

The distributions of a second are written as the lines of latency.hlog that they will become; only its row of
timeline.csv stays in memory. If a report arrives late for a spilled second (its worker had been cut off), the second
is kept in memory as well and merged with its lines in the file at the end of the run.
"""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from wsbench.measure.delta import IntervalDelta
from wsbench.measure.series import decode_name
from wsbench.measure.totals import Totals
from wsbench.report import hlog, timeline
from wsbench.units import NS_PER_MS, NS_PER_S

logger = logging.getLogger(__name__)

LogRow = tuple[int, str, bytes]
"""A line of the log: start in ns since the epoch, tag, row."""


class IntervalSpill:
    """The settled seconds of one run's measure phase.

    Attributes:
        begin_ns: the instant that times in the lines are relative to; None before the first line.
    """

    def __init__(self, directory: Path | None = None) -> None:
        """Open an unnamed file on the disk of `directory`; it disappears with the process."""
        self.begin_ns: int | None = None
        self._rows: dict[int, timeline.TimelineRow] = {}
        self._late: dict[int, IntervalDelta] = {}
        self._full = False
        self._file: IO[bytes] = io.BytesIO()
        try:
            self._file = tempfile.TemporaryFile(dir=directory, buffering=0)  # noqa: SIM115 - open as long as the run
        except OSError as error:
            self._give_up(error)

    def spill(self, totals: Totals, before_ns: int, yield_control: Callable[[], None] = lambda: None) -> None:
        """Move the seconds that began before `before_ns` from `totals` to the file; yield control in between."""
        if self._full:
            return
        for interval in totals.pop_settled(before_ns):
            if self.begin_ns is None:
                first = min((each.start_ns for each in totals.intervals()), default=interval.start_ns)
                self.begin_ns = min(first, interval.start_ns) // NS_PER_MS * NS_PER_MS
            if interval.start_ns in self._rows:
                self._late.setdefault(interval.start_ns, IntervalDelta(interval.phase, interval.start_ns)).add(interval)
            elif not self._write(interval, yield_control):
                totals.restore(interval)
                return
            totals.add_spilled(interval, yield_control)

    def _write(self, interval: IntervalDelta, yield_control: Callable[[], None]) -> bool:
        assert self.begin_ns is not None
        after_ns = interval.start_ns - self.begin_ns
        lines = [
            hlog.encode_line(name, after_ns, NS_PER_S, buckets, yield_control)
            for name, buckets in sorted(interval.series.items())
        ]
        text, end = b"".join(lines), self._file.tell()
        try:
            if self._file.write(text) != len(text):
                raise OSError("the disk is full")
        except OSError as error:
            self._file.truncate(end)
            self._file.seek(end)
            self._give_up(error)
            return False
        self._rows[interval.start_ns] = timeline.make_row(interval, yield_control)
        return True

    def _give_up(self, error: OSError) -> None:
        self._full = True
        logger.warning("Settled seconds stay in memory: they cannot be written to disk: %s", error.strerror or error)

    def late_intervals(self) -> list[IntervalDelta]:
        """Return the spilled seconds that got a late report, whole, and leave them out of `rows` and `log_rows`."""
        late = {self._time(start_ns): interval for start_ns, interval in self._late.items()}
        for text, tag, row in self._lines() if late else ():
            if text in late:
                (line,) = hlog.read_lines([row], "the spill file")
                late[text].add(IntervalDelta("", 0, {}, {tag: line.counts.buckets()}))
        for start_ns, interval in self._late.items():
            interval.add(IntervalDelta("", 0, self._rows.pop(start_ns).counts(), {}))
        self._late = {}
        return list(late.values())

    def rows(self) -> list[timeline.TimelineRow]:
        """Return the timeline's rows in order of time."""
        return [self._rows[start_ns] for start_ns in sorted(self._rows)]

    def log_rows(self) -> Iterator[LogRow]:
        """Yield the log's lines in order of time."""
        starts = {self._time(start_ns): start_ns for start_ns in self._rows}
        for text, tag, row in self._lines():
            if text in starts:
                yield starts[text], tag, row

    def close(self) -> None:
        """Close the file, which deletes it."""
        self._file.close()

    def _time(self, start_ns: int) -> str:
        assert self.begin_ns is not None
        return f"{(start_ns - self.begin_ns) / NS_PER_S:.3f}"

    def _lines(self) -> Iterator[tuple[str, str, bytes]]:
        if not self._rows and not self._late:
            return
        self._file.seek(0)
        with open(self._file.fileno(), "rb", closefd=False) as lines:
            for row in lines:
                tag, start, _ = row.split(b",", 2)
                yield start.decode(), decode_name(tag.decode().removeprefix("Tag=")), row
