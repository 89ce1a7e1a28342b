"""The result of a worker that has lost its master: it covers the worker's share of the load."""

from __future__ import annotations

import contextlib
import logging
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from wsbench.errors import WsbenchError
from wsbench.master import result_builder, result_files
from wsbench.master.collector import SETTLING_NS
from wsbench.master.interval_spill import IntervalSpill
from wsbench.master.measurement import Measurement
from wsbench.master.result_writer import print_summary
from wsbench.master.worker_registry import WorkerRegistry
from wsbench.measure.phases import FOREVER_NS, PhasePlan
from wsbench.measure.totals import Totals
from wsbench.results.directory import LOG_FILE, Staging
from wsbench.results.run_result import Ending, Run, TargetResult
from wsbench.run.handoff import Handoff
from wsbench.run.protocol import Report, RunDescription

logger = logging.getLogger("wsbench")

_FALLBACK_DIRECTORY = "wsbench-results"


def save(
    reports: Iterable[Report],
    described: RunDescription,
    *,
    worker: int,
    plan: PhasePlan,
    unacknowledged: int,
    persistent: bool,
) -> None:
    """Store what a worker has reported, and log where. Errors are logged, not raised.

    Args:
        plan: the phases as they were, on the master's clock.
        unacknowledged: number of reports that the master did not confirm.
        persistent: whether `reports` are complete.
    """
    options = described.options
    with contextlib.closing(IntervalSpill()) as spill:
        try:
            measured = _measure(reports, spill, plan, options.timeout_ns)
            latest = measured.workers.expect(worker).report
            mine = latest.connections.asked
            if not latest.connections.opened:
                logger.error("The master was lost before this worker had opened a connection: nothing is stored")
                return
            measured.master_lost = (
                f"the master was lost: this is the result of worker {worker} of {options.processes} with {mine} of "
                f"{options.users} connections; {unacknowledged} of its {latest.number} reports were never "
                f"acknowledged{'' if persistent else '; the disk was full: its last reports are missing here'}"
            )
            run = result_builder.build(_share(described, worker, mine), measured)
            directory = _store(run, measured, options.results)
        except Exception:
            logger.exception("The master was lost, and no result could be made of this worker's reports")
            return
    if directory is not None:
        logger.error("The master was lost: the result of this worker is in %s", directory)
    else:
        logger.error("The master was lost, and the result of this worker could not be stored: only the summary is left")
    print_summary(run, directory)


def _measure(reports: Iterable[Report], spill: IntervalSpill, plan: PhasePlan, timeout_ns: int) -> Measurement:
    workers, totals = WorkerRegistry(), Totals()
    for report in reports:
        totals.add(report.deltas)
        workers.take(report)
        latest_ns = max((delta.start_ns for delta in report.deltas), default=0)
        spill.spill(totals, latest_ns - timeout_ns - SETTLING_NS)
    totals.settle_groups(FOREVER_NS)
    return Measurement(plan, totals, spill, workers, Ending.ERROR, False, TargetResult(), totals.counters())


def _share(described: RunDescription, worker: int, connections: int) -> RunDescription:
    """Return the description of one worker's part of a run: its conditions have to match its figures.

    Gates are left out, because they are about the whole run.
    """
    options = described.options
    rate = None if options.rate is None else options.rate * connections / options.users
    return replace(
        described,
        options=replace(options, users=max(connections, 1), processes=1, rate=rate, gates=()),
        run_id=f"{described.run_id}-worker-{worker}",
        command=options.secrets.command(["locust", *sys.argv[1:]]),
    )


def _store(run: Run, measured: Measurement, results: Path) -> Path | None:
    handoff = Handoff.from_environment()
    log = Path(handoff.staging) / LOG_FILE if handoff is not None else None
    for directory in (results, Path(tempfile.gettempdir()) / _FALLBACK_DIRECTORY):
        try:
            staging = Staging.of_id(directory, run.id)
            files = result_files.build(run, measured)
            if log is not None and log.is_file():
                files[LOG_FILE] = log.read_bytes()
            staging.store(files)
            return staging.final
        except (OSError, WsbenchError) as error:
            logger.error("%s", error)
    return None
