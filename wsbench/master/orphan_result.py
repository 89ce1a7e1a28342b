"""What a worker leaves that has lost its master: a result of its own, of its own share of the load."""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wsbench.errors import WsbenchError
from wsbench.master.interval_spill import IntervalSpill
from wsbench.master.result_builder import ResultBuilder
from wsbench.master.target_usage import TargetUsage
from wsbench.master.worker_registry import WorkerState
from wsbench.measure.phases import FOREVER_NS, PhasePlan
from wsbench.measure.totals import Totals
from wsbench.report.text import summary
from wsbench.results.directory import LOG_FILE, Staging
from wsbench.results.run_result import Run
from wsbench.run.handoff import Handoff
from wsbench.run.options import RunOptions
from wsbench.units import NS_PER_S
from wsbench.worker.report_queue import ReportQueue

logger = logging.getLogger("wsbench")
console = logging.getLogger("locust.stats_logger")
_SETTLING_NS = 10 * NS_PER_S
_FALLBACK_DIRECTORY = "wsbench-results"


def save(reports: ReportQueue, options: RunOptions, setup: Mapping[str, Any], *, worker: int, plan: PhasePlan) -> None:
    """Store what a worker has reported, and say where; in the log, whatever else happens.

    Args:
        setup: what the master had told it of the run.
        plan: the phases as they were, on the master's clock.
    """
    try:
        builder = _builder(reports, options, setup, worker=worker, plan=plan)
        if not builder.opened:
            logger.error("The master was lost before this worker had opened a connection: there is nothing to keep")
            return
        run, files = builder.result()
    except Exception:
        logger.exception("The master was lost, and what this worker had measured could not be put together")
        return
    path = _store(run, files, options.results)
    builder.spill.close()
    if path is not None:
        logger.error("The master was lost: what this worker measured is in %s", path)
    else:
        logger.error("The master was lost, and what this worker measured could not be stored: the summary is all of it")
    for row in summary.legible(summary.render(run, str(path or "not stored")), sys.stdout.encoding).splitlines():
        console.info(row)


def _builder(
    reports: ReportQueue, options: RunOptions, setup: Mapping[str, Any], *, worker: int, plan: PhasePlan
) -> ResultBuilder:
    record, totals, spill = WorkerState(worker), Totals(), IntervalSpill()
    for report in reports.replay():
        totals.add(report.deltas)
        record.take(report)
        latest_ns = max((delta.start_ns for delta in report.deltas), default=0)
        spill.spill(totals, latest_ns - options.timeout_ns - _SETTLING_NS)
    totals.settle_groups(FOREVER_NS)
    mine, all_users = record.report.connections.attempted, options.users
    lacks = "" if reports.persistent else "; the disk was full: what it reported last is not here"
    # Its share, so that conditions and figures go together. Gates speak of the whole.
    share = replace(
        options,
        users=max(mine, 1),
        processes=1,
        rate=None if options.rate is None else options.rate * mine / all_users,
        gates=(),
    )
    return ResultBuilder(
        options=share,
        scenario=setup["scenario"],
        run_id=f"{setup['run_id']}-worker-{worker}",
        started=datetime.fromtimestamp(setup["started_s"], UTC),
        command=["locust", *sys.argv[1:]],
        plan=plan,
        totals=totals,
        spill=spill,
        workers=[record],
        complete=False,
        target=TargetUsage(),
        settings=setup["settings"],
        counters=totals.counters(),
        master_lost=f"the master was lost: this is what worker {worker} of {options.processes} measured with {mine} of "
        f"{all_users} connections; {reports.unacknowledged} of its {record.report.number} reports were never "
        f"acknowledged{lacks}",
    )


def _store(run: Run, files: dict[str, bytes | Iterable[bytes]], results: Path) -> Path | None:
    told = Handoff.from_environment()
    log = Path(told.staging) / LOG_FILE if told is not None else None
    if log is not None and log.is_file():
        files[LOG_FILE] = log.read_bytes()
    for directory in (results, Path(tempfile.gettempdir()) / _FALLBACK_DIRECTORY):
        try:
            staging = Staging.of_id(directory, run.id)
            staging.store(files)
            return staging.final
        except (OSError, WsbenchError) as error:
            logger.error("%s", error)
    return None
