"""Messages between the launcher and the Locust process that it starts.

Under plain Locust nothing is handed over: the Locust process makes its own result directory and parses its own options.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import msgspec

from wsbench.credentials import DEFAULT_SECRETS, Secrets
from wsbench.results.run_result import Run
from wsbench.run.options import RunOptions
from wsbench.run.packing import pack, unpack

VARIABLE = "WSBENCH_LAUNCH"
"""The environment variable with the number of the file descriptor from which the process reads its `Handoff`."""


class StartedTarget(msgspec.Struct, frozen=True):
    """A target that wsbench started: its processes (`pids` and their descendants) are measured too."""

    name: str
    version: str
    pids: list[int]


class Handoff(msgspec.Struct, frozen=True):
    """The launcher's orders for one Locust process.

    Attributes:
        staging: directory in which the result is made.
        command: what the user typed.
        options: of the run; None with --web, where the start form shows and changes them: they are then on Locust's
            command line.
        progress_fd: a pipe for one `Progress` a second, as lines of JSON, and for a `NotStored`.
        arguments: Locust's command line, which no list of processes shows.
        secrets: what locust.log must not contain.
    """

    staging: str
    command: list[str]
    options: RunOptions | None = None
    target: StartedTarget | None = None
    progress_fd: int | None = None
    arguments: list[str] = []
    secrets: Secrets = DEFAULT_SECRETS

    @contextmanager
    def file(self) -> Iterator[int]:
        """Write this to an unnamed file, for a process that inherits its descriptor: no list of processes shows it."""
        with tempfile.TemporaryFile() as file:
            file.write(pack(self))
            file.flush()
            yield file.fileno()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Handoff | None:
        """Return what the launcher handed to this process; None under plain Locust."""
        number = environment.get(VARIABLE)
        if number is None:
            return None
        size = os.fstat(int(number)).st_size
        return unpack(os.pread(int(number), size, 0), cls)


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """The state of a run, once a second. Counts since its begin; latencies of the last second, in ns.

    Attributes:
        asked: connections wanted.
        errors: of all kinds, as in `WholeRun`.
        left_ns: rest of the phase, None if its end is unknown.
        verdict: the generator's, on itself so far; None before the measure phase.
        evidence: of a verdict other than ok.
        notices: what is not as the user may expect it of the run that was asked for, a line each.
    """

    phase: str
    connections: int
    asked: int
    received: int
    errors: int
    per_s: float
    p50_ns: int | None
    p99_ns: int | None
    left_ns: int | None
    verdict: str | None = None
    evidence: str = ""
    notices: list[str] = []


class Failure(msgspec.Struct, frozen=True):
    """The reason why there is no result, in `FAILURE_FILE` of the staging directory."""

    what: str
    remedy: str
    side: str
    kind: str
    usage: bool = False


class NotStored(msgspec.Struct, frozen=True, tag="not-stored"):
    """A result that could not be stored, with the reason."""

    run: Run
    what: str
    remedy: str


FAILURE_FILE = "failure.json"
