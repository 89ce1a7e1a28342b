"""The options of a run: one table for `wsbench run`, Locust's parser, its web form and experiment files.

`OPTIONS` is the table. `RunOptions` holds the parsed values: click and experiment files parse each value by the table
(`RunOptions.from_values`), Locust keeps texts, which its session parses (`RunOptions.from_texts`). Every other process
receives `RunOptions` and parses nothing. This module imports neither Locust nor gevent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wsbench.errors import UsageError
from wsbench.measure.payloads import SMALLEST_JSON
from wsbench.run import settings
from wsbench.run.gates import Condition
from wsbench.run.gates import parse as parse_gate
from wsbench.source_addresses import SourceRange, check_sources, for_loopback, parse_sources
from wsbench.units import (
    NS_PER_S,
    format_seconds,
    one_of,
    parse_duration,
    parse_positive_duration,
    parse_rate,
    parse_size,
)
from wsbench.websocket.compression import parse_compression
from wsbench.websocket.connect_options import ConnectOptions
from wsbench.websocket.handshake import parse_header
from wsbench.websocket.tls import client_context

DEFAULT_USERS = 50
DEFAULT_SPAWN_RATE = 100.0
DEFAULT_DURATION_NS = 10 * NS_PER_S
"""The default of `wsbench run` and of experiments; under Locust the measure phase is open-ended."""
_MAX_SIZE = 64 * 1024 * 1024


def _count(text: str) -> int:
    value = int(text) if text.strip().isdecimal() else 0
    if value < 1:
        raise ValueError(f"{text!r} is not a whole number of at least 1")
    return value


def _compression(text: str) -> str:
    parse_compression(text)
    return text.strip()


def _payload_size(text: str) -> int:
    size = parse_size(text)
    if size < SMALLEST_JSON:
        raise ValueError(f"a JSON message with id and seq has at least {SMALLEST_JSON} bytes: for less, --payload-file")
    return size


def parse_name(text: str) -> str:
    """Check that a result's directory can be called so.

    Raises:
        ValueError: it cannot.
    """
    if not text or any(not (c.isalnum() or c in "._-+") for c in text) or text.startswith("."):
        raise ValueError(f"{text!r} cannot be part of a directory's name: use letters, digits and ._-+")
    return text


@dataclass(frozen=True)
class Option:
    """An option of a run.

    Attributes:
        flags: the last one, a long one, gives the name.
        parse: function from text to value that raises ValueError with a sentence; None for a switch.
        default: as text; None if the option has none.
        metavar: placeholder for the value in help texts.
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

        Raises:
            UsageError: the option cannot take it.
        """
        if self.parse is None:
            return str(raw).lower() in ("true", "1", "on", "yes")
        if self.repeatable:
            texts = [raw] if isinstance(raw, str) else list(raw or ())
            return tuple(self._parsed(text) for text in texts if text)
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
    Option(("--in-flight",), "Closed loop: messages in flight on each connection.", _count, "1", "N"),
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
    Option(("--subprotocol",), "A subprotocol to offer.", metavar="NAME", repeatable=True),
    Option(("--origin",), "The Origin header of the upgrade request.", metavar="ORIGIN"),
    Option(("--ca",), "wss: trust the CA in this PEM file.", metavar="FILE"),
    Option(("--insecure",), "wss: accept any certificate.", None),
    Option(("--tls-resume",), "wss: later connections resume the TLS session of an earlier one.", None),
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
        ("--set",),
        "Change a setting of the scenario.",
        settings.parse,
        metavar="NAME=VALUE",
        repeatable=True,
    ),
    Option(
        ("--fail-if",),
        "Exit with 1 if this condition holds: 'p99 > 5ms', 'lost > 0', 'errors > 0.1%', 'throughput < 1000/s'.",
        parse_gate,
        metavar="'EXPR'",
        repeatable=True,
    ),
    Option(("--strict",), "Exit with 4 if the generator's verdict on itself is not ok.", None),
    Option(("--quiet",), "Print no summary.", None, web=False),
    Option(("--results",), "Directory in which results are stored.", metavar="DIR", default="results", web=False),
    Option(("--name",), "Name of the result (default: the scenario's).", parse_name, metavar="NAME"),
)


BY_NAME = {option.name: option for option in OPTIONS}
_DEFAULTS = {option.name: option.value_of(None) for option in OPTIONS}


@dataclass(frozen=True)
class RunOptions:
    """The checked options of a run. Durations in ns.

    Attributes:
        connect: how each connection is opened.
        users: connections of all processes together.
        duration_ns: length of the measure phase, None for open-ended.
        rate: messages a second over all connections; None for a closed loop.
        payload: the message of --payload-file, sent instead of a JSON message.
        timeout_ns: a message without a reply after this time is lost.
        settings: the values of `--set`; only the scenario knows whether it has such settings.
        name: empty for the scenario's.
    """

    connect: ConnectOptions
    users: int
    processes: int
    duration_ns: int | None
    warmup_ns: int
    drain_ns: int
    timeout_ns: int
    rate: float | None
    arrivals: str
    in_flight: int
    payload_size: int
    payload: bytes | None
    binary: bool
    reconnect: bool
    request_events: bool
    settings: Mapping[str, str]
    gates: tuple[Condition, ...]
    strict: bool
    quiet: bool
    results: Path
    name: str

    def __post_init__(self) -> None:
        """Check that the values go together.

        Raises:
            UsageError: they do not.
        """
        if self.users < 1:
            raise UsageError(f"--users {self.users} is not at least 1")
        if self.rate is not None and self.rate / self.users > 1e6:
            raise UsageError(
                f"--rate {self.rate:g} is more than a million messages a second on each of {self.users} connections"
            )

    @property
    def closed_loop(self) -> bool:
        """True if the next message waits for a reply."""
        return self.rate is None

    @property
    def sources(self) -> Sequence[SourceRange]:
        """Addresses to connect from: those of --source-ip, or as many of loopback's as its server needs."""
        return self.connect.sources or for_loopback(self.connect.uri.host, self.users)

    @classmethod
    def from_texts(cls, texts: Mapping[str, Any], *, url: str, users: int, processes: int = 1) -> RunOptions:
        """Parse texts by option name, as Locust's parser and its start form have them.

        Raises:
            UsageError: the first one that is wrong, by its name.
        """
        values = {option.name: option.value_of(texts.get(option.name)) for option in OPTIONS}
        return cls.from_values(values, url=url, users=users, processes=processes)

    @classmethod
    def from_values(
        cls, values: Mapping[str, Any], *, url: str, users: int = DEFAULT_USERS, processes: int = 1
    ) -> RunOptions:
        """Build the options from parsed values by option name; a missing one has its default.

        Raises:
            UsageError: they do not go together, or this machine lacks a file or an address that they name.
        """
        values = {**_DEFAULTS, **values}
        payload = _payload(values["payload_file"])
        payload_size = len(payload) if payload is not None else values["payload_size"]
        connect = ConnectOptions(
            url=url,
            headers=tuple(values["header"]),
            subprotocols=tuple(values["subprotocol"]),
            origin=values["origin"],
            compression=values["compression"],
            ca_file=values["ca"],
            insecure=values["insecure"],
            connect_timeout_ns=values["timeout"],
            sources=tuple(values["source_ip"]),
            resume_tls=values["tls_resume"],
            # An echo is as long as its message; a reply that is somewhat longer is accepted.
            max_size=max(_MAX_SIZE, 2 * payload_size),
            message_size=payload_size,
        )
        options = cls(
            connect=connect,
            users=users,
            processes=processes,
            duration_ns=values["duration"],
            warmup_ns=values["warmup"],
            drain_ns=values["drain"],
            timeout_ns=values["timeout"],
            rate=values["rate"],
            arrivals=values["arrivals"],
            in_flight=values["in_flight"],
            payload_size=payload_size,
            payload=payload,
            binary=values["binary"] or (payload is not None and not _is_text(payload)),
            reconnect=values["reconnect"] == "on-drop",
            request_events=values["request_events"],
            settings=dict(values["set"]),
            gates=tuple(values["fail_if"]),
            strict=values["strict"],
            quiet=values["quiet"],
            results=Path(values["results"]),
            name=values["name"] or "",
        )
        options.check_machine()
        return options

    def check_machine(self) -> None:
        """Check that this machine has what the options name: source addresses and the CA's file.

        Raises:
            UsageError: it lacks one.
        """
        check_sources(self.connect.sources)
        client_context(ca_file=self.connect.ca_file, insecure=self.connect.insecure)

    def against(self, url: str, ca_file: str | None = None) -> RunOptions:
        """Return the same run against the server at `url`; `ca_file` is the CA of a target that wsbench started."""
        return replace(self, connect=replace(self.connect, url=url, ca_file=ca_file or self.connect.ca_file))


def _payload(path: str | None) -> bytes | None:
    if path is None:
        return None
    try:
        payload = Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"--payload-file {path}: {error.strerror or error}") from error
    if not payload:
        raise UsageError(f"--payload-file {path}: the file is empty")
    return payload


def _is_text(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def describe(options: RunOptions, scenario: str | None = None) -> str:
    """Return one line that describes the run, and the `scenario` if it is not ours."""
    load = (
        f"{options.rate:g} messages/s ({options.arrivals})"
        if options.rate is not None
        else f"closed loop, {options.in_flight} in flight"
    )
    if scenario is not None:
        load = f"scenario {scenario}"
    length = format_seconds(options.duration_ns) if options.duration_ns else "until stopped"
    size = f", {options.payload_size} bytes" if scenario is None else ""
    return f"{options.users} connections, {load}{size}, {length}"
