"""What a run leaves: the model of run.json (immutable, versioned), and the directory it lies in.

A directory appears under its final name whole or not at all: it is filled under a hidden name and renamed at the end.
Field by field, the model is the project's contract with those who script against it: add to it, never repurpose.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from wsbench.errors import ExitCode, ResultError, Side, UsageError, WsbenchError
from wsbench.measure.series import SERIES
from wsbench.units import format_bytes

SCHEMA = 1
RUN_FILE = "run.json"
LOG_FILE = "locust.log"
REPORT_FILE = "report.html"
_ROOM_BYTES = 8_000_000
"""A short run's result takes some 5 MB, nearly all of it the library in report.html that draws."""
_MOST = 2**63 - 1
T = TypeVar("T")


class Conditions(msgspec.Struct, frozen=True):
    """What was asked for. Durations in ns; `duration_ns` is the length the measure phase really had.

    `settings` are the scenario's own, as texts.
    """

    url: str
    scenario: str
    loop: str
    rate: float | None
    arrivals: str
    in_flight: int
    users: int
    processes: int
    payload_size: int
    binary: bool
    compression: str
    tls: bool
    duration_ns: int
    warmup_ns: int
    timeout_ns: int
    drain_ns: int = 0
    settings: dict[str, str] = {}


class NegotiatedWith(msgspec.Struct, frozen=True):
    """What the server granted, read from the handshake."""

    compression: str | None = None
    subprotocol: str | None = None
    tls_version: str | None = None
    tls_cipher: str | None = None


class Target(msgspec.Struct, frozen=True):
    """The server. Its CPU and memory are known only when wsbench started it; CPU is of the measure phase."""

    name: str | None = None
    version: str | None = None
    started_by_wsbench: bool = False
    cpu_s: float | None = None
    cpu_us_per_message: float | None = None
    rss_bytes: int | None = None
    bytes_per_connection: int | None = None


class Environment(msgspec.Struct, frozen=True):
    """The machine and software that generated the load."""

    cpu: str
    cores: int
    kernel: str
    python: str
    packages: dict[str, str]
    nofile: int
    host_id: str


class Connections(msgspec.Struct, frozen=True):
    """Of the whole run. `close_codes` counts how connections ended, by RFC 6455 code; `tls_resumed` those opened with
    an earlier one's TLS session."""

    asked: int = 0
    opened: int = 0
    failed: int = 0
    dropped: int = 0
    reconnected: int = 0
    close_codes: dict[str, int] = {}
    tls_resumed: int = 0


class Messages(msgspec.Struct, frozen=True):
    """Every message is sent and then received or lost; `missed` were due but could not even be sent.

    A corrupted or reordered message was received; a duplicate is counted beside the first; `late` are replies that
    came after their message had been given up as lost; `unexpected` answer nothing that was sent.

    In a scenario of one's own, `one_way` were sent without asking for a reply, and `pushed` are those received that the
    server sent on its own accord: sent - one_way = received - pushed + lost.
    """

    sent: int = 0
    received: int = 0
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    corrupted: int = 0
    unexpected: int = 0
    missed: int = 0
    late: int = 0
    one_way: int = 0
    pushed: int = 0


class Bytes(msgspec.Struct, frozen=True):
    """Of the measure phase. `wire` is what went through the sockets: frames, TLS and all."""

    payload_sent: int = 0
    payload_received: int = 0
    wire_sent: int = 0
    wire_received: int = 0


class Throughput(msgspec.Struct, frozen=True):
    """Messages a second in the measure phase; received by when the reply was handled, not when its message was due."""

    sent_per_s: float = 0.0
    received_per_s: float = 0.0


class Latency(msgspec.Struct, frozen=True):
    """One series. Percentiles are over all that were due, lost ones last; None where they fall among the lost.

    `histogram` is the distribution at a glance: upper bounds in ns (of `measure.histogram.bounds`, twelve a decade),
    and how many values lie under each and over the bound before it. Bounds that have none are left out.

    `phases` says what it speaks of: "measure", or "all". Connections are opened in the ramp, and so may a series of a
    scenario's own be that has nothing in the measure phase, such as a login.
    """

    count: int = 0
    lost: int = 0
    min_ns: int | None = None
    mean_ns: int | None = None
    stddev_ns: int | None = None
    p50_ns: int | None = None
    p90_ns: int | None = None
    p99_ns: int | None = None
    p99_9_ns: int | None = msgspec.field(default=None, name="p99.9_ns")
    p99_99_ns: int | None = msgspec.field(default=None, name="p99.99_ns")
    max_ns: int | None = None
    survivors: dict[str, int | None] = {}
    histogram: dict[int, int] = {}
    phases: str = "measure"


class Timestamps(msgspec.Struct, frozen=True):
    """Where `arrived` came from: counts of replies, and "kernel", "user" or "mixed"; None without replies."""

    source: str | None = None
    kernel: int = 0
    user: int = 0


