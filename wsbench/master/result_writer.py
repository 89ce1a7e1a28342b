"""The outcome of a run: a stored result, or the reason why there is none."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from wsbench.errors import ExitCode, UsageError, WsbenchError
from wsbench.master import result_builder, result_files
from wsbench.master.measurement import Measurement
from wsbench.report.text import summary
from wsbench.results.directory import ResultNotStored, Staging
from wsbench.results.run_result import Ending, Run
from wsbench.run import exit_codes
from wsbench.run.handoff import FAILURE_FILE, Failure
from wsbench.run.protocol import RunDescription

logger = logging.getLogger(__name__)
_terminal = logging.getLogger("locust.stats_logger")
"""Locust's logger for its own closing tables: plain lines, on the terminal."""


@dataclass(frozen=True)
class WrittenResult:
    """The outcome of a run.

    Attributes:
        run: the result; None when nothing was measured.
        directory: where the result is stored; None if it could not be stored.
        failure: why nothing was measured, or why the result was not stored.
    """

    code: ExitCode = ExitCode.NOT_MEASURED
    run: Run | None = None
    directory: Path | None = None
    failure: WsbenchError | None = None


def write(described: RunDescription, measured: Measurement, staging: Staging) -> WrittenResult:
    """Store the result of a run."""
    if measured.empty:
        failure = measured.failure()
        logger.error("Nothing was measured: %s", failure.what)
        interrupted = measured.ended_by is Ending.INTERRUPT
        return WrittenResult(ExitCode.INTERRUPTED if interrupted else ExitCode.NOT_MEASURED, failure=failure)
    run = result_builder.build(described, measured)
    try:
        missing = staging.store(result_files.build(run, measured))
    except OSError as error:
        not_stored = ResultNotStored(staging.path.parent, error)
        logger.error("%s", not_stored.what)
        return WrittenResult(not_stored.exit_code, run, failure=not_stored)
    if missing:
        logger.error("%s; `wsbench report` would make it again", missing)
    logger.info("Result: %s", staging.final)
    return WrittenResult(exit_codes.of_run(run), run, staging.final)


def leave_failure(failure: WsbenchError, staging: Staging) -> None:
    """Leave the reason why there is no result in the staging directory, where the launcher looks for it."""
    usage = isinstance(failure, UsageError)
    document = Failure(failure.what, failure.remedy, str(failure.side), failure.kind, usage=usage)
    staging.write({FAILURE_FILE: msgspec.json.encode(document)})


def print_summary(run: Run, directory: Path | None) -> None:
    """Print the summary of a run, with the directory of its result, where Locust prints its tables."""
    text = summary.render(run, str(directory or "not stored"))
    for row in summary.legible(text, sys.stdout.encoding).splitlines():
        _terminal.info(row)
