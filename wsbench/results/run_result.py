"""run.json: the result of one run (immutable, versioned).

The fields are the project's contract with programs that read it: add to them, never give one another meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import msgspec

from wsbench.errors import ResultError
from wsbench.measure.findings import Finding
from wsbench.measure.series import MESSAGE_COUNTS, SERIES
from wsbench.results.json_files import decode_json, read_document
from wsbench.units import format_cores

SCHEMA = 1
RUN_FILE = "run.json"


class Conditions(msgspec.Struct, frozen=True):
    """The load that was requested. Durations in ns; `duration_ns` is the real length of the measure phase.

    `settings` are the scenario's, as text.
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
    """Features that the server granted, read from the handshake."""

    compression: str | None = None
    subprotocol: str | None = None
    tls_version: str | None = None
    tls_cipher: str | None = None


class TargetResult(msgspec.Struct, frozen=True):
    """The server. CPU (of the measure phase) and memory are known only of a server that wsbench started."""

    name: str | None = None
    version: str | None = None
    started_by_wsbench: bool = False
    cpu_s: float | None = None
    cpu_us_per_message: float | None = None
    rss_bytes: int | None = None
    bytes_per_connection: int | None = None


class Environment(msgspec.Struct, frozen=True):
    """The machine and software that generated the load.

    `cpu_quota` is the number of cores that the strictest quota of its cgroups allows; None without a quota.
    """

    cpu: str
    cores: int
    kernel: str
    python: str
    packages: dict[str, str]
    nofile: int
    host_id: str
    cpu_quota: float | None = None

    @property
    def usable_cores(self) -> int:
        """The number of whole cores that processes can use at the same time; at least 1."""
        return max(1, min(self.cores, int(self.cpu_quota or self.cores)))

    @property
    def cores_text(self) -> str:
        """The cores with their limit, for people: '4 cores (CPU quota: 0.5 cores)'."""
        quota = "" if self.cpu_quota is None else f" (CPU quota: {format_cores(self.cpu_quota)})"
        return f"{format_cores(self.cores)}{quota}"


class ConnectionCounts(msgspec.Struct):
    """Connections of the whole run, or of one worker so far.

    `close_codes` counts RFC 6455 close codes; `tls_resumed` connections resumed the TLS session of an earlier one.
    `attempts` to open a connection include those to reopen one; `attempts_failed` of them did, and of these
    `reconnects_failed` were to reopen one. `peers` counts those that succeeded by the server's address; addresses of
    its name that none used have 0.
    """

    asked: int = 0
    opened: int = 0
    failed: int = 0
    dropped: int = 0
    reconnected: int = 0
    close_codes: dict[str, int] = {}
    tls_resumed: int = 0
    attempts: int = 0
    attempts_failed: int = 0
    reconnects_failed: int = 0
    peers: dict[str, int] = {}


class Availability(msgspec.Struct, frozen=True):
    """Connection time until the drain: a connection is wanted from its first attempt on, unless its user closes it.

    Attributes:
        percent: the share of the wanted time in which the connections were open; None if none was wanted.
        wanted_ns: the time that all connections were wanted, added up.
        away_ns: the part of it in which they were not open: dropped and not open again, or never opened.
        outage_ns: the longest time in which connections were wanted and not one was open, after the first was open.
    """

    percent: float | None = None
    wanted_ns: int = 0
    away_ns: int = 0
    outage_ns: int = 0


class MessageCounts(msgspec.Struct, frozen=True):
    """Counts of messages: every message is sent, and then received or lost; sent - one_way = received - pushed + lost.

    Attributes:
        duplicated: further replies to a message that was received.
        reordered, corrupted: received all the same.
        rejected: those of the corrupted that the scenario failed.
        unexpected: replies to no message that was sent.
        missed: due, but never sent.
        late: replies that came after their message had been counted as lost.
        one_way: sent by a custom scenario that expects no reply.
        pushed: received by a custom scenario without a request.
    """

    sent: int = 0
    received: int = 0
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    corrupted: int = 0
    rejected: int = 0
    unexpected: int = 0
    missed: int = 0
    late: int = 0
    one_way: int = 0
    pushed: int = 0

    @classmethod
    def of(cls, counts: Mapping[str, int]) -> MessageCounts:
        """Return the counts of messages among other counts."""
        return cls(**{name: counts[name] for name in MESSAGE_COUNTS})


