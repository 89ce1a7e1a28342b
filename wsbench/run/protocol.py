"""Messages between a worker and the master: passed directly within one process, over Locust between processes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec

from wsbench.measure.delta import IntervalDelta
from wsbench.measure.phases import PhasePlan
from wsbench.run.options import RunOptions

PHASE_UPDATE, REPORT, ACK = "wsbench-order", "wsbench-report", "wsbench-ack"
"""Names of the messages: the phases, a worker's report, and the master's acknowledgement of one."""
SETUP = "wsbench_setup"
"""The name of the run's setup, a packed `RunSetup`, in Locust's parsed options, which every spawn message carries: so
late workers get it too."""


class ErrorTally(msgspec.Struct):
    """One kind of error so far."""

    kind: str
    side: str
    count: int
    example: str
    remedy: str = ""


class ConnectionTally(msgspec.Struct):
    """Connections of one worker so far; running totals."""

    attempted: int = 0
    opened: int = 0
    failed: int = 0
    dropped: int = 0
    reconnected: int = 0
    tls_resumed: int = 0
    close_codes: dict[str, int] = {}


class Health(msgspec.Struct):
    """What a worker knows of its own fitness; running totals and maxima over the measure phase.

    Attributes:
        ramp_bytes: by how much its memory grew in the ramp, in which `ramp_connections` were opened.
        kernel_timestamps: whether the kernel gives any.
        exact_timer: whether the pacer runs on a timerfd.
        clock_offset_ns: how far the master's clock is ahead; 0 on the same machine.
    """

    rss_bytes: int = 0
    ramp_bytes: int = 0
    ramp_connections: int = 0
    stall_max_ns: int = 0
    gc_pause_max_ns: int = 0
    gc_pause_total_ns: int = 0
    clock_step_max_ns: int = 0
    clock_steps: int = 0
    clock_offset_ns: int = 0
    nofile: int = 0
    descriptors: int = 0
    kernel_timestamps: bool = False
    exact_timer: bool = False


SCENARIO_FAILED = "scenario"
"""The kind of error that code of the scenario raised."""
_FOUND_WRONG = "check-"


def rejected_reply_kind(name: str) -> str:
    """The kind of error that a reply of that name was found wrong by the scenario."""
    return _FOUND_WRONG + name


def rejected_reply_name(kind: str) -> str | None:
    """The name of the replies that a kind of error is about; None if it is about none."""
    return kind.removeprefix(_FOUND_WRONG) if kind.startswith(_FOUND_WRONG) else None


class Report(msgspec.Struct):
    """What a worker says once a second.

    Attributes:
        worker: its index.
        number: counts its reports; with `worker`, makes a report that comes twice recognisable.
        deltas: what its intervals gained since the last report.
        final: nothing will follow.
        negotiated: what the server granted its first connection: field names of the handshake's `Negotiated`.
    """

    worker: int
    number: int
    deltas: list[IntervalDelta]
    connections: ConnectionTally
    errors: list[ErrorTally]
    health: Health
    negotiated: dict[str, str | None] | None = None
    final: bool = False


class PhaseUpdate(msgspec.Struct):
    """The phases, as far as the master knows them."""

    plan: PhasePlan


@dataclass(frozen=True)
class RunDescription:
    """The description of a run before it begins.

    Attributes:
        scenario: name of the locustfile.
        started: begin of the run on the master's clock.
        command: the command line that the user typed.
        settings: the scenario's settings in effect.
    """

    options: RunOptions
    scenario: str
    run_id: str
    started: datetime
    command: list[str]
    settings: dict[str, str]


class RunSetup(msgspec.Struct, frozen=True):
    """The description of a run and its phases so far, for a worker that is about to start users."""

    run: RunDescription
    phases: PhaseUpdate
