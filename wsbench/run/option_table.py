"""The table of options: one declaration for `wsbench run`, Locust's parser, its start form and experiment files."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsbench.credentials import parse_secret_name
from wsbench.errors import UsageError
from wsbench.measure.figures import RUN_FIGURES, SERIES_FIGURES
from wsbench.measure.payloads import SMALLEST_JSON
from wsbench.measure.phases import Phase
from wsbench.run import settings
from wsbench.run.environment_options import lines_of
from wsbench.run.gate_parser import parse as parse_gate
from wsbench.source_addresses import parse_sources
from wsbench.units import (
    format_bytes,
    one_of,
    parse_duration,
    parse_positive_duration,
    parse_rate,
    parse_size,
    whole_number,
)
from wsbench.websocket.compression import parse_compression
from wsbench.websocket.connect_options import parse_header, parse_origin, parse_subprotocol

HIGHEST_COUNT = 1_000_000_000
_COUNT = whole_number(1, HIGHEST_COUNT)
LARGEST_MESSAGE = 250_000_000
"""Bytes: more noise than that of a longer JSON message Python does not draw at once."""
_LONGEST_NAME = 200
"""Bytes. File systems allow 255, and a directory's name has a time and other parts besides."""


def _compression(text: str) -> str:
    parse_compression(text)
    return text.strip()


def _payload_size(text: str) -> int:
    size = parse_size(text)
    if size > LARGEST_MESSAGE:
        raise ValueError(f"a message has at most {format_bytes(LARGEST_MESSAGE)}")
    if size < SMALLEST_JSON:
        raise ValueError(f"a JSON message with id and seq has at least {SMALLEST_JSON} bytes: for less, --payload-file")
    return size


def parse_lasting_file(text: str) -> str:
    """Return the path of a file that is read more than once; raise ValueError for a pipe."""
    try:
        is_pipe = Path(text).is_fifo()
    except OSError:  # reading it will tell
        is_pipe = False
    if is_pipe:
        raise ValueError(f"{text} is a pipe, and it has to be read more than once: store its content in a file")
    return text


def parse_name(text: str) -> str:
    """Return the text; raise ValueError if a result's directory cannot have this name."""
    if not text or any(not (c.isalnum() or c in "._-+") for c in text) or text.startswith("."):
        raise ValueError(f"{text!r} cannot be part of a directory's name: use letters, digits and ._-+")
    try:
        size = len(os.fsencode(text))
    except UnicodeEncodeError as error:
        raise ValueError(f"{text!r} cannot be part of a directory's name in {error.encoding}") from error
    if size > _LONGEST_NAME:
        raise ValueError(f"{text!r} has {size} bytes: a name has at most {_LONGEST_NAME}")
    return text


def name_from(text: str) -> str:
    """Return a name of a result made of a text, such as the stem of a file: other characters become hyphens."""
    name = re.sub(r"[^\w.+-]+", "-", text).lstrip(".")
    try:
        return parse_name(name)
    except ValueError:
        return "run"


@dataclass(frozen=True)
class Option:
    """An option of a run.

    Attributes:
        flags: the last one, a long one, gives the name.
        parse: function from text to value that raises ValueError with a sentence; None for a switch.
        default: as text; None if the option has none.

        choices: the values allowed, if they are few.
        web: whether Locust's start form shows the option.
    """

    flags: tuple[str, ...]
    help: str
    parse: Callable[[str], Any] | None = str
    default: str | None = None
    metavar: str = ""
    repeatable: bool = False
    choices: tuple[str, ...] = ()
    web: bool = True

    @property
    def name(self) -> str:
        """`payload_size` for --payload-size."""
        return self.flags[-1].removeprefix("--").replace("-", "_")

    @property
    def env(self) -> str:
        """`WSBENCH_PAYLOAD_SIZE` for --payload-size."""
        return f"WSBENCH_{self.name.upper()}"

    def value_of(self, raw: Any) -> Any:
        """Parse `raw`: a text, the texts of a repeatable option, or a switch. The default stands for an empty one.

        Raise UsageError if the text is no value of the option.
        """
        if self.parse is None:
            return str(raw).lower() in ("true", "1", "on", "yes")
        if self.repeatable:
            texts = [raw] if isinstance(raw, str) else list(raw or ())
            return tuple(self._parsed(line) for text in texts for line in lines_of(text))
        text = self.default if raw is None or raw == "" else str(raw)
        return None if text is None else self._parsed(text)

    def _parsed(self, text: str) -> Any:
        assert self.parse is not None
        try:
            return self.parse(text)
        except ValueError as error:
            raise UsageError(f"{self.flags[-1]}: {error}") from error