class OtherRequests(msgspec.Struct, frozen=True):
    """Requests of users that are not wsbench's, such as HttpUser, as Locust counts them; an example of a failure."""

    count: int = 0
    failed: int = 0
    example: str = ""


class WholeRun(msgspec.Struct, frozen=True):
    """Counts of failures in the whole run: ramp, warm-up, drain and reconnections included.

    Attributes:
        attempts: attempts to open a connection, those to reopen one included.
        failed: of these, the attempts that failed.
        due: messages that were due: those sent and those missed.
        lost: messages without a reply in time.
        errors: all errors: the listed ones, messages lost, corrupted or missed, and failed requests of other users.
    """

    attempts: int = 0
    failed: int = 0
    due: int = 0
    lost: int = 0
    errors: int = 0


class Bytes(msgspec.Struct, frozen=True):
    """Bytes of the measure phase. `wire` counts all bytes through the sockets: frames, TLS records."""

    payload_sent: int = 0
    payload_received: int = 0
    wire_sent: int = 0
    wire_received: int = 0


class Throughput(msgspec.Struct, frozen=True):
    """Messages a second in the measure phase. A reply counts when it is handled, not when its message was due."""

    sent_per_s: float = 0.0
    received_per_s: float = 0.0


class Latency(msgspec.Struct, frozen=True):
    """One latency series. Percentiles are over all messages that were due, with the lost ones as the slowest.

    A percentile is None where it falls among the lost messages.

    Attributes:
        survivors: the percentiles of the received messages alone, by field; empty when none was lost.
        histogram: number of values by upper bound in ns (`measure.histogram.bounds`, twelve a decade). Bounds without
            values are left out.
        phases: "measure", or "all" for connections (they open in the ramp) and for a scenario's series without values
            in the measure phase, such as a login.
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

    @property
    def due(self) -> int:
        """The number of messages that were due."""
        return self.count + self.lost


class Timestamps(msgspec.Struct, frozen=True):
    """Source of the arrival times: "kernel", "user" or "mixed" (None without replies), and counts of replies."""

    source: str | None = None
    kernel: int = 0
    user: int = 0


class ErrorCount(msgspec.Struct, frozen=True):
    """One kind of error with its count, and one example with its remedy.

    `of_messages` of them count among the lost or corrupted messages as well.
    """

    kind: str
    side: str
    count: int
    example: str
    remedy: str = ""
    of_messages: int = 0


class ReplyExample(msgspec.Struct, frozen=True):
    """The first wrong reply of its kind: "corrupted", "unexpected", or "rejected" by the scenario.

    Attributes:
        expected: the message that it should have been, or the oldest one that awaited a reply; an excerpt around `at`.
        received: the reply; an excerpt around `at`. Control characters and bytes that are not UTF-8 are escaped.
        difference: how the two differ, in words; the scenario's reason if it rejected the reply.
        at: offset of the first byte that differs, from 0; None if there is none.
        name: the name of the request, if the scenario rejected the reply.
    """

    kind: str
    expected: str | None
    received: str
    difference: str
    at: int | None = None
    name: str = ""


class Worker(msgspec.Struct, frozen=True):
    """One load-generating process, over the measure phase.

    Attributes:
        polling_percent: the part of `cpu_percent_mean` that was spent waiting for the next message to be due.
        clock_offset_ns: the master's clock minus the worker's.
    """

    index: int
    cpu_percent_mean: float
    cpu_percent_max: float
    rss_bytes: int
    messages: int
    clock_offset_ns: int = 0
    polling_percent: float = 0.0


class Generator(msgspec.Struct, frozen=True):
    """The load generator's verdict on itself (`ok`, `late` or `saturated`), its findings, and its use of resources.

    Attributes:
        cpu_us_per_message: CPU time of the whole process.
        polling_us_per_message: the part of it that was spent waiting for messages to be due.
        bytes_per_connection: growth of the workers' memory in the ramp, with users, divided by the connections.
        echo_path: "native" or "python", by what served the echo connections; "mixed" where they differ, None without
            echo connections and in a result of wsbench 0.1.
    """

    verdict: str
    findings: list[Finding] = []
    cpu_us_per_message: float | None = None
    polling_us_per_message: float | None = None
    workers: list[Worker] = []
    bytes_per_connection: int | None = None
    echo_path: str | None = None


class Gate(msgspec.Struct, frozen=True):
    """The outcome of a --fail-if; `value` is the figure that decided.

    Attributes:
        objective: the --slo of `wsbench capacity` whose opposite the expression is; empty for a --fail-if.
    """

    expression: str
    failed: bool
    value: str
    objective: str = ""

    @property
    def stated(self) -> str:
        """The condition as the user stated it, with its option."""
        return f"--slo '{self.objective}'" if self.objective else f"--fail-if '{self.expression}'"


class Ending(StrEnum):
    """The values of `ended_by`: what ended a run."""

    DURATION = "duration"
    STOP = "stop"
    INTERRUPT = "interrupt"
    ERROR = "error"


class Reason(msgspec.Struct, frozen=True):
    """One reason for an outcome: a stable code, how often, and a sentence without a full stop."""

    code: str
    count: int
    evidence: str


class Outcome(msgspec.Struct, frozen=True):
    """The outcome of a run for its user: "passed", "failed" or "not-measured"; empty in a result of wsbench 0.1.

    The reasons that decided come first, then what else went wrong.
    """

    result: str = ""
    reasons: list[Reason] = []


class UsersEdit(msgspec.Struct, frozen=True):
    """A change of the number of users while the run was in progress.

    Attributes:
        after_ns: time since the phase began; null in the ramp.
    """

    at: str
    phase: str
    after_ns: int | None
    before: int
    users: int


class Run(msgspec.Struct, frozen=True):
    """run.json.

    Attributes:
        ended_by: an `Ending`; empty in a result of wsbench 0.1.
        latency: the series that every run has, and those that its scenario named.
        counters: the scenario's, over the whole run.
        examples: the first wrong reply of each kind, over the whole run.
    """

    schema: int
    id: str
    name: str
    complete: bool
    started: str
    wsbench: str
    command: list[str]
    conditions: Conditions
    negotiated: NegotiatedWith
    target: TargetResult
    environment: Environment
    connections: ConnectionCounts
    messages: MessageCounts
    messages_all_phases: MessageCounts
    bytes: Bytes
    throughput: Throughput
    latency: dict[str, Latency]
    timestamps: Timestamps
    errors: list[ErrorCount]
    generator: Generator
    gates: list[Gate] = []
    counters: dict[str, int] = {}
    outcome: Outcome = Outcome()
    ended_by: str = ""
    whole_run: WholeRun = WholeRun()
    other_requests: OtherRequests = OtherRequests()
    examples: list[ReplyExample] = []
    availability: Availability = Availability()
    edits: list[UsersEdit] = []


def decode(text: bytes, where: str) -> Run:
    """Parse the run.json of the path `where`; raise ResultError if it is not a whole result of this schema."""
    run = decode_json(Run, text, where, what="result", schema=SCHEMA)
    if missing := [name for name in SERIES if name not in run.latency]:
        raise ResultError(
            f"{where} is not a whole result: `latency` lacks {missing[0]}", remedy="The file was edited or damaged."
        )
    return run


def load(path: Path) -> Run:
    """Read run.json (the file, or a directory with it); raise ResultError if it cannot be read."""
    return decode(*read_document(path, RUN_FILE, what="result"))
