"""`wsbench report`: report.html of a stored result, made again."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from wsbench.cli.params import FILE
from wsbench.errors import UsageError
from wsbench.report import stored_report
from wsbench.results.directory import REPORT_FILE, replace_file


@click.command("report")
@click.argument("result", type=FILE)
@click.option(
    "--output",
    metavar="FILE|-",
    help=f"Where to write it; - is standard output.  [default: {REPORT_FILE} in the result's directory]",
)
def command(result: Path, output: str | None) -> None:
    """Make the report of a stored run, experiment or capacity again: one HTML file that works offline."""
    directory, content = stored_report.of_result(result)
    if output == "-":
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    file = directory / REPORT_FILE if output is None else Path(output)
    try:
        replace_file(file, content)
    except OSError as error:
        raise UsageError(f"--output {file}: {error.strerror or error}", remedy="Name a file: --output FILE.") from error
    click.echo(file)
