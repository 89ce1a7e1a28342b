"""`wsbench calibrate`: measure this machine's generator: its speed, its accuracy, and known answers."""

from __future__ import annotations

from pathlib import Path

import click

from wsbench.cli.params import FILE, option
from wsbench.cli.standard_streams import note_stored
from wsbench.launcher.calibration_runs import calibrate
from wsbench.launcher.progress_display import ProgressLine
from wsbench.report.text import calibration_text
from wsbench.results.calibration_result import CALIBRATION_FILE
from wsbench.results.directory import ResultNotStored, Staging, replace_file
from wsbench.results.json_files import encode_json
from wsbench.run import exit_codes

_OPTIONS: list[click.Parameter] = [
    option("--results DIR", "Directory in which the result is stored.", FILE, "results"),
    option("--json", "Print calibration.json on standard output."),
    option("--quiet", "Print only where the result is stored."),
]


@click.command("calibrate", params=_OPTIONS)
def command(results: Path, json: bool, quiet: bool) -> int:
    """Measure the speed and the accuracy of the generator on this machine. Takes about a minute."""
    Staging.create(results, "calibration").discard()  # an error of storing is worth more now than in a minute
    with ProgressLine(enabled=not quiet) as line:
        calibration = calibrate(line.say)
    document = encode_json(calibration)
    if json:
        click.echo(document, nl=False)
    elif not quiet:
        click.echo(calibration_text.render(calibration), nl=False)
    try:
        replace_file(results / CALIBRATION_FILE, document)
    except OSError as error:
        raise ResultNotStored(results, error) from error
    note_stored(results / CALIBRATION_FILE)
    if not json:
        click.echo(f"stored: {results / CALIBRATION_FILE}")
    return exit_codes.of_calibration(calibration)
