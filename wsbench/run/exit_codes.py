"""The exit codes of commands and of the Locust process, by result. Errors have theirs in `wsbench.errors`.

| code | run            | compare      | capacity                         | matrix         | calibrate         |
| ---- | -------------- | ------------ | -------------------------------- | -------------- | ----------------- |
| 0    | measured       | not slower   | a load holds                     | measured       | all answers right |
| 1    | a gate failed  | slower       | the lowest load does not hold    |                |                   |
| 3    | not measured   |              | none holds: the generator's side | a cell failed ‡|                   |
| 4    | not trusted *  |              | the generator is the limit *     | not trusted *  | a wrong answer    |
| 5    |                | inconclusive |                                  |                |                   |
| 130  | interrupted    |              | interrupted                      | interrupted    |                   |

* with --strict; ‡ all runs of a cell, or there is none
"""

from __future__ import annotations

from wsbench.errors import ExitCode
from wsbench.results.calibration_result import Calibration
from wsbench.results.capacity_result import GENERATOR, INTERRUPTED, Capacity
from wsbench.results.comparison_result import Comparison, Verdict
from wsbench.results.experiment_result import Experiment
from wsbench.results.overview_result import Overview, OverviewRow
from wsbench.results.run_result import Ending, Run
from wsbench.run import outcome


def of_run(run: Run, *, interrupted: bool = False) -> ExitCode:
    """Return the exit code of a run that left a result; `interrupted` after its end counts as well."""
    if interrupted or run.ended_by == Ending.INTERRUPT:
        return ExitCode.INTERRUPTED
    if run.outcome.result == outcome.NOT_MEASURED:
        return ExitCode.NOT_MEASURED
    codes = {reason.code for reason in run.outcome.reasons}
    if outcome.GATE_FAILED in codes:
        return ExitCode.GATE_FAILED
    return ExitCode.NOT_TRUSTED if outcome.NOT_TRUSTED in codes else ExitCode.OK


def of_comparison(comparison: Comparison) -> ExitCode:
    """Return the exit code of a comparison."""
    if comparison.verdict == Verdict.SLOWER:
        return ExitCode.GATE_FAILED
    return ExitCode.INCONCLUSIVE if comparison.verdict == Verdict.INCONCLUSIVE else ExitCode.OK


def of_capacity(capacity: Capacity, *, strict: bool) -> ExitCode:
    """Return the exit code of a search: a server of which the lowest load does not hold fails as by a gate."""
    if capacity.stopped is not None:
        return ExitCode.INTERRUPTED if capacity.stopped == INTERRUPTED else ExitCode.NOT_MEASURED
    if capacity.answer is None:
        return ExitCode.NOT_MEASURED if capacity.limited_by == GENERATOR else ExitCode.GATE_FAILED
    return ExitCode.NOT_TRUSTED if strict and capacity.limited_by == GENERATOR else ExitCode.OK


def of_experiment(experiment: Experiment, overview: Overview, *, strict: bool, interrupted: bool) -> ExitCode:
    """Return the exit code of an experiment."""
    if interrupted or not experiment.complete:
        return ExitCode.INTERRUPTED
    if any(row.asked and not row.done for row in overview.rows) or not any(row.done for row in overview.rows):
        return ExitCode.NOT_MEASURED
    return ExitCode.NOT_TRUSTED if strict and not all(map(trusted, overview.rows)) else ExitCode.OK


def of_calibration(calibration: Calibration) -> ExitCode:
    """Return the exit code of a calibration."""
    return ExitCode.OK if all(answer.right for answer in calibration.known_answers) else ExitCode.NOT_TRUSTED


def trusted(row: OverviewRow) -> bool:
    """Return whether the generator was fit in all runs; a closed loop is meant to saturate it."""
    return not any(verdict != "saturated" or row.open_loop for verdict in row.verdicts)
