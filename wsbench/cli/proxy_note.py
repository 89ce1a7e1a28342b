"""The note on a proxy of the environment, on standard error."""

from __future__ import annotations

import click

from wsbench.run.unused_proxy import unused_proxy
from wsbench.websocket.connect_options import ConnectOptions


def note_unused_proxy(options: ConnectOptions) -> None:
    """Print a note if the environment names a proxy for this server."""
    if note := unused_proxy(options):
        click.echo(f"wsbench: note: {note}", err=True)
