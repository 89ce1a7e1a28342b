"""The phases of a run, and the one-second intervals in them.

    ramp      connections open; open ones send already, but closed loops pause while handshakes queue
    warm-up   all are open and send; no headline figure includes it
    measure   the headline figures are of this phase
    drain     nothing is sent; replies in flight may still arrive

A message belongs to the phase and the interval in which it was due. Instants are ns of CLOCK_REALTIME.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec

INTERVAL_NS = 1_000_000_000
FOREVER_NS = 2**63 - 1


class Phase(StrEnum):
    """The phases, in order."""

    RAMP = "ramp"
    WARMUP = "warmup"
    MEASURE = "measure"
    DRAIN = "drain"


class Interval(NamedTuple):
    """A second of one phase; the last one of a phase may be shorter."""

    phase: Phase
    start_ns: int
    end_ns: int


class PhasePlan(msgspec.Struct, frozen=True):
    """Begins of the phases. Those not known yet lie in the far future."""

    warmup_ns: int = FOREVER_NS
    measure_ns: int = FOREVER_NS
    drain_ns: int = FOREVER_NS

    def phase_at(self, instant_ns: int) -> Phase:
        """Return the phase of an instant."""
        if instant_ns < self.warmup_ns and instant_ns < self.drain_ns:
            return Phase.RAMP
        if instant_ns >= self.drain_ns:
            return Phase.DRAIN
        return Phase.WARMUP if instant_ns < self.measure_ns else Phase.MEASURE

    def interval_at(self, instant_ns: int) -> Interval:
        """Return the interval of an instant; intervals count from the beginning of their phase."""
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
        """Return the begin of the clock's second in which an interval of the ramp began, at most the ramp's last.

        A worker told late that the ramp has ended has counted later messages as ramp.
        """
        within = min(start_ns, self.warmup_ns - 1)
        return within - within % INTERVAL_NS

    def shifted(self, offset_ns: int) -> PhasePlan:
        """Return the plan for a clock that is ahead by `offset_ns`."""
        moved = [t if t == FOREVER_NS else t + offset_ns for t in (self.warmup_ns, self.measure_ns, self.drain_ns)]
        return PhasePlan(*moved)

    def ended_at(self, instant_ns: int) -> PhasePlan:
        """Return the plan with the drain beginning at `instant_ns`, or earlier if it already does."""
        return PhasePlan(self.warmup_ns, self.measure_ns, min(self.drain_ns, instant_ns))
