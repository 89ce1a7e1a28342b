"""The options of a run, parsed once.

click and experiment files parse each value by the table of options (`RunOptions.from_values`); Locust keeps texts,
which its session parses (`RunOptions.from_texts`). Every other process receives `RunOptions` and parses nothing. This
module imports neither Locust nor gevent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from wsbench.credentials import Secrets
from wsbench.errors import UsageError
from wsbench.run.gates import Condition
from wsbench.run.option_table import DEFAULTS, LARGEST_MESSAGE, OPTIONS, parse_lasting_file
from wsbench.source_addresses import SourceRange, check_sources, for_loopback
from wsbench.units import NS_PER_S, format_bytes, format_seconds
from wsbench.websocket.connect_options import ConnectOptions
from wsbench.websocket.tls import client_context

DEFAULT_USERS = 50
DEFAULT_SPAWN_RATE = 100.0
DEFAULT_DURATION_NS = 10 * NS_PER_S
"""The default of `wsbench run` and of experiments; under Locust the measure phase is open-ended."""
MOST_WORKERS = 256
"""Connections of a run are numbered by worker, in one byte."""
_MAX_SIZE = 64 * 1024 * 1024
_MESSAGE_BYTES = 300
"""Memory of a message in flight beside its bytes, which are kept as frame and as expected reply."""


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
    native: bool
    settings: Mapping[str, str]
    gates: tuple[Condition, ...]
    strict: bool
    quiet: bool
    results: Path
    name: str

    def __post_init__(self) -> None:
        """Raise UsageError if the values do not go together."""
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

    @cached_property
    def secrets(self) -> Secrets:
        """The secrets of the run."""
        return self.connect.secrets.knowing(settings=self.settings)

    @property
    def bytes_in_flight(self) -> int:
        """Memory that the messages in flight take at least, in bytes: in an open loop, one on each connection."""
        window = self.in_flight if self.closed_loop else 1
        return self.users * window * (2 * self.payload_size + _MESSAGE_BYTES)

    @property
    def sources(self) -> Sequence[SourceRange]:
        """Addresses to connect from: those of --source-ip, or as many of loopback's as its server needs."""
        return self.connect.sources or for_loopback(self.connect.uri.host, self.users)

    @classmethod
    def from_texts(cls, texts: Mapping[str, Any], *, url: str, users: int, processes: int = 1) -> RunOptions:
        """Parse texts by option name, as Locust's parser and its start form have them; raise UsageError at an error."""
        values = {option.name: option.value_of(texts.get(option.name)) for option in OPTIONS}
        check_lasting("--payload-file", values["payload_file"])  # a test on the web page reads it again
        return cls.from_values(values, url=url, users=users, processes=processes)

    @classmethod
    def from_values(
        cls, values: Mapping[str, Any], *, url: str, users: int = DEFAULT_USERS, processes: int = 1
    ) -> RunOptions:
        """Build the options from parsed values by option name; a missing one has its default.

        Raise UsageError if they do not go together, or if this machine lacks a file or an address that they name.
        """
        values = {**DEFAULTS, **values}
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
            addresses=values["addresses"],
            sources=tuple(values["source_ip"]),
            resume_tls=values["tls_resume"],
            # An echo is as long as its message; a reply that is somewhat longer is accepted.
            max_size=max(_MAX_SIZE, 2 * payload_size),
            message_size=payload_size,
            secret_names=tuple(values["secret"]),
            show_credentials=values["show_credentials"],
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
            native=values["native"] == "on",
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
        """Raise UsageError if this machine lacks a source address or the CA's file."""
        check_sources(self.connect.sources)
        client_context(ca_file=self.connect.ca_file, insecure=self.connect.insecure)

    def against(self, url: str, ca_file: str | None = None) -> RunOptions:
        """Return the same run against the server at `url`; `ca_file` is the CA of a target that wsbench started."""
        return replace(self, connect=replace(self.connect, url=url, ca_file=ca_file or self.connect.ca_file))


def check_lasting(flag: str, path: str | None) -> None:
    """Raise UsageError if the file of an option is a pipe, which cannot be read again."""
    try:
        parse_lasting_file(path or "")
    except ValueError as error:
        raise UsageError(f"{flag}: {error}") from error


def _payload(path: str | None) -> bytes | None:
    if path is None:
        return None
    try:
        with Path(path).open("rb") as file:
            payload = file.read(LARGEST_MESSAGE + 1)  # /dev/zero has no end
    except OSError as error:
        raise UsageError(f"--payload-file {path}: {error.strerror or error}") from error
    if not payload:
        raise UsageError(f"--payload-file {path}: the file is empty")
    if len(payload) > LARGEST_MESSAGE:
        raise UsageError(f"--payload-file {path}: a message has at most {format_bytes(LARGEST_MESSAGE)}")
    return payload


def _is_text(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def describe(options: RunOptions, scenario: str | None = None) -> str:
    """Return one line that describes the run, and the `scenario` if it is not ours."""
    length = format_seconds(options.duration_ns) if options.duration_ns else "until stopped"
    rate = f"{options.rate:g} messages/s ({options.arrivals})" if options.rate is not None else ""
    if scenario is None:
        load = [rate or f"closed loop, {options.in_flight} in flight", f"{options.payload_size} bytes"]
    else:  # it chooses its own messages, and without a rate its own pace
        load = [f"scenario {scenario}", *([rate] if rate else [])]
    return ", ".join([f"{options.users} connections", *load, length])
