"""calibration.json: the result of `wsbench calibrate` (immutable, versioned), read by `wsbench plan`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from wsbench.results.json_files import load_document
from wsbench.results.run_result import Environment

SCHEMA = 1
CALIBRATION_FILE = "calibration.json"


class LoopSpeed(msgspec.Struct, frozen=True):
    """Messages a second that a loop reached, the verdict on it, and the CPU that a round trip cost the generator."""

    per_s: float
    verdict: str
    cpu_us_per_message: float | None


class KnownAnswer(msgspec.Struct, frozen=True):
    """A figure whose true value is known: expected, measured, and the difference allowed. In ns."""

    figure: str
    expected_ns: int
    measured_ns: int | None
    tolerance_ns: int

    @property
    def right(self) -> bool:
        """Whether the figure was measured within the tolerance."""
        return self.measured_ns is not None and abs(self.measured_ns - self.expected_ns) <= self.tolerance_ns


class Calibration(msgspec.Struct, frozen=True):
    """calibration.json.

    Attributes:
        machine: `wsbench.worker.calibration.Machine`.
        open_loop_limit: the lowest rate that was not held.
        tls, compression: the closed loop with TLS, and with compression.
        connection_bytes: the generator's memory per connection, with its user and greenlet.
        process_bytes: memory of a process without connections.
    """

    schema: int
    environment: Environment
    machine: dict[str, Any]
    closed_loop: LoopSpeed
    open_loop: LoopSpeed | None
    open_loop_limit: float | None
    known_answers: list[KnownAnswer]
    tls: LoopSpeed | None = None
    compression: LoopSpeed | None = None
    connection_bytes: int | None = None
    process_bytes: int | None = None

    def cpu_factor(self, loop: LoopSpeed | None) -> float | None:
        """Return how many times the CPU of the plain closed loop a message of `loop` takes; None if unknown."""
        plain = self.closed_loop.cpu_us_per_message
        if loop is None or not loop.cpu_us_per_message or not plain:
            return None
        return loop.cpu_us_per_message / plain


def load(path: Path) -> Calibration:
    """Read calibration.json (the file, or a directory with it); raise ResultError if it cannot be read."""
    return load_document(Calibration, path, CALIBRATION_FILE, what="calibration", schema=SCHEMA)
