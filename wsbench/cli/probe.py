"""`wsbench probe`: one handshake, one echo, one ping, one close; every step timed, and what is wrong in words."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from wsbench import __version__
from wsbench.cli.params import click_option
from wsbench.errors import WsbenchError
from wsbench.measure.payloads import FixedMessages, JsonMessages
from wsbench.probe.document import Probe
from wsbench.probe.probe_text import Lines
from wsbench.probe.prober import ProbeOptions, probe
from wsbench.report.text.summary import legible
from wsbench.results.json_files import encode_json
from wsbench.run.options import OPTIONS, RunOptions

_OF_RUN = (
    "header",
    "subprotocol",
    "origin",
    "compression",
    "ca",
    "insecure",
    "payload_size",
    "payload_file",
    "binary",
    "source_ip",
    "timeout",
)
"""Options of `wsbench run` that are about one connection and one message."""
_HELP = {
    "timeout": "How long the opening may take, and then each of echo, pong and close.",
    "source_ip": "Connect from this address of this machine.",
}


def _options() -> list[click.Parameter]:
    chosen = [click_option(option) for option in OPTIONS if option.name in _OF_RUN]
    for option in chosen:
        option.help = _HELP.get(option.name or "", option.help)
    return [
        click.Argument(["url"]),
        *chosen,
        click.Option(["--show-credentials"], is_flag=True, help="Do not mask Authorization, cookies and tokens."),
        click.Option(["--json"], is_flag=True, help="Print the result as JSON on standard output."),
    ]


def _run(url: str, **given: Any) -> None:
    """One probe.

    Raises:
        UsageError: a wrong option or URL.
        ConnectError, ConnectionLost: the step that failed.
    """
    options = _probe_options(url, given)
    if given["json"]:
        result, error = probe(options)
        click.echo(encode_json(result), nl=False)
    else:
        result, error = _told(options)
    if error is not None:
        sys.stdout.flush()
        raise error


def _probe_options(url: str, given: dict[str, Any]) -> ProbeOptions:
    options = RunOptions.from_values({name: given[name] for name in _OF_RUN}, url=url, users=1)
    own = options.payload
    messages = FixedMessages(own) if own is not None else JsonMessages(1, options.payload_size)
    return ProbeOptions(
        connect=options.connect,
        payload=messages.build(1),
        binary=options.binary,
        matches=lambda payload: messages.same(payload, 1),
        version=__version__,
        timeout_ns=options.timeout_ns,
        show_credentials=given["show_credentials"],
    )


def _told(options: ProbeOptions) -> tuple[Probe, WsbenchError | None]:
    """A probe whose steps are printed as they are taken: one that waits for long shows for what."""
    lines = Lines(colour=_colour_wanted())
    told = 0

    def tell(result: Probe) -> None:
        nonlocal told
        if not told:
            _say(lines.heading(result))
        _say(lines.step(result, result.steps[told]))
        told += 1

    result, error = probe(options, tell)
    _say(lines.ending(result))
    return result, error


def _say(text: str) -> None:
    click.echo(legible(text, sys.stdout.encoding))


def _colour_wanted() -> bool:
    """On a terminal that can, unless somebody said no (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


command = click.Command(
    "probe",
    callback=_run,
    params=_options(),
    help="Open one connection to a WebSocket server and look at every step: DNS, TCP, TLS, the upgrade, an echo, a "
    "ping, the close; each timed. Says in words what is wrong.",
)
