"""What `wsbench run` tells the Locust process that it starts, in one environment variable.

Under plain Locust there is none, and everything in it is found out or made up on the spot.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

from wsbench.results.run_result import Run

VARIABLE = "WSBENCH_LAUNCH"


class StartedTarget(msgspec.Struct, frozen=True):
    """The target that wsbench started: its processes (`pids`, and what descends from them) are measured along."""

    name: str
    version: str
    pids: list[int]


class Handoff(msgspec.Struct, frozen=True):
    """Where to write, what to record as the command, and the target.

    Attributes:
        staging: the result directory in the making.
        command: what the user typed.
        progress_fd: a pipe for one `Progress` a second, as lines of JSON; and, if need be, for a `NotStored`.
    """

    staging: str
    command: list[str]
    target: StartedTarget | None = None
    progress_fd: int | None = None

    def environment(self) -> dict[str, str]:
        """The variable to set."""
        return {VARIABLE: msgspec.json.encode(self).decode()}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Handoff | None:
        """Return what the launcher handed to this process; None under plain Locust."""
        text = (os.environ if environment is None else environment).get(VARIABLE)
        return msgspec.json.decode(text.encode(), type=cls) if text else None


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """Where a run stands. Counts since its begin; latencies of the last second, in ns.

    Attributes:
        left_ns: of the phase, None when nobody knows.
        verdict: of the generator on itself so far, None before the measure phase.
        evidence: what a verdict other than ok rests on.
    """

    phase: str
    connections: int
    asked: int
    received: int
    lost: int
    per_s: float
    p50_ns: int | None
    p99_ns: int | None
    left_ns: int | None
    verdict: str | None = None
    evidence: str = ""


class Failure(msgspec.Struct, frozen=True):
    """Why there is no result: left in place of one, for `wsbench run` to say."""

    what: str
    remedy: str
    side: str
    kind: str
    usage: bool = False


class NotStored(msgspec.Struct, frozen=True, tag="not-stored"):
    """A result that could not be written to a file, and so comes this way; and why."""

    run: Run
    what: str
    remedy: str


FAILURE_FILE = "failure.json"
