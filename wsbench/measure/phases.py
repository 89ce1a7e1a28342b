"""The phases of a run, and the one-second intervals in them.

    ramp      connections open; those that are open already send, unless as closed loops they would be in the way
    warm-up   all are open, all send; nothing of it is in a headline figure
    measure   what the headline figures speak of
    drain     nothing is sent any more; replies under way may still come

A message belongs to the phase, and to the interval, in which it was due. Instants are ns of CLOCK_REALTIME.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec

INTERVAL_NS = 1_000_000_000
FOREVER_NS = 2**63 - 1


class Phase(StrEnum):
    """In their order."""

    RAMP = "ramp"
    WARMUP = "warmup"
    MEASURE = "measure"
    DRAIN = "drain"


class Interval(NamedTuple):
    """A second (or what is left of one at the end of a phase) of one phase."""

    phase: Phase
    start_ns: int
    end_ns: int


class PhasePlan(msgspec.Struct, frozen=True):
    """When the phases begin. What is not known yet lies in the far future."""

    warmup_ns: int = FOREVER_NS
    measure_ns: int = FOREVER_NS
    drain_ns: int = FOREVER_NS

    def phase_at(self, instant_ns: int) -> Phase:
        """The phase in which an instant lies."""
        if instant_ns < self.warmup_ns and instant_ns < self.drain_ns:
            return Phase.RAMP
        if instant_ns >= self.drain_ns:
            return Phase.DRAIN
        return Phase.WARMUP if instant_ns < self.measure_ns else Phase.MEASURE

    def interval_at(self, instant_ns: int) -> Interval:
        """The interval in which an instant lies; intervals count from the beginning of their phase."""
        phase = self.phase_at(instant_ns)
        begin, end = {
            Phase.RAMP: (0, min(self.warmup_ns, self.drain_ns)),
            Phase.WARMUP: (self.warmup_ns, min(self.measure_ns, self.drain_ns)),
            Phase.MEASURE: (self.measure_ns, self.drain_ns),
            Phase.DRAIN: (self.drain_ns, FOREVER_NS),
        }[phase]
        start = begin + (instant_ns - begin) // INTERVAL_NS * INTERVAL_NS
        return Interval(phase, start, min(start + INTERVAL_NS, end))

    def second_of_ramp(self, start_ns: int) -> int:
        """Where an interval of the ramp belongs: the clock's second in which it began, or the ramp's last.

        Whoever learns late that the ramp is over has counted under it what came behind its end.
        """
        within = min(start_ns, self.warmup_ns - 1)
        return within - within % INTERVAL_NS

    def shifted(self, offset_ns: int) -> PhasePlan:
        """The same plan on a clock that is ahead by `offset_ns`."""
        moved = [t if t == FOREVER_NS else t + offset_ns for t in (self.warmup_ns, self.measure_ns, self.drain_ns)]
        return PhasePlan(*moved)

    def ended_at(self, instant_ns: int) -> PhasePlan:
        """The same plan with the drain beginning at `instant_ns`, if it would not begin earlier anyway."""
        return PhasePlan(self.warmup_ns, self.measure_ns, min(self.drain_ns, instant_ns))
