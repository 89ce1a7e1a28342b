"""Due times of delayed replies: delay, jitter and stalls. Pure arithmetic on monotonic nanoseconds."""

from __future__ import annotations

import random
from dataclasses import dataclass

from wsbench.units import parse_duration


@dataclass(frozen=True)
class Stall:
    """Periodic stall: in the last `stop_ns` of every `every_ns`, no reply leaves."""

    stop_ns: int
    every_ns: int

    def __post_init__(self) -> None:
        if not 0 < self.stop_ns < self.every_ns:
            raise ValueError("a stall must be longer than zero and shorter than its period: for example 1s every 5s")

    def release_ns(self, elapsed_ns: int) -> int:
        """Return the earliest instant, not before `elapsed_ns` (since the server's start), outside any stall."""
        into_period_ns = elapsed_ns % self.every_ns
        if into_period_ns < self.every_ns - self.stop_ns:
            return elapsed_ns
        return elapsed_ns + self.every_ns - into_period_ns


def parse_stall(text: str) -> Stall:
    """Parse a stall such as '1s every 5s'; raise ValueError for another form, or one not shorter than its period."""
    stop, every, period = text.partition("every")
    if not every:
        raise ValueError(f"{text!r} is not a stall: use for example '1s every 5s'")
    return Stall(parse_duration(stop), parse_duration(period))


@dataclass(frozen=True)
class ReplyDelay:
    """Rule for the delay of every reply. All workers have the same `start_ns` (CLOCK_MONOTONIC), and stall together."""

    start_ns: int
    delay_ns: int = 0
    jitter_ns: int = 0
    stall: Stall | None = None

    def due_ns(self, received_ns: int) -> int:
        """Return the due time (CLOCK_MONOTONIC) of the reply to a message received at `received_ns`."""
        due_ns = received_ns + self.delay_ns
        if self.jitter_ns:
            due_ns += round(random.random() * self.jitter_ns)
        if self.stall is not None:
            due_ns = self.start_ns + self.stall.release_ns(due_ns - self.start_ns)
        return due_ns
