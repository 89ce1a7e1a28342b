"""Messages between a worker and the master: passed directly within one process, over Locust between processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from wsbench.cgroup_cpu import Throttling
from wsbench.measure.delta import IntervalDelta
from wsbench.measure.phases import PhasePlan
from wsbench.results.run_result import ConnectionCounts, ErrorCount, NegotiatedWith, ReplyExample
from wsbench.run.options import RunOptions

PHASE_UPDATE, SHARING_UPDATE, REPORT, ACK = "wsbench-order", "wsbench-sharing", "wsbench-report", "wsbench-ack"
"""Names of the messages: the phases, the users that share the rate, a worker's report, and the master's acknowledgement
of one."""
SETUP = "wsbench_setup"
"""The name of the run's setup, a packed `RunSetup`, in Locust's parsed options, which every spawn message carries: so
late workers get it too."""


class Health(msgspec.Struct):
    """A worker's health; running totals and maxima over the measure phase.

    Attributes:
        ramp_bytes: growth of its memory in the ramp, in which `ramp_connections` were opened.
        handshakes_queued_ns: time in the ramp in which handshakes queued.
        handshakes_queued_cpu_ns: CPU that it used in that time, without polling.
        kernel_timestamps: whether the kernel timestamps messages.
        exact_timer: whether the pacer runs on a timerfd.
        throttling: by the CPU quota that stopped it longest; workers in one cgroup all report the same. None without a
            quota.
        clock_offset_ns: lead of the master's clock; 0 on the same machine.
        echo_path: "native", "python" or "mixed", by what serves its echo connections; None without any.
    """

    rss_bytes: int = 0
    ramp_bytes: int = 0
    ramp_connections: int = 0
    handshakes_queued_ns: int = 0
    handshakes_queued_cpu_ns: int = 0
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
    throttling: Throttling | None = None
    echo_path: str | None = None


SCENARIO_FAILED = "scenario"
"""The kind of an error that the scenario's code raised."""
_REJECTED = "check-"


def rejected_reply_kind(name: str) -> str:
    """Return the kind of error for replies of that name that the scenario rejected."""
    return _REJECTED + name


def rejected_reply_name(kind: str) -> str | None:
    """Return the name of the rejected replies that a kind of error counts; None if it is another kind."""
    return kind.removeprefix(_REJECTED) if kind.startswith(_REJECTED) else None


class Report(msgspec.Struct):
    """A worker's report, sent once a second.

    Attributes:
        worker: its index.
        number: sequence number; with `worker` it identifies a report that arrives twice.
        deltas: changes of its intervals since the last report.
        final: whether it is the last one.
        connections, errors: running totals.
        negotiated: what the server granted its first connection; None before.
        examples: the first wrong replies so far.
        outages: spans in which its connections were away and none was open, on the master's clock.
        failure: why the worker cannot go on, so that the run must end; empty if it can.
        users: its users by class; `pacing` are the classes that keep to the schedule.
    """

    worker: int
    number: int
    deltas: list[IntervalDelta]
    connections: ConnectionCounts
    errors: list[ErrorCount]
    health: Health
    negotiated: NegotiatedWith | None = None
    final: bool = False
    examples: list[ReplyExample] = []
    outages: list[tuple[int, int]] = []
    failure: str = ""
    users: dict[str, int] = {}
    pacing: list[str] = []


@dataclass(frozen=True)
class RunDescription:
    """The description of a run before it begins.

    Attributes:
        scenario: its name; `custom` if it has users that choose their own messages.
        started: on the master's clock.
        command: what the user typed.
        users: those that hold connections, by class, when all have been started.
        shape: the class that sets their number over time; empty without one.
        notices: what is not as the user may expect it of the run that was asked for, a line each.
    """

    options: RunOptions
    scenario: str
    run_id: str
    started: datetime
    command: list[str]
    settings: dict[str, str]
    custom: bool = False
    users: dict[str, int] = field(default_factory=dict)
    shape: str = ""
    notices: list[str] = field(default_factory=list)


class Sharing(msgspec.Struct, frozen=True):
    """The users that share the rate, as far as the master knows them.

    Attributes:
        expected: the users of the run by class, when all have been started.
        pacing: the classes that keep to the schedule.
        present: the users of each worker by class; empty in the ramp.
    """

    expected: dict[str, int] = {}
    pacing: list[str] = []
    present: dict[int, dict[str, int]] = {}


NOT_SHARED = Sharing()


class RunSetup(msgspec.Struct, frozen=True):
    """The description of a run, its phases and its users so far, for a worker that is about to start users."""

    run: RunDescription
    phases: PhasePlan
    sharing: Sharing
