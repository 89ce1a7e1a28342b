"""`wsbench export`: a stored result in the format of another tool."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from wsbench.cli.params import FILE
from wsbench.errors import UsageError
from wsbench.measure.series import BUILT_IN
from wsbench.report import distribution_csv, openmetrics, stored_files
from wsbench.results import run_result
from wsbench.results.json_files import encode_json


@click.command("export")
@click.argument("result", type=FILE)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["hlog", "hgrm", "csv", "json", "openmetrics"]),
    required=True,
    help="hlog: a histogram per second; hgrm: percentile distribution; csv: a row per second; json: run.json; "
    "openmetrics: for Prometheus.",
)
@click.option(
    "--series",
    metavar="NAME",
    help=f"One series ({', '.join(BUILT_IN)}, or one of the scenario's). Without it, hlog, csv, json and openmetrics "
    "hold all series, and hgrm holds `response`.",
)
@click.option("--output", metavar="FILE|-", default="-", show_default=True, help="Where to write it.")
def command(result: Path, format_: str, series: str | None, output: str) -> None:
    """Write a stored result in the format of another tool."""
    run = run_result.load(result)
    if series is not None and series not in run.latency:
        raise UsageError(
            f"--series {series!r}: the result has no such series", remedy=f"It has {', '.join(run.latency)}."
        )
    directory = result if result.is_dir() else result.parent
    content = _content(run, directory, format_, series)
    if output == "-":
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    try:
        Path(output).write_bytes(content)
    except OSError as error:
        raise UsageError(f"--output {output}: {error.strerror or error}") from error


def _content(run: run_result.Run, directory: Path, format_: str, series: str | None) -> bytes:
    if format_ == "json":
        return encode_json(run if series is None else run.latency[series])
    if format_ == "openmetrics":
        return openmetrics.encode(run, list(run.latency) if series is None else [series])
    if format_ == "csv":
        return stored_files.read_timeline(directory, run) if series is None else _distribution(directory, run, series)
    if format_ == "hgrm":
        return stored_files.read_distribution(directory, run, series or "response")
    for _ in stored_files.read_lines(directory, run, series):
        pass
    return stored_files.read_log(directory, series)


def _distribution(directory: Path, run: run_result.Run, series: str) -> bytes:
    return distribution_csv.encode(line.counts for line in stored_files.read_lines(directory, run, series))
