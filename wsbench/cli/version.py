"""`wsbench version`: the version, and a line if the native echo path is missing."""

from __future__ import annotations

import click

from wsbench import __version__, native

TEXT = f"wsbench {__version__}" if native.BUILT else f"wsbench {__version__}\n{native.MISSING}"


@click.command("version")
def command() -> None:
    """Print the version, and what to do if the native echo path is missing."""
    click.echo(TEXT)
