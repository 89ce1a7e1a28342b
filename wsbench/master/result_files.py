"""The files of a result directory, made from the figures of run.json and from what was counted."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterable, Iterator

import wsbench
from wsbench.master.measurement import Measurement
from wsbench.measure.bucket_arrays import SparseBuckets
from wsbench.measure.phases import Phase
from wsbench.measure.series import LATENCY_SERIES, file_stem
from wsbench.report import hgrm, hlog, timeline
from wsbench.report.html import run_page
from wsbench.results import run_result
from wsbench.results.directory import REPORT_FILE
from wsbench.results.json_files import encode_json
from wsbench.units import NS_PER_MS, NS_PER_S

logger = logging.getLogger(__name__)

Files = dict[str, bytes | Iterable[bytes]]
"""Content by file name; a long file comes in pieces, once."""


def build(run: run_result.Run, measurement: Measurement) -> Files:
    """Return the files of a result."""
    intervals = [*map(timeline.make_row, measurement.intervals), *measurement.spill.rows()]
    over_time = timeline.encode(sorted(intervals, key=lambda row: row.start_ns), measurement.cpu_by_interval)
    files: Files = {
        run_result.RUN_FILE: encode_json(run),
        "latency.hlog": _log(run.id, measurement),
        "timeline.csv": over_time,
    }
    try:
        files[REPORT_FILE] = run_page.report(run, _report_lines(run.id, measurement), over_time)
    except Exception:  # keep the measurement: the report can be made again from the other files
        logger.exception("report.html could not be made; `wsbench report` would try again")
    for name, buckets in measurement.series.items():
        if name in LATENCY_SERIES or buckets:
            files[f"{file_stem(name)}.hgrm"] = hgrm.encode(buckets)
    return files


def _log(run_id: str, measurement: Measurement) -> Iterator[bytes]:
    """Yield the lines of latency.hlog in order of time, spilled ones included."""
    begin = measurement.spill.begin_ns
    if begin is None:
        first = min((interval.start_ns for interval in measurement.intervals), default=0)
        begin = first // NS_PER_MS * NS_PER_MS
    head = hlog.encode_header(start_ns=begin, comment=f"wsbench {wsbench.__version__} {run_id}")
    yield from head.splitlines(keepends=True)
    in_memory = []
    for interval in measurement.intervals:
        start_ns, length_ns = interval.start_ns, _length(measurement, interval.phase, interval.start_ns)
        for name, buckets in interval.series.items():
            if name in measurement.whole_run_series or interval.phase == Phase.MEASURE:
                in_memory.append((start_ns, name, hlog.encode_line(name, start_ns - begin, length_ns, buckets)))
    for _, _, row in heapq.merge(sorted(in_memory), measurement.spill.log_rows()):
        yield row


def _length(measurement: Measurement, phase: str, start_ns: int) -> int:
    interval = measurement.plan.interval_at(start_ns)
    return interval.end_ns - start_ns if interval.phase == phase else NS_PER_S


def _report_lines(run_id: str, measurement: Measurement) -> Iterator[hlog.Line]:
    """Yield the log lines that the report needs: one series over time, and the sums of the others.

    The log of a day has too many lines to decode them all.
    """
    for name, buckets in measurement.series.items():
        if name != run_page.OVER_TIME and buckets:
            yield hlog.Line(name, 0, 0, SparseBuckets.of(buckets))
    yield from hlog.read_lines(hlog.select_series(_log(run_id, measurement), run_page.OVER_TIME), "latency.hlog")