class ErrorCount(msgspec.Struct, frozen=True):
    """One kind of error, how often, and one example with what to do about it."""

    kind: str
    side: str
    count: int
    example: str
    remedy: str = ""


class Finding(msgspec.Struct, frozen=True):
    """Something that bears on how far the figures can be trusted."""

    code: str
    evidence: str
    remedy: str
    severity: str = "note"


class Worker(msgspec.Struct, frozen=True):
    """One load-generating process, over the measure phase.

    Attributes:
        polling_percent: the part of `cpu_percent_mean` that was spent waiting for the next message to be due.
        clock_offset_ns: how far the master's clock is ahead.
    """

    index: int
    cpu_percent_mean: float
    cpu_percent_max: float
    rss_bytes: int
    messages: int
    clock_offset_ns: int = 0
    polling_percent: float = 0.0


class Generator(msgspec.Struct, frozen=True):
    """The load generator on itself: verdict `ok`, `late` or `saturated`, with the findings it rests on.

    CPU is the whole process's; `polling_us_per_message` is the part of it spent waiting for messages to be due.
    `bytes_per_connection` is by how much the workers' memory grew in the ramp, with a user and all for each connection.
    """

    verdict: str
    findings: list[Finding] = []
    cpu_us_per_message: float | None = None
    polling_us_per_message: float | None = None
    workers: list[Worker] = []
    bytes_per_connection: int | None = None


class Gate(msgspec.Struct, frozen=True):
    """A --fail-if and what became of it."""

    expression: str
    failed: bool
    value: str


class Run(msgspec.Struct, frozen=True):
    """run.json. `latency` has the series that every run has and those that its scenario named; `counters` are the
    scenario's own, of the whole run."""

    schema: int
    id: str
    name: str
    complete: bool
    started: str
    wsbench: str
    command: list[str]
    conditions: Conditions
    negotiated: NegotiatedWith
    target: Target
    environment: Environment
    connections: Connections
    messages: Messages
    messages_all_phases: Messages
    bytes: Bytes
    throughput: Throughput
    latency: dict[str, Latency]
    timestamps: Timestamps
    errors: list[ErrorCount]
    generator: Generator
    gates: list[Gate] = []
    counters: dict[str, int] = {}


def encode(run: Run) -> bytes:
    """run.json, indented for people, with a newline at its end."""
    return msgspec.json.format(msgspec.json.encode(run), indent=2) + b"\n"


def decode(text: bytes, where: str) -> Run:
    """A run from its JSON.

    Raises:
        ResultError: not JSON, of another schema, or not what the schema says; `where` names it.
    """
    run = decode_as(Run, text, where, what="result", schema=SCHEMA)
    if missing := [name for name in SERIES if name not in run.latency]:
        raise ResultError(
            f"{where} is not a whole result: `latency` lacks {missing[0]}", remedy="The file was edited or damaged."
        )
    return run


def decode_as(shape: type[T], text: bytes, where: str, *, what: str, schema: int) -> T:
    """Any stored document that says its schema: strictly, or not at all.

    Raises:
        ResultError: not JSON, of another schema, or not of this shape; `what` it should be, `where` it came from.
    """
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ResultError(f"{where} is not JSON: {error}", remedy="The file was cut off or edited.") from error
    says = document.get("schema") if isinstance(document, dict) else None
    if says != schema:
        remedy = "It was written by a newer wsbench: upgrade." if isinstance(says, int) and says > schema else ""
        raise ResultError(f"{where} is no {what} of schema {schema} (it says {says!r})", remedy=remedy)
    try:
        _check_numbers(document)
        return msgspec.convert(document, shape, str_keys=True)
    except (msgspec.ValidationError, ValueError) as error:
        remedy = "The file was edited or damaged."
        raise ResultError(f"{where} is not a whole {what}: {error}", remedy=remedy) from error


def _check_numbers(document: Any) -> None:
    """A number that no wsbench can have stored: below zero (a clock's offset apart), or beyond what a figure can be.

    Raises:
        ValueError: which, and where.
    """
    left: list[tuple[str, Any]] = [("$", document)]
    while left:
        path, value = left.pop()
        if isinstance(value, dict):
            left += [(f"{path}.{key}", each) for key, each in value.items()]
        elif isinstance(value, list):
            left += [(f"{path}[{index}]", each) for index, each in enumerate(value)]
        elif isinstance(value, int | float):
            least = -_MOST if path.endswith("clock_offset_ns") else 0
            if not least <= value <= _MOST:
                raise ValueError(f"a number that cannot be - at `{path}`")


def load(path: Path) -> Run:
    """The run in a result directory (or in its run.json).

    Raises:
        ResultError: there is none, or it cannot be read.
    """
    return decode(*read(path, RUN_FILE, what="result"))


