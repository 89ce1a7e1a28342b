"""`wsbench matrix`: an experiment: targets under many conditions, repeated, in fair turns."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from wsbench import __version__, machine
from wsbench.cli.params import Parsed
from wsbench.cli.progress import ProgressLine
from wsbench.cli.report import FILE as REPORT_FILE
from wsbench.cli.report import of_experiment
from wsbench.errors import UsageError, WsbenchError
from wsbench.experiment import spec
from wsbench.experiment.experiment_runner import RunStart, run_experiment
from wsbench.experiment.experiment_store import ExperimentStore, latest_experiment
from wsbench.experiment.order import missing_runs, plan_cells
from wsbench.experiment.overview import make_overview, without_numbers
from wsbench.experiment.spec import Spec
from wsbench.launcher.cell_runs import CellRuns
from wsbench.launcher.locust_process import interruptible
from wsbench.report.text import overview_text, summary
from wsbench.results import experiment_result
from wsbench.results.directory import replace_file
from wsbench.results.experiment_result import DONE, FAILED, Cell, Experiment
from wsbench.results.json_files import encode_json
from wsbench.results.overview_result import Overview
from wsbench.results.run_result import load as load_run
from wsbench.run import exit_codes
from wsbench.run.options import parse_name
from wsbench.units import NS_PER_S, format_seconds, format_utc

_AROUND_A_RUN_NS = 4 * NS_PER_S
"""For target and Locust to start and to end."""


def _matrix(file: Path | None, **given: Any) -> int:
    """An experiment; its exit code."""
    if given["resume"] is not None:
        store, checked, experiment = _resumed(file, given)
    elif file is not None:
        store, checked, experiment = _begun(file, given)
    else:
        raise click.UsageError("Missing argument 'FILE'.")
    with store:
        experiment, interrupted = _conducted(store, checked, experiment, quiet=given["quiet"])
        found = make_overview(experiment, store.path)
        if any(row.done for row in found.rows):
            replace_file(store.path / REPORT_FILE, of_experiment(store.path))
    _say(experiment, found, store.path, as_json=given["json"], quiet=given["quiet"])
    if interrupted or not experiment.complete:
        _say_how_to_go_on(experiment, store.path)
    else:
        _print_failures(experiment, found, store.path)
    return exit_codes.of_experiment(experiment, found, strict=given["strict"], interrupted=interrupted)


def _begun(file: Path, given: dict[str, Any]) -> tuple[ExperimentStore, Spec, Experiment]:
    checked = spec.load(file)
    seed = checked.seed if given["seed"] is None else given["seed"]
    cells = plan_cells(checked, repetitions=given["repetitions"] or checked.repetitions, seed=seed)
    _check(checked, cells, str(file))
    if not any(cell.runs for cell in cells):
        raise UsageError(f"{file}: there is nothing to run: {cells[0].hole}")
    name = given["name"] or checked.name
    store = ExperimentStore.create(given["results"], name, checked.text)
    experiment = Experiment(
        schema=experiment_result.SCHEMA,
        id=store.id,
        name=name,
        complete=False,
        started=format_utc(datetime.now(UTC)),
        wsbench=__version__,
        seed=seed,
        baseline=checked.baseline,
        cells=cells,
    )
    return store, checked, experiment


def _resumed(file: Path | None, given: dict[str, Any]) -> tuple[ExperimentStore, Spec, Experiment]:
    for option in ("seed", "repetitions", "name"):
        if given[option] is not None:
            raise UsageError(f"--{option} cannot be changed with --resume", remedy="Start a new experiment.")
    store = ExperimentStore(
        Path(given["resume"])
        if given["resume"]
        else latest_experiment(given["results"], None if file is None else _text(file))
    )
    experiment = store.load()
    checked = spec.load(store.toml)
    if file is not None and _text(file) != checked.text:
        raise UsageError(
            f"{file} is not what {store.path} was started with",
            remedy="Leave FILE out to go on with that, or --resume to start a new experiment.",
        )
    _check(checked, experiment.cells, str(store.toml))
    _check_machine(experiment, store)
    return store, checked, experiment


def _text(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror or error}") from error


def _check(checked: Spec, cells: list[Cell], file: str) -> None:
    """Nothing in it that only the run in question would notice."""
    names = [target.name for target in checked.targets]
    for cell in cells:
        if cell.target not in names:
            raise UsageError(f"{file}: targets: it has no {cell.target!r}, which experiment.json has")
    try:
        CellRuns(checked, Path(), lambda _: None).check(cells)
    except UsageError as error:
        raise UsageError(f"{file}: {error.what}", remedy=error.remedy) from error


def _check_machine(experiment: Experiment, store: ExperimentStore) -> None:
    done = [run.run for cell in experiment.cells for run in cell.runs if run.status == DONE and run.run]
    if done and load_run(store.path / done[0]).environment.host_id != machine.host_id():
        raise UsageError(
            f"{store.path} was started on another machine", remedy="Its runs would not be comparable: start a new one."
        )


def _conducted(
    store: ExperimentStore, checked: Spec, experiment: Experiment, *, quiet: bool
) -> tuple[Experiment, bool]:
    with ProgressLine(enabled=not quiet) as line, interruptible():
        line.say(_announced(experiment, store))
        for target in checked.targets:
            if missing := target.target.missing():
                remedy = f"\n  Install it: {target.target.install_command}" if target.target.install_command else ""
                line.say(f"target {target.name} cannot be started: {missing}{remedy}")
        execute = CellRuns(checked, store.runs, line.update)
        expected_ns = checked.run_ns + _AROUND_A_RUN_NS
        return run_experiment(store, experiment, execute, _Told(line), expected_run_ns=expected_ns)


def _announced(experiment: Experiment, store: ExperimentStore) -> str:
    total = sum(len(cell.runs) for cell in experiment.cells)
    missing = len(missing_runs(experiment))
    holes = sum(cell.hole is not None for cell in experiment.cells)
    without = f" ({holes} more cannot exist)" if holes else ""
    done = f", {total - missing} of them done" if missing < total else ""
    cells = len(experiment.cells) - holes
    return f"{experiment.name}: {cells} cells{without}, {total} runs{done}, seed {experiment.seed}: {store.path}"


class _Told:
    """Tells the user what happens."""

    def __init__(self, line: ProgressLine) -> None:
        self._line = line
        self._said: set[tuple[str, str]] = set()

    def run_started(self, step: RunStart) -> None:
        """What runs now, and how long all of it will take yet."""
        left = format_seconds(max(round(step.left_ns, -9), NS_PER_S))
        self._line.begin(f"[{step.number} of {step.total}, about {left} left] {step.cell.key}")

    def run_failed(self, cell: Cell, reason: str) -> None:
        """Every reason once for a target."""
        news = (cell.target, without_numbers(reason))
        if news not in self._said:
            self._line.say(f"failed: {cell.key}: {reason}")
        self._said.add(news)


def _say(experiment: Experiment, found: Overview, path: Path, *, as_json: bool, quiet: bool) -> None:
    if not quiet:
        output = sys.stderr if as_json else sys.stdout
        click.echo(summary.legible(overview_text.render(found, str(path)), output.encoding), nl=False, file=output)
    if as_json:
        document = msgspec.to_builtins(experiment)
        for cell, row in zip(document["cells"], found.rows, strict=True):
            cell["overview"] = msgspec.to_builtins(row)
        click.echo(encode_json({**document, "path": str(path)}), nl=False)


def _say_how_to_go_on(experiment: Experiment, path: Path) -> None:
    total = sum(len(cell.runs) for cell in experiment.cells)
    done = total - len(missing_runs(experiment))
    print(f"wsbench: interrupted: {done} of {total} runs are done; to go on:", file=sys.stderr)
    print(f"  wsbench matrix --resume {path}", file=sys.stderr)


def _print_failures(experiment: Experiment, overview: Overview, path: Path) -> None:
    if not any(row.done for row in overview.rows):
        reasons = [reason for row in overview.rows for reason in row.failures]
        raise WsbenchError(f"nothing could be measured: {reasons[0]}", remedy=f"What was tried is in {path}.")
    failed = sum(run.status == FAILED for cell in experiment.cells for run in cell.runs)
    if failed:
        print(f"wsbench: {failed} run{'s' if failed > 1 else ''} failed; to try again:", file=sys.stderr)
        print(f"  wsbench matrix --resume {path}", file=sys.stderr)


command = click.Command(
    "matrix",
    callback=_matrix,
    params=[
        click.Argument(["file"], required=False, metavar="FILE", type=click.Path(path_type=Path)),
        click.Option(
            ["--resume"],
            is_flag=False,
            flag_value="",
            metavar="[DIR]",
            help="Go on with an experiment that was interrupted: make the runs that are missing. Without DIR: with the "
            "latest that began with FILE.",
        ),
        click.Option(
            ["--results"],
            type=click.Path(path_type=Path),
            default="results",
            show_default=True,
            metavar="DIR",
            help="Where experiments are stored.",
        ),
        click.Option(
            ["--name"],
            type=Parsed("name", parse_name),
            metavar="NAME",
            help="A name for the experiment (default: the file's).",
        ),
        click.Option(["--seed"], type=click.IntRange(0), metavar="N", help="Of the order of runs."),
        click.Option(["--repetitions"], type=click.IntRange(1), metavar="N", help="Runs of every cell."),
        click.Option(["--strict"], is_flag=True, help="Exit with 4 if a verdict of an open loop is not ok."),
        click.Option(
            ["--json"], is_flag=True, help="Print one JSON document on standard output; the table goes to stderr."
        ),
        click.Option(["--quiet"], is_flag=True, help="Print no progress and no table."),
    ],
    help="Run an experiment: every target under all conditions of FILE (TOML), repeated, in blocks of random order. "
    "Prints how all compare with the baseline.",
)