OPTIONS: tuple[Option, ...] = (
    Option(
        ("-d", "--duration"),
        "Length of the measure phase. Default: what --run-time leaves; else 10s with `wsbench run`, until stopped with "
        "Locust.",
        parse_positive_duration,
        metavar="T",
    ),
    Option(
        ("--warmup",),
        "Length of the warm-up before the measure phase; its messages are in no figure.",
        parse_duration,
        "2s",
        "T",
    ),
    Option(("--drain",), "Maximum wait for outstanding replies at the end.", parse_duration, "5s", "T"),
    Option(
        ("--rate",),
        "Open loop: messages per second over all connections, sent on a schedule that does not wait for replies. "
        "Without it: closed loop, in which the next message waits for a reply.",
        parse_rate,
        metavar="R",
    ),
    Option(
        ("--arrivals",),
        "Open loop: messages evenly spaced and staggered over the connections, or a Poisson process.",
        one_of("constant", "poisson"),
        "constant",
        choices=("constant", "poisson"),
    ),
    Option(("--in-flight",), "Closed loop: messages in flight on each connection.", _COUNT, "1", "N"),
    Option(("--payload-size",), "Size of a message, a JSON text, in bytes.", _payload_size, "128", "BYTES"),
    Option(
        ("--payload-file",),
        "Send the content of this file as every message: JSON, other text, or bytes.",
        metavar="FILE",
    ),
    Option(("--binary",), "Send binary frames instead of text.", None),
    Option(
        ("--compression",),
        "permessage-deflate: off, on, or parameters as in RFC 7692, "
        "such as 'client_max_window_bits=12; server_no_context_takeover'.",
        _compression,
        "off",
        "off|on|PARAMS",
    ),
    Option(("--header",), "A header of the upgrade request.", parse_header, metavar="'Name: value'", repeatable=True),
    Option(("--subprotocol",), "A subprotocol to offer.", parse_subprotocol, metavar="NAME", repeatable=True),
    Option(("--origin",), "The Origin header of the upgrade request.", parse_origin, metavar="ORIGIN"),
    Option(("--ca",), "wss: trust the CA in this PEM file.", parse_lasting_file, metavar="FILE"),
    Option(("--insecure",), "wss: accept any certificate.", None),
    Option(("--tls-resume",), "wss: later connections resume the TLS session of an earlier one.", None),
    Option(
        ("--addresses",),
        "Of a server name with several addresses: connect to the first that answers, or to all that answer in turn.",
        one_of("first", "all"),
        "first",
        choices=("first", "all"),
    ),
    Option(
        ("--source-ip",),
        "Source addresses on this machine, used in turn: 10.0.0.5, 10.0.0.5-10.0.0.9 or 127.0.0.0/8. For more "
        "connections than one address has ports; towards loopback, wsbench chooses them itself.",
        parse_sources,
        metavar="ADDRESSES",
        repeatable=True,
    ),
    Option(
        ("--timeout",),
        "A message without a reply after this time counts as lost. Opening a connection may take as long.",
        parse_positive_duration,
        "10s",
        "T",
    ),
    Option(
        ("--reconnect",),
        "Whether a dropped connection is opened again, with back-off and jitter.",
        one_of("never", "on-drop"),
        "on-drop",
        choices=("on-drop", "never"),
    ),
    Option(
        ("--request-events",),
        "Fire Locust's request event for every message, for listeners that need each one. Slower.",
        None,
    ),
    Option(
        ("--native",),
        "Whether echo messages go through the native path, where it was built and can serve the run. Slower without.",
        one_of("on", "off"),
        "on",
        choices=("on", "off"),
        web=False,
    ),
    Option(("--set",), "Change a setting of the scenario.", settings.parse, metavar="NAME=VALUE", repeatable=True),
    Option(
        ("--fail-if",),
        "Exit with 1 if this condition is true: 'p99 > 5ms', 'order.p99.5 > 80ms', 'errors > 0.1%', "
        "'measure.lost > 0', 'missing / expected > 1%', 'throughput < 1000/s'. It compares [SCOPE.][SERIES.]FIGURE, "
        f"[SCOPE.]COUNTER, or a ratio of two, with a value. SCOPE: {', '.join(Phase)}. FIGURE of a run: "
        f"{', '.join(RUN_FIGURES)}; of a series: any percentile, {', '.join(SERIES_FIGURES)}. See docs/gates.md.",
        parse_gate,
        metavar="'EXPR'",
        repeatable=True,
    ),
    Option(("--strict",), "Exit with 4 if the generator's verdict on itself is not ok.", None),
    Option(("--quiet",), "Print no summary.", None, web=False),
    Option(
        ("--secret",),
        "A header, query parameter or setting with a secret value. It is stored and shown as ***, as are passwords, "
        "Authorization, cookies, and values whose names contain token, secret, password, key and the like.",
        parse_secret_name,
        metavar="NAME",
        repeatable=True,
        web=False,
    ),
    Option(("--show-credentials",), "Do not hide secrets, neither in the result nor on the terminal.", None, web=False),
    Option(("--results",), "Directory in which results are stored.", metavar="DIR", default="results", web=False),
    Option(("--name",), "Name of the result (default: the scenario's).", parse_name, metavar="NAME"),
)


BY_NAME = {option.name: option for option in OPTIONS}
DEFAULTS = {option.name: option.value_of(None) for option in OPTIONS}
