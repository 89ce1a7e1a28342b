"""`wsbench serve`: the standalone echo target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from wsbench.cli.params import DURATION, POSITIVE_DURATION, POSITIVE_SIZE, Parsed
from wsbench.targets.echo.deflate import parse_compression
from wsbench.targets.echo.delays import parse_stall
from wsbench.targets.echo.serve_options import MAX_WORKERS, EchoOptions, Listening, parse_origin
from wsbench.targets.echo.supervisor import serve

_EPILOG = """\b
Paths:
  /echo, /ws, /ws/...     text comes back as text, binary as binary
  /broadcast              a message goes to all connections
  /push?rate=R&size=B     sends R messages of B bytes per second
  /                       a page to try the server by hand
  /stats                  counts, CPU and memory, summed over the workers (JSON)
  /healthz                200 while it serves
"""


def _compression(text: str) -> str:
    parse_compression(text)  # checks only: other processes need the text
    return text


@click.command("serve", epilog=_EPILOG)
@click.option("--host", metavar="HOST", default="127.0.0.1", show_default=True, help="Name or address to listen on.")
@click.option(
    "-p",
    "--port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    default=8765,
    show_default=True,
    help="Port; 0 takes a free one.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, MAX_WORKERS),
    metavar="N",
    default=1,
    show_default=True,
    help="Processes that share the port; more than one per core gain nothing.",
)
@click.option("--tls", is_flag=True, help="Serve wss://; without --cert, with a certificate made for this run.")
@click.option(
    "--cert", type=click.Path(path_type=Path), metavar="FILE", help="Certificate (chain), PEM; with --tls and --key."
)
@click.option(
    "--key", type=click.Path(path_type=Path), metavar="FILE", help="Private key of the certificate, PEM, not encrypted."
)
@click.option(
    "--compression",
    type=Parsed("compression", _compression),
    metavar="off|on|PARAMS",
    default="off",
    show_default=True,
    help="permessage-deflate: off, on, or limits as in RFC 7692: "
    "'client_max_window_bits=12; server_no_context_takeover'. Offers that fit are accepted.",
)
@click.option(
    "--delay",
    type=DURATION,
    metavar="T",
    default="0",
    help="Delay every reply by this time, for example 20ms.",
)
@click.option(
    "--delay-jitter",
    type=DURATION,
    metavar="T",
    default="0",
    help="Delay replies by a random time more, up to this; replies of a connection stay in order.",
)
@click.option(
    "--stall",
    type=Parsed("stall", parse_stall),
    metavar="'T every T'",
    help="Send no replies in the last part of every period, for example '1s every 5s', counted from the start; they "
    "are sent at its end. Pongs, /stats and /healthz are not delayed.",
)
@click.option(
    "--max-size",
    type=POSITIVE_SIZE,
    metavar="BYTES",
    default="1MiB",
    show_default=True,
    help="Largest message, before and after inflating; a larger one closes its connection with 1009.",
)
@click.option(
    "--max-connections",
    type=click.IntRange(1),
    metavar="N",
    default=None,
    help="Maximum number of WebSocket connections; further ones get 503. Default: as many as open files allow.",
)
@click.option(
    "--max-buffered",
    type=POSITIVE_SIZE,
    metavar="BYTES",
    default="1GiB",
    show_default=True,
    help="Memory for incomplete messages and unread replies, shared evenly by the workers. "
    "When it is used up, the connection that holds most of it is closed with 1013.",
)
@click.option(
    "--handshake-timeout",
    type=POSITIVE_DURATION,
    metavar="T",
    default="10s",
    show_default=True,
    help="Time limit for TLS, and then for the whole request; a slower client gets 408.",
)
@click.option(
    "--write-timeout",
    type=POSITIVE_DURATION,
    metavar="T",
    default="30s",
    show_default=True,
    help="A client that leaves replies unread for this time is disconnected.",
)
@click.option(
    "--allow-origin",
    type=Parsed("origin", parse_origin),
    metavar="ORIGIN",
    multiple=True,
    help="Accept web pages of this origin (https://app.example) and the target's own, refuse others (403). Repeatable. "
    "Clients without an Origin header, such as programs, are accepted.",
)
@click.option("--exit-with-parent", is_flag=True, hidden=True, help="Stop when standard input ends.")
def command(
    delay: int,
    delay_jitter: int,
    handshake_timeout: int,
    write_timeout: int,
    allow_origin: tuple[str, ...],
    **options: Any,
) -> None:
    """Run the standalone echo target, until SIGTERM or Ctrl-C.

    When it is ready, it prints one line with its URL: listening on ws://127.0.0.1:8765/echo
    """
    serve(
        EchoOptions(
            delay_ns=delay,
            jitter_ns=delay_jitter,
            handshake_timeout_ns=handshake_timeout,
            write_timeout_ns=write_timeout,
            allow_origins=allow_origin,
            **options,
        ),
        _print_listening,
    )


def _print_listening(listening: Listening) -> None:
    authority = "" if listening.ca_file is None else f" (CA: {listening.ca_file})"
    if not listening.loopback:
        click.echo("wsbench: note: reachable from other machines, and there is no authentication", err=True)
    click.echo(f"listening on {listening.url}{authority}")
