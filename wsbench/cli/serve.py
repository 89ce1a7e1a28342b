"""`wsbench serve`: the standalone echo target."""

from __future__ import annotations

from typing import Any

import click

from wsbench.cli.params import COUNT, DURATION, FILE, POSITIVE_DURATION, POSITIVE_SIZE, Parsed, option
from wsbench.targets.echo.deflate import parse_compression
from wsbench.targets.echo.delays import parse_stall
from wsbench.targets.echo.serve_options import MAX_WORKERS, EchoOptions, Listening, parse_origin
from wsbench.targets.echo.supervisor import serve
from wsbench.units import whole_number

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


_OPTIONS: list[click.Parameter] = [
    option("--host HOST", "Name or address to listen on.", default="127.0.0.1"),
    option("-p --port PORT", "Port; 0 takes a free one.", Parsed("port", whole_number(0, 65535)), 8765),
    option(
        "--workers N",
        "Processes that share the port; more than one per core gain nothing.",
        Parsed("count", whole_number(1, MAX_WORKERS)),
        1,
    ),
    option("--tls", "Serve wss://; without --cert, with a certificate made for this run."),
    option("--cert FILE", "Certificate (chain), PEM; with --tls and --key.", FILE),
    option("--key FILE", "Private key of the certificate, PEM, not encrypted.", FILE),
    option(
        "--compression off|on|PARAMS",
        "permessage-deflate: off, on, or limits as in RFC 7692: "
        "'client_max_window_bits=12; server_no_context_takeover'. Offers that fit are accepted.",
        Parsed("compression", _compression),
        "off",
    ),
    option("--delay T", "Delay every reply by this time, for example 20ms.", DURATION, "0"),
    option(
        "--delay-jitter T",
        "Delay replies by a random time more, up to this; replies of a connection stay in order.",
        DURATION,
        "0",
    ),
    option(
        "--stall 'T every T'",
        "Send no replies in the last part of every period, for example '1s every 5s', counted from the start; they "
        "are sent at its end. Pongs, /stats and /healthz are not delayed.",
        Parsed("stall", parse_stall),
    ),
    option(
        "--max-size BYTES",
        "Largest message, before and after inflating; a larger one closes its connection with 1009.",
        POSITIVE_SIZE,
        "1MiB",
    ),
    option(
        "--max-connections N",
        "Maximum number of WebSocket connections; further ones get 503. Default: as many as open files allow.",
        COUNT,
    ),
    option(
        "--max-buffered BYTES",
        "Memory for incomplete messages and unread replies, shared evenly by the workers. When it is used up, the "
        "connection that holds most of it is closed with 1013.",
        POSITIVE_SIZE,
        "1GiB",
    ),
    option(
        "--handshake-timeout T",
        "Time limit for TLS, and then for the whole request; a slower client gets 408.",
        POSITIVE_DURATION,
        "10s",
    ),
    option(
        "--write-timeout T",
        "A client that leaves replies unread for this time is disconnected.",
        POSITIVE_DURATION,
        "30s",
    ),
    option(
        "--allow-origin ORIGIN",
        "Accept web pages of this origin (https://app.example) and the target's own, refuse others (403). Repeatable. "
        "Clients without an Origin header, such as programs, are accepted.",
        Parsed("origin", parse_origin),
        multiple=True,
    ),
    option("--exit-with-parent", "Stop when standard input ends.", hidden=True),
]


@click.command("serve", params=_OPTIONS, epilog=_EPILOG)
def command(
    delay: int,
    delay_jitter: int,
    handshake_timeout: int,
    write_timeout: int,
    allow_origin: tuple[str, ...],
    **options: Any,
) -> None:
    """Run the standalone echo target, until SIGTERM, SIGHUP or Ctrl-C.

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
