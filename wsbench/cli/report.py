"""`wsbench report`: report.html of a stored result, made again."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from wsbench.errors import UsageError
from wsbench.experiment.overview import make_overview
from wsbench.measure.bucket_arrays import DenseBuckets
from wsbench.measure.histogram import Buckets
from wsbench.report import stored_files
from wsbench.report.html import capacity_page, experiment_page, run_page
from wsbench.results import capacity_result, experiment_result, run_result
from wsbench.results.capacity_result import CAPACITY_FILE
from wsbench.results.directory import REPORT_FILE, replace_file
from wsbench.results.json_files import exists
from wsbench.results.run_result import Run

FILE = REPORT_FILE
_CURVE = "response"


@click.command("report", short_help="Make report.html of a stored result again.")
@click.argument("result", type=click.Path(path_type=Path))
@click.option(
    "--output",
    metavar="FILE|-",
    help=f"Where to write it; - is standard output.  [default: {FILE} in the result's directory]",
)
def command(result: Path, output: str | None) -> None:
    """Make the report of a stored result, of a run, an experiment or a capacity: one HTML file that works offline."""
    directory, content = _made(result)
    if output == "-":
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    file = directory / FILE if output is None else Path(output)
    try:
        replace_file(file, content)
    except OSError as error:
        raise UsageError(f"--output {file}: {error.strerror or error}", remedy="Name a file: --output FILE.") from error
    click.echo(file)


def _made(result: Path) -> tuple[Path, bytes]:
    if result.name == experiment_result.EXPERIMENT_FILE or exists(result / experiment_result.EXPERIMENT_FILE):
        directory = result if result.is_dir() else result.parent
        return directory, of_experiment(directory)
    if result.name == CAPACITY_FILE or exists(result / CAPACITY_FILE):
        directory = result if result.is_dir() else result.parent
        return directory, of_capacity(directory)
    run = run_result.load(result)
    directory = result if result.is_dir() else result.parent
    return directory, run_page.report(
        run, stored_files.read_lines(directory, run), stored_files.read_timeline(directory, run)
    )


def of_experiment(directory: Path) -> bytes:
    """The report of the experiment in a directory.

    Raises:
        ResultError: it cannot be read, or one of its runs.
    """
    experiment = experiment_result.load(directory)
    example: Run | None = None
    curves: dict[str, tuple[Buckets, int]] = {}
    for cell in experiment.cells:
        whole = DenseBuckets()
        lost = 0
        for done in cell.runs:
            if done.status == experiment_result.DONE and done.run:
                example = run_result.load(directory / done.run)
                lost += example.latency[_CURVE].lost
                for line in stored_files.read_lines(directory / done.run, example, _CURVE):
                    whole.add(line.counts)
        curves[cell.key] = (whole.buckets(), lost)
    return experiment_page.report(
        experiment_page.ExperimentReport(
            id=experiment.id,
            name=experiment.name,
            started=experiment.started,
            complete=experiment.complete,
            seed=experiment.seed,
            wsbench=experiment.wsbench,
            overview=make_overview(experiment, directory),
            curves=curves,
            example=example,
        )
    )


def of_capacity(directory: Path) -> bytes:
    """The report of the capacity in a directory.

    Raises:
        ResultError: it cannot be read.
    """
    found = capacity_result.load(directory)
    runs = [directory / step.run for step in found.steps if step.run]
    example = next((run_result.load(run) for run in reversed(runs) if exists(run / run_result.RUN_FILE)), None)
    return capacity_page.report(found, example)
