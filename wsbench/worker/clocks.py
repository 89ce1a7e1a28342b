"""Clocks of a load-generating process: offsets between them and to the master's, steps, and pauses by the collector.

Latencies are measured on CLOCK_REALTIME, the clock of the kernel's receive timestamps. Schedules run on
CLOCK_MONOTONIC, which never steps.
"""

from __future__ import annotations

import gc
import time
from typing import Any

from wsbench.units import NS_PER_S

STEP_NS = 1_000_000
"""A change of the offset within a second that slewing (at most 500 ppm) cannot explain."""
_STALE_NS = 60 * NS_PER_S


def realtime_offset_ns() -> int:
    """Return CLOCK_REALTIME minus CLOCK_MONOTONIC, from the least interrupted of three tries."""
    tries = [(time.monotonic_ns(), time.time_ns(), time.monotonic_ns()) for _ in range(3)]
    before, real, after = min(tries, key=lambda instants: instants[2] - instants[0])
    return real - (before + after) // 2


class OffsetWatch:
    """Follows the offset between the clocks, and notes the number and the maximum size of steps."""

    def __init__(self) -> None:
        self.offset_ns = realtime_offset_ns()
        self.steps = 0
        self.step_max_ns = 0

    def refresh(self) -> int:
        """Read the offset again and return it. Call it about once a second."""
        offset = realtime_offset_ns()
        moved = abs(offset - self.offset_ns)
        if moved > STEP_NS:
            self.steps += 1
            self.step_max_ns = max(self.step_max_ns, moved)
        self.offset_ns = offset
        return offset


class ClockOffsetEstimator:
    """Estimates the offset of the master's clock from the quickest exchange of a report and its acknowledgement.

    This is Cristian's algorithm: the error is at most half of the exchange's duration.

    Attributes:
        offset_ns: the master's clock minus ours.
        error_ns: bound of the estimate's error; None before the first exchange.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self.offset_ns = 0
        self.error_ns: int | None = None

    def record_exchange(self, *, sent_ns: int, answered_ns: int, received_ns: int, host: str) -> None:
        """Use an exchange with the master on `host`: sent and received on our clock, answered on the master's."""
        took = received_ns - sent_ns
        if host == self._host:
            # One machine has one clock: any estimate would be worse.
            self.offset_ns, self.error_ns = 0, 0
        elif 0 <= took < _STALE_NS and (self.error_ns is None or took // 2 < self.error_ns):
            self.offset_ns = answered_ns - (sent_ns + received_ns) // 2
            self.error_ns = took // 2


class GcWatch:
    """Measures how long the garbage collector stops the process: the maximum and the total since `reset`."""

    def __init__(self) -> None:
        self._began = 0
        self.pause_max_ns = 0
        self.pause_total_ns = 0
        gc.callbacks.append(self._note)

    def reset(self) -> None:
        """Forget the pauses so far."""
        self.pause_max_ns = self.pause_total_ns = 0

    def close(self) -> None:
        """Stop watching."""
        gc.callbacks.remove(self._note)

    def _note(self, phase: str, info: dict[str, Any]) -> None:  # noqa: ARG002 - gc's signature
        if phase == "start":
            self._began = time.monotonic_ns()
        else:
            pause = time.monotonic_ns() - self._began
            self.pause_total_ns += pause
            self.pause_max_ns = max(self.pause_max_ns, pause)
