"""`wsbench matrix`: an experiment, that is targets under many conditions, repeated, in random order."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from wsbench.cli.params import COUNT, FILE, Parsed, click_option, option
from wsbench.cli.proxy_note import note_unused_proxy
from wsbench.cli.standard_streams import note_stored
from wsbench.credentials import Secrets
from wsbench.errors import UsageError, WsbenchError
from wsbench.experiment.order import missing_runs
from wsbench.launcher.experiment_runs import ExperimentRuns
from wsbench.launcher.interruptions import interruptible
from wsbench.launcher.progress_display import ProgressLine
from wsbench.report.text import overview_text, summary
from wsbench.results.experiment_result import FAILED, Experiment
from wsbench.results.json_files import encode_json
from wsbench.results.overview_result import Overview
from wsbench.run import exit_codes
from wsbench.run.option_table import BY_NAME, parse_name
from wsbench.units import whole_number


def _matrix(file: Path | None, **values: Any) -> int:
    with _ready(file, values) as runs:
        if not values["quiet"]:
            for server in runs.running_servers():
                note_unused_proxy(server)
        with ProgressLine(enabled=not values["quiet"]) as line, interruptible():
            interrupted = runs.run(line)
        overview = runs.finish()
    experiment = runs.experiment
    note_stored(runs.path)
    _print(experiment, overview, runs.path, as_json=values["json"], quiet=values["quiet"])
    if interrupted or not experiment.complete:
        _print_how_to_go_on(experiment, runs)
    else:
        _print_failures(experiment, overview, runs)
    return exit_codes.of_experiment(experiment, overview, strict=values["strict"], interrupted=interrupted)


def _ready(file: Path | None, values: dict[str, Any]) -> ExperimentRuns:
    secrets = Secrets(values["secret"], values["show_credentials"])
    fixed = {name: values[name] for name in ("seed", "repetitions", "name")}
    if values["resume"] is None:
        if file is None:
            raise click.UsageError("Missing argument 'FILE'.")
        return ExperimentRuns.begin(file, values["results"], secrets=secrets, **fixed)
    for name, value in fixed.items():
        if value is not None:
            raise UsageError(f"--{name} cannot be changed with --resume", remedy="Start a new experiment.")
    directory = Path(values["resume"]) if values["resume"] else None
    return ExperimentRuns.resume(directory, file, values["results"], secrets)


def _print(experiment: Experiment, overview: Overview, path: Path, *, as_json: bool, quiet: bool) -> None:
    if not quiet:
        output = sys.stderr if as_json else sys.stdout
        click.echo(summary.legible(overview_text.render(overview, str(path)), output.encoding), nl=False, file=output)
    if as_json:
        document = msgspec.to_builtins(experiment)
        for cell, row in zip(document["cells"], overview.rows, strict=True):
            cell["overview"] = msgspec.to_builtins(row)
        click.echo(encode_json({**document, "path": str(path)}), nl=False)


def _print_how_to_go_on(experiment: Experiment, runs: ExperimentRuns) -> None:
    total = sum(len(cell.runs) for cell in experiment.cells)
    done = total - len(missing_runs(experiment))
    print(f"wsbench: interrupted: {done} of {total} runs are done; to go on:", file=sys.stderr)
    print(f"  {runs.resume_command}", file=sys.stderr)


def _print_failures(experiment: Experiment, overview: Overview, runs: ExperimentRuns) -> None:
    if not any(row.done for row in overview.rows):
        reasons = [reason for row in overview.rows for reason in row.failures]
        raise WsbenchError(f"nothing could be measured: {reasons[0]}", remedy=f"What was tried is in {runs.path}.")
    failed = sum(run.status == FAILED for cell in experiment.cells for run in cell.runs)
    if failed:
        print(f"wsbench: {failed} run{'s' if failed > 1 else ''} failed; to try again:", file=sys.stderr)
        print(f"  {runs.resume_command}", file=sys.stderr)


command = click.Command(
    "matrix",
    callback=_matrix,
    params=[
        click.Argument(["file"], required=False, metavar="FILE", type=FILE),
        option(
            "--resume [DIR]",
            "Continue an interrupted experiment: make the missing runs. Without DIR: the latest experiment that began "
            "with FILE.",
            flag_value="",
        ),
        option("--results DIR", "Directory in which experiments are stored.", FILE, "results"),
        option("--name NAME", "Name of the experiment (default: the file's).", Parsed("name", parse_name)),
        option("--seed N", "Seed of the order of runs (default: random).", Parsed("seed", whole_number(0, 2**63 - 1))),
        option("--repetitions N", "Runs of every cell (default: the file's).", COUNT),
        option("--strict", "Exit with 4 if the generator's verdict on an open loop is not ok."),
        option("--json", "Print one JSON document on standard output; the table goes to stderr."),
        option("--quiet", "Print no progress and no table."),
        *(click_option(BY_NAME[name]) for name in ("secret", "show_credentials")),
    ],
    help="Run an experiment: every target under all conditions of FILE (TOML), repeated, in blocks of random order. "
    "Prints how all targets compare with the baseline.",
)
