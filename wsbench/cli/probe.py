"""`wsbench probe`: one handshake, one echo, one ping, one close; every step is timed and diagnosed."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from wsbench import __version__
from wsbench.cli.params import check_idle, click_option, option
from wsbench.cli.proxy_note import note_unused_proxy
from wsbench.errors import WsbenchError
from wsbench.measure.payloads import FixedMessages, JsonMessages
from wsbench.probe import probe_text
from wsbench.probe.document import Probe
from wsbench.probe.prober import ProbeOptions, probe
from wsbench.report.text.summary import legible
from wsbench.results.json_files import encode_json
from wsbench.run.option_table import OPTIONS
from wsbench.run.options import RunOptions

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
    "secret",
    "show_credentials",
)
"""Options of `wsbench run` that are about one connection and one message."""
_HELP = {
    "timeout": "Time limit for opening the connection, and for each of echo, pong and close.",
    "source_ip": "Source address on this machine.",
}


def _options() -> list[click.Parameter]:
    chosen = [click_option(row) for row in OPTIONS if row.name in _OF_RUN]
    for each in chosen:
        each.help = _HELP.get(each.name or "", each.help)
    return [
        click.Argument(["url"]),
        *chosen,
        option("--json", "Print the result as JSON on standard output."),
    ]


def _run(url: str, **values: Any) -> None:
    """Probe and print the result; raise the error of the step that failed."""
    options = _probe_options(url, values)
    check_idle(url, values)
    note_unused_proxy(options.connect)
    if values["json"]:
        result, error = probe(options)
        click.echo(encode_json(result), nl=False)
    else:
        result, error = _printed_probe(options)
    if error is not None:
        sys.stdout.flush()
        raise error


def _probe_options(url: str, values: dict[str, Any]) -> ProbeOptions:
    options = RunOptions.from_values({name: values[name] for name in _OF_RUN}, url=url, users=1)
    payload = options.payload
    messages = FixedMessages(payload) if payload is not None else JsonMessages(1, options.payload_size)
    return ProbeOptions(
        connect=options.connect,
        payload=messages.build(1),
        binary=options.binary,
        matches=lambda payload: messages.same(payload, 1),
        version=__version__,
        timeout_ns=options.timeout_ns,
    )


def _printed_probe(options: ProbeOptions) -> tuple[Probe, WsbenchError | None]:
    """Probe and print each step when it ends, so that a slow step can be seen."""
    printed = 0

    def print_step(result: Probe) -> None:
        nonlocal printed
        if not printed:
            _print(probe_text.heading(result))
        _print(probe_text.step_lines(result, result.steps[printed]))
        printed += 1

    result, error = probe(options, print_step)
    _print(probe_text.ending(result))
    return result, error


def _print(text: str) -> None:
    click.echo(legible(text, sys.stdout.encoding), color=_colour_wanted())


def _colour_wanted() -> bool:
    """Return whether the output is a terminal with colours, and NO_COLOR is not set (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


command = click.Command(
    "probe",
    callback=_run,
    params=_options(),
    help="Open one connection to a WebSocket server and time every step: DNS, TCP, TLS, the upgrade, an echo, a ping, "
    "the close. Explains what fails, and what to do about it.",
)
