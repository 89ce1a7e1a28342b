"""--summary and --junit: what a command leaves for the CI server that ran it, beside what it prints."""

from __future__ import annotations

from pathlib import Path

import click

from wsbench.cli.params import Parsed
from wsbench.errors import UsageError


def options() -> list[click.Parameter]:
    """The two, for a command that passes their values to `write`."""
    file = Parsed("file", _writable)
    return [
        click.Option(
            ["--summary"],
            type=file,
            metavar="FILE",
            help="Append a summary in Markdown to this file, as to $GITHUB_STEP_SUMMARY.",
        ),
        click.Option(["--junit"], type=file, metavar="FILE", help="Write JUnit XML to this file."),
    ]


def write(*, summary: Path | None, markdown: str, junit: Path | None, xml: bytes) -> None:
    """Leave what was asked for.

    Raises:
        UsageError: a file cannot be written.
    """
    try:
        if summary is not None:
            with summary.open("ab") as file:
                file.write(markdown.encode())
        if junit is not None:
            junit.write_bytes(xml)
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror or error}") from error


def _writable(text: str) -> Path:
    """Seen before a run begins, not after it."""
    path = Path(text)
    if path.is_dir():
        raise ValueError(f"{text} is a directory")
    if not path.parent.is_dir():
        raise ValueError(f"{text}: there is no directory {path.parent}")
    return path
