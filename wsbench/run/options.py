"""The options of a run: declared once, for Locust's parser, its web form and `wsbench run` alike.

`OPTIONS` is the declaration; `RunOptions.from_mapping` turns raw values (strings from a command line, an environment
variable, a web form, or a message from the master) into checked ones. This module imports neither Locust nor gevent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsbench.errors import UsageError
from wsbench.measure.payloads import SMALLEST_JSON
from wsbench.run import settings
from wsbench.run.gates import Condition
from wsbench.run.gates import parse as parse_gate
from wsbench.source_addresses import check_sources, for_loopback, parse_sources
from wsbench.units import format_seconds, parse_duration, parse_positive_duration, parse_rate, parse_size
from wsbench.websocket.compression import parse_compression
from wsbench.websocket.handshake import ConnectOptions, parse_header, parse_url
from wsbench.websocket.tls import client_context

DEFAULT_USERS = 50
DEFAULT_SPAWN_RATE = 100.0
DEFAULT_DURATION = "10s"
_MAX_SIZE = 64 * 1024 * 1024


def _count(text: str) -> int:
    value = int(text) if text.strip().isdecimal() else 0
    if value < 1:
        raise ValueError(f"{text!r} is not a whole number of at least 1")
    return value


def _choice(*names: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in names:
            raise ValueError(f"{text!r} is none of {', '.join(names)}")
        return text

    return parse


def _compression(text: str) -> str:
    parse_compression(text)
    return text.strip()


def _payload_size(text: str) -> int:
    size = parse_size(text)
    if size < SMALLEST_JSON:
        raise ValueError(f"a JSON message with id and seq has at least {SMALLEST_JSON} bytes: for less, --payload-file")
    return size


def _name(text: str) -> str:
    if not text or any(not (c.isalnum() or c in "._-+") for c in text) or text.startswith("."):
        raise ValueError(f"{text!r} cannot be part of a directory's name: use letters, digits and ._-+")
    return text


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        flags: as typed; the last long one gives the name.
        parse: from text to a value, raising ValueError with a sentence; None for a switch.
        default: as text; None for absent.
        metavar: what the help shows for the value.
        web: whether it stands on Locust's start form.
        internal: known to Locust's parser, shown nowhere.
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


OPTIONS: tuple[Option, ...] = (
    Option(
        ("-d", "--duration"),
        "Length of the measure phase. Under Locust without it: until --run-time is over or somebody presses Stop.",
        parse_positive_duration,
        metavar="T",
    ),
    Option(("--warmup",), "Length of the warm-up, of which nothing is measured.", parse_duration, "2s", "T"),
    Option(("--drain",), "How long to wait for replies at the end.", parse_duration, "5s", "T"),
    Option(
        ("--rate",),
        "Open loop: messages a second over all connections, sent on schedule whether or not replies came. "
        "Without it: closed loop, the next message waits for a reply.",
        parse_rate,
        metavar="R",
    ),
    Option(
        ("--arrivals",),
        "Open loop: evenly spaced and staggered, or a Poisson process.",
        _choice("constant", "poisson"),
        "constant",
        choices=("constant", "poisson"),
    ),
    Option(("--in-flight",), "Closed loop: messages under way on a connection.", _count, "1", "N"),
    Option(("--payload-size",), "Size of the whole JSON message in bytes.", _payload_size, "128", "BYTES"),
    Option(("--payload-file",), "Send this file's JSON (or bytes) instead.", metavar="FILE"),
    Option(("--binary",), "Send binary frames.", None),
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
    Option(("--origin",), "The Origin header.", metavar="ORIGIN"),
    Option(("--ca",), "wss: trust the CA in this PEM file.", metavar="FILE"),
    Option(("--insecure",), "wss: accept any certificate.", None),
    Option(("--tls-resume",), "wss: later connections resume the TLS session of an earlier one.", None),
    Option(
        ("--source-ip",),
        "Connect from these addresses of this machine in turn: 10.0.0.5, 10.0.0.5-10.0.0.9 or 127.0.0.0/8. "
        "For more connections than one address has ports; on loopback that is done unasked.",
        parse_sources,
        metavar="ADDRESSES",
        repeatable=True,
    ),
    Option(("--timeout",), "A reply later than this is lost.", parse_positive_duration, "10s", "T"),
    Option(
        ("--reconnect",),
        "Whether a dropped connection is opened again (with back-off and jitter).",
        _choice("never", "on-drop"),
        "on-drop",
        choices=("on-drop", "never"),
    ),
    Option(
        ("--request-events",),
        "Fire Locust's request event for every message, for listeners that need each one: slower.",
        None,
    ),
    Option(
        ("--set",),
        "A setting of the scenario's own.",
        settings.parse,
        metavar="NAME=VALUE",
        repeatable=True,
    ),
    Option(
        ("--fail-if",),
        "Fail the run (exit code 1) if this holds: 'p99 > 5ms', 'lost > 0', 'errors > 0.1%', 'throughput < 1000/s'.",
        parse_gate,
        metavar="'EXPR'",
        repeatable=True,
    ),
    Option(("--strict",), "Fail the run (exit code 4) if the generator's verdict is not ok.", None),
    Option(("--quiet",), "Print no summary.", None, web=False),
    Option(("--results",), "Where results are stored.", metavar="DIR", default="results", web=False),
    Option(("--name",), "A name for the result, if not the scenario's.", _name, metavar="NAME"),
)


@dataclass(frozen=True)
class RunOptions:
    """The checked options of a run. Durations in ns.

    Attributes:
        duration_ns: length of the measure phase, None for open-ended.
        rate: messages a second over all connections; None for a closed loop.
        payload: a message of the user's own instead of ours.
        settings: what was given with `--set`; whether the scenario has such settings is for it to say.
    """

    connect: ConnectOptions
    users: int
    processes: int
    duration_ns: int | None
    warmup_ns: int
    drain_ns: int
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

    @property
    def timeout_ns(self) -> int:
        """A reply later than this is lost."""
        return self.connect.timeout_ns

    @property
    def closed_loop(self) -> bool:
        """Whether the next message waits for a reply."""
        return self.rate is None

    @classmethod
    def from_mapping(
        cls, raw: Mapping[str, Any], *, url: str, users: int, processes: int = 1, payload: bytes | None = None
    ) -> RunOptions:
        """Check raw values. `payload` is what the master read from its --payload-file, for a worker elsewhere.

        Raises:
            UsageError: the first one that is wrong, by its name.
        """
        values = {option.name: _checked(option, raw.get(option.name)) for option in OPTIONS}
        if payload is None:
            payload = _payload(values["payload_file"])
        binary = bool(values["binary"]) or (payload is not None and not _is_text(payload))
        if users < 1:
            raise UsageError(f"--users {users} is not at least 1")
        if values["rate"] is not None and values["rate"] / users > 1e6:
            raise UsageError(
                f"--rate {values['rate']:g} is more than a million messages a second on each of {users} connections"
            )
        payload_size = len(payload) if payload is not None else values["payload_size"]
        connect = ConnectOptions(
            url=url,
            headers=tuple(values["header"]),
            subprotocols=tuple(values["subprotocol"]),
            origin=values["origin"],
            compression=values["compression"],
            ca_file=values["ca"],
            insecure=bool(values["insecure"]),
            timeout_ns=values["timeout"],
            sources=tuple(values["source_ip"]) or for_loopback(parse_url(url).host, users),
            resume_tls=bool(values["tls_resume"]),
            # An echo is as long as the message; a server that answers a little longer is not refused for it.
            max_size=max(_MAX_SIZE, 2 * payload_size),
            message_size=payload_size,
        )
        check_sources(values["source_ip"])
        client_context(ca_file=connect.ca_file, insecure=connect.insecure)
        return cls(
            connect=connect,
            users=users,
            processes=processes,
            duration_ns=values["duration"],
            warmup_ns=values["warmup"],
            drain_ns=values["drain"],
            rate=values["rate"],
            arrivals=values["arrivals"],
            in_flight=values["in_flight"],
            payload_size=payload_size,
            payload=payload,
            binary=binary,
            reconnect=values["reconnect"] == "on-drop",
            request_events=bool(values["request_events"]),
            settings=dict(values["set"]),
            gates=tuple(values["fail_if"]),
            strict=bool(values["strict"]),
            quiet=bool(values["quiet"]),
            results=Path(values["results"]),
            name=values["name"] or "echo",
        )


def check_value(option: Option, text: str) -> str:
    """The text itself, if the option can take it.

    Raises:
        ValueError: a sentence on why not.
    """
    if option.parse is not None:
        option.parse(text)
    return text


def _checked(option: Option, raw: Any) -> Any:
    if option.parse is None:
        return str(raw).lower() in ("true", "1", "on", "yes")
    if option.repeatable:
        texts = [raw] if isinstance(raw, str) else list(raw or ())
        return [_parsed(option, text) for text in texts if text]
    if raw is None or raw == "":
        raw = option.default
    return None if raw is None else _parsed(option, str(raw))


def _parsed(option: Option, text: str) -> Any:
    assert option.parse is not None
    try:
        return option.parse(text)
    except ValueError as error:
        raise UsageError(f"{option.flags[-1]}: {error}") from error


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
    """One line on what will be done, for people; by users of a `scenario` file, if there is one."""
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
