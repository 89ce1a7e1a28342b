"""report.html of a stored result: a run, an experiment or a capacity.

All functions raise ResultError for a result, or a run of it, that cannot be read.
"""

from __future__ import annotations

from pathlib import Path

from wsbench.experiment.overview import make_overview
from wsbench.measure.bucket_arrays import DenseBuckets
from wsbench.measure.histogram import Buckets
from wsbench.report import stored_files
from wsbench.report.html import capacity_page, experiment_page, run_page
from wsbench.results import capacity_result, experiment_result, run_result
from wsbench.results.capacity_result import CAPACITY_FILE
from wsbench.results.experiment_result import EXPERIMENT_FILE
from wsbench.results.json_files import exists
from wsbench.results.run_result import Run

_CURVE = "response"


def of_result(result: Path) -> tuple[Path, bytes]:
    """Return a result's directory and its report; `result` is the directory or its JSON file."""
    for name, report_of in ((EXPERIMENT_FILE, of_experiment), (CAPACITY_FILE, of_capacity)):
        if result.name == name or exists(result / name):
            directory = result.parent if result.name == name else result
            return directory, report_of(directory)
    run = run_result.load(result)
    directory = result if result.is_dir() else result.parent
    lines, timeline = stored_files.read_lines(directory, run), stored_files.read_timeline(directory, run)
    return directory, run_page.report(run, lines, timeline)


def of_experiment(directory: Path) -> bytes:
    """Return the report of the experiment in a directory."""
    experiment = experiment_result.load(directory)
    example: Run | None = None
    curves: dict[str, tuple[Buckets, int]] = {}
    for cell in experiment.cells:
        whole, lost = DenseBuckets(), 0
        for done in cell.runs:
            if done.status == experiment_result.DONE and done.run:
                example = run_result.load(directory / done.run)
                lost += example.latency[_CURVE].lost
                for line in stored_files.read_lines(directory / done.run, example, _CURVE):
                    whole.add(line.counts)
        curves[cell.key] = (whole.buckets(), lost)
    return experiment_page.report(experiment, make_overview(experiment, directory), curves, example)


def of_capacity(directory: Path) -> bytes:
    """Return the report of the capacity in a directory."""
    capacity = capacity_result.load(directory)
    runs = [directory / step.run for step in capacity.steps if step.run]
    example = next((run_result.load(run) for run in reversed(runs) if exists(run / run_result.RUN_FILE)), None)
    return capacity_page.report(capacity, example)