def read(path: Path, name: str, *, what: str) -> tuple[bytes, str]:
    """A stored document and where it lies: `name` in a directory, or the file itself.

    Raises:
        ResultError: there is none, or it cannot be read.
    """
    try:
        file = path / name if path.is_dir() else path
        return file.read_bytes(), str(file)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        remedy = f"Name a directory that holds {'an' if name[0] in 'aeiou' else 'a'} {name}."
        raise ResultError(f"no {what} at {path}: {getattr(error, 'strerror', None) or error}", remedy=remedy) from error


def is_there(path: Path) -> bool:
    """Whether there is something of that name; no name is too odd to ask."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def replace_file(file: Path, content: bytes) -> None:
    """Write a file so that a reader sees all of the old content or all of the new.

    Raises:
        OSError: it cannot be written.
    """
    if file.is_symlink() or (file.exists() and not file.is_file()):  # /dev/stdout, a pipe: not ours to replace
        file.write_bytes(content)
        return
    draft = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        with draft.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


class Staging:
    """A result directory in the making: `<results>/.<run id>.partial`, renamed to `<results>/<run id>` at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run_id = path.name.removeprefix(".").removesuffix(".partial")

    @classmethod
    def create(cls, results: Path, name: str, *, now: datetime | None = None) -> Staging:
        """A new one, under an id that nobody else has.

        Raises:
            UsageError: the results directory cannot be written, or is on a disk that is full.
        """
        stamp = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
        staging = cls.of_id(results, f"{stamp}-{name}")
        try:
            free = shutil.disk_usage(staging.path).free
        except OSError:
            return staging
        if free < _ROOM_BYTES:
            staging.discard()
            raise UsageError(
                f"--results {results}: {format_bytes(free)} free there, and a result takes {format_bytes(_ROOM_BYTES)}",
                remedy="Make room, or name a directory on another disk.",
            )
        return staging

    @classmethod
    def of_id(cls, results: Path, wanted: str) -> Staging:
        """A new one, under the id that is wanted, or that with a number if somebody has it.

        Raises:
            UsageError: the results directory cannot be written.
        """
        for attempt in range(1, 1000):
            run_id = wanted if attempt == 1 else f"{wanted}-{attempt}"
            path = results / f".{run_id}.partial"
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                if path.exists():
                    continue
                raise UsageError(f"--results {results}: there is a file of that name") from None
            except OSError as error:
                raise UsageError(
                    f"--results {results}: {error.strerror or error}", remedy="Name a directory that can be written."
                ) from error
            if (results / run_id).exists():
                path.rmdir()
                continue
            return cls(path)
        raise UsageError(f"--results {results}: too many results of this second")

    @property
    def final(self) -> Path:
        """Where it will be."""
        return self.path.parent / self.run_id

    def write(self, files: Mapping[str, bytes | Iterable[bytes]]) -> None:
        """Write files into it, each flushed to disk.

        Raises:
            OSError: they could not be written.
        """
        for name, content in files.items():
            with (self.path / name).open("wb") as file:
                file.writelines([content] if isinstance(content, bytes) else content)
                file.flush()
                os.fsync(file.fileno())

    def store(self, files: Mapping[str, bytes | Iterable[bytes]]) -> str:
        """Write the files of a result and give the directory its final name; what could not be written, and why.

        The report alone is dispensable: what was measured is not lost over a page that can be made again.

        Raises:
            OSError: nothing was stored.
        """
        missing = ""
        self.write({name: content for name, content in files.items() if name != REPORT_FILE})
        if REPORT_FILE in files:
            try:
                self.write({REPORT_FILE: files[REPORT_FILE]})
            except OSError as error:
                (self.path / REPORT_FILE).unlink(missing_ok=True)
                missing = f"{REPORT_FILE} could not be written: {error.strerror or error}"
        self.commit()
        return missing

    def commit(self) -> Path:
        """Give it its final name.

        Raises:
            OSError: it could not be renamed; the files stay where they are.
        """
        self.path.rename(self.final)
        return self.final

    def discard(self) -> None:
        """Remove it, if it was not committed."""
        shutil.rmtree(self.path, ignore_errors=True)


class NotStored(WsbenchError):
    """A run was measured, and its result could not be written."""

    def __init__(self, directory: Path, error: OSError) -> None:
        super().__init__(
            f"the result could not be stored in {directory}: {error.strerror or error}",
            remedy="What was printed is all there is. Make room, or name another directory: --results DIR.",
            side=Side.GENERATOR,
            kind="not-stored",
        )


def exit_code(run: Run, *, strict: bool, interrupted: bool = False) -> ExitCode:
    """What a command that ends with this run exits with."""
    if interrupted:
        return ExitCode.INTERRUPTED
    if any(gate.failed for gate in run.gates):
        return ExitCode.GATE_FAILED
    return ExitCode.NOT_TRUSTED if strict and run.generator.verdict != "ok" else ExitCode.OK
