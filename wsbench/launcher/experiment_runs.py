"""An experiment from its file to its last run: begun or resumed, checked, and run in order."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from wsbench import __version__, machine
from wsbench.credentials import DEFAULT_SECRETS, Secrets
from wsbench.errors import UsageError
from wsbench.experiment import spec
from wsbench.experiment.experiment_runner import RunStart, run_experiment
from wsbench.experiment.experiment_store import ExperimentStore, latest_experiment
from wsbench.experiment.order import missing_runs, plan_cells
from wsbench.experiment.overview import make_overview, without_numbers
from wsbench.experiment.spec import Spec
from wsbench.launcher.cell_runs import CellRuns
from wsbench.launcher.progress_display import ProgressLine
from wsbench.report import stored_report
from wsbench.results import experiment_result
from wsbench.results.directory import REPORT_FILE, replace_file
from wsbench.results.experiment_result import DONE, Cell, Experiment
from wsbench.results.overview_result import Overview
from wsbench.results.run_result import load as load_run
from wsbench.units import NS_PER_S, format_seconds, format_utc
from wsbench.websocket.connect_options import ConnectOptions

_AROUND_A_RUN_NS = 4 * NS_PER_S
"""For target and Locust to start and to end."""


class ExperimentRuns:
    """An experiment that is ready to run: checked, in a locked directory. Use it as a context manager.

    Attributes:
        experiment: with the runs made so far.
    """

    def __init__(self, store: ExperimentStore, checked: Spec, experiment: Experiment) -> None:
        self.experiment = experiment
        self._store = store
        self._spec = checked

    @classmethod
    def begin(
        cls,
        file: Path,
        results: Path,
        *,
        secrets: Secrets = DEFAULT_SECRETS,
        name: str | None,
        seed: int | None,
        repetitions: int | None,
    ) -> ExperimentRuns:
        """Create an experiment's directory; None stands for the file's value. Raise UsageError if the file is wrong."""
        checked = spec.load(file, secrets)
        seed = checked.seed if seed is None else seed
        cells = plan_cells(checked, repetitions=repetitions or checked.repetitions, seed=seed)
        _check(checked, cells, str(file))
        if not any(cell.runs for cell in cells):
            raise UsageError(f"{file}: there is nothing to run: {cells[0].hole}")
        store = ExperimentStore.create(results, name or checked.name, checked.text)
        experiment = Experiment(
            schema=experiment_result.SCHEMA,
            id=store.id,
            name=name or checked.name,
            complete=False,
            started=format_utc(datetime.now(UTC)),
            wsbench=__version__,
            seed=seed,
            baseline=checked.baseline,
            cells=cells,
        )
        return cls(store, checked, experiment)

    @classmethod
    def resume(
        cls, directory: Path | None, file: Path | None, results: Path, secrets: Secrets = DEFAULT_SECRETS
    ) -> ExperimentRuns:
        """Open the experiment in a directory; without one, the latest in `results` that began with `file`.

        Raise UsageError if there is none, or if it cannot continue on this machine.
        """
        given = None if file is None else spec.load(file, secrets)
        store = ExperimentStore(directory or latest_experiment(results, None if given is None else given.text))
        experiment = experiment_result.load(store.path)
        if given is not None and given.text != store.toml.read_bytes():
            raise UsageError(
                f"{file} is not what {store.path} was started with",
                remedy="Leave FILE out to go on with that, or --resume to start a new experiment.",
            )
        if given is None and store.lacks_secrets:
            raise UsageError(
                f"the secrets of {store.path} are not stored",
                remedy=f"Name the file that it was started with: wsbench matrix FILE --resume {store.path}",
            )
        checked = given or spec.load(store.toml, secrets)
        _check(checked, experiment.cells, str(store.toml))
        _check_machine(experiment, store)
        return cls(store, checked, experiment)

    def __enter__(self) -> ExperimentRuns:
        self._store.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._store.__exit__(*exception)

    @property
    def path(self) -> Path:
        """The experiment's directory."""
        return self._store.path

    @property
    def resume_command(self) -> str:
        """The command that makes the runs that are missing."""
        names = "".join(f" --secret {name}" for name in self._spec.settings["secret"])
        return f"wsbench matrix {'FILE ' * self._store.lacks_secrets}--resume {self.path}{names}"

    def running_servers(self) -> list[ConnectOptions]:
        """Return how to connect to the targets that are running already."""
        return CellRuns(self._spec, self._store.runs, lambda _: None).running_servers(self.experiment.cells)

    def run(self, display: ProgressLine) -> bool:
        """Make the runs that are missing; return whether the user interrupted them."""
        display.say(self._announcement())
        for target in self._spec.targets:
            if missing := target.target.missing():
                remedy = f"\n  Install it: {target.target.install_command}" if target.target.install_command else ""
                display.say(f"target {target.name} cannot be started: {missing}{remedy}")
        self.experiment, interrupted = run_experiment(
            self._store,
            self.experiment,
            CellRuns(self._spec, self._store.runs, display.update),
            _Announcer(display),
            expected_run_ns=self._spec.run_ns + _AROUND_A_RUN_NS,
        )
        return interrupted

    def finish(self) -> Overview:
        """Write the report, if there are runs to report, and return the overview."""
        overview = make_overview(self.experiment, self.path)
        if any(row.done for row in overview.rows):
            replace_file(self.path / REPORT_FILE, stored_report.of_experiment(self.path))
        return overview

    def _announcement(self) -> str:
        experiment = self.experiment
        total = sum(len(cell.runs) for cell in experiment.cells)
        missing = len(missing_runs(experiment))
        holes = sum(cell.hole is not None for cell in experiment.cells)
        without = f" ({holes} more cannot exist)" if holes else ""
        done = f", {total - missing} of them done" if missing < total else ""
        cells = len(experiment.cells) - holes
        return f"{experiment.name}: {cells} cells{without}, {total} runs{done}, seed {experiment.seed}: {self.path}"


class _Announcer:
    """Shows which run begins, and which one failed."""

    def __init__(self, display: ProgressLine) -> None:
        self._display = display
        self._shown: set[tuple[str, str]] = set()

    def run_started(self, step: RunStart) -> None:
        left = format_seconds(max(round(step.left_ns, -9), NS_PER_S))
        self._display.begin(f"[{step.number} of {step.total}, about {left} left] {step.cell.key}")

    def run_failed(self, cell: Cell, reason: str) -> None:
        """Show every reason once for a target."""
        failure = (cell.target, without_numbers(reason))
        if failure not in self._shown:
            self._display.say(f"failed: {cell.key}: {reason}")
        self._shown.add(failure)


def _check(checked: Spec, cells: list[Cell], file: str) -> None:
    """Check whatever a run would fail by hours later."""
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
