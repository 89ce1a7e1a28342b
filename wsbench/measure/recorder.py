"""Recorder: the tallies of one process, one per interval.

Every message keeps the tally of the interval in which it was due, so its reply or loss is counted there, whenever that
happens. `Recorder.collect` returns what the tallies gained since its last call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from wsbench.measure.delta import IntervalDelta, merge_counts
from wsbench.measure.phases import Interval, Phase, PhasePlan
from wsbench.measure.tally import Tally


class Recorder:
    """The tallies of one process.

    Attributes:
        plan: the phases as known now; `set_plan` changes it.
        current: the tally of now. Call `advance` before sending a message due at `boundary_ns` or later.
        sending: whether messages are sent at all: not in the drain phase.
        paused: whether closed loops pause.
        closed_loops_active: whether closed loops send: `sending`, and not `paused`.
        on_change: called when any of these has changed.
    """

    def __init__(
        self,
        plan: PhasePlan,
        now_ns: int,
        *,
        closed_loop: bool,
        sample: Callable[[], Mapping[str, int]],
        reply_size: int = 0,
    ) -> None:
        """`sample` returns running totals of the process (CPU, bytes on the wire); each interval gets its share."""
        self.plan = plan
        self._closed_loop = closed_loop
        self._reply_size = reply_size
        self._sample = sample
        self._last_sample = {**sample(), "replied": 0}
        self._live: list[Tally] = []
        self._retired_received = 0
        self.current = self._open(plan.interval_at(now_ns))
        self.boundary_ns = self.current.interval.end_ns
        self.sending = self.closed_loops_active = self.current.interval.phase is not Phase.DRAIN
        self.paused = False
        self.on_change: Callable[[], None] = lambda: None

    def set_plan(self, plan: PhasePlan, now_ns: int) -> None:
        """Set the phases."""
        self.plan = plan
        self.advance(now_ns)

    def advance(self, now_ns: int) -> Tally:
        """Close the current interval if `now_ns` is after it; return the tally of `now_ns`."""
        interval = self.plan.interval_at(now_ns)
        self.boundary_ns = interval.end_ns
        if interval[:2] != self.current.interval[:2]:
            self._share_sample()
            self.current = self._open(interval)
            self.sending = interval.phase is not Phase.DRAIN
            self.pause_closed_loops(self.paused)
        else:
            self.on_change()  # a plan may have moved the interval's end
        return self.current

    def pause_closed_loops(self, paused: bool) -> None:
        """Pause closed loops, or let them go on."""
        self.paused = paused
        self.closed_loops_active = self.sending and not paused
        self.on_change()

    def tally_at(self, due_ns: int) -> Tally:
        """Return the tally of an instant, which may be in a closed interval."""
        interval = self.plan.interval_at(due_ns)
        for tally in reversed(self._live):
            if tally.interval[:2] == interval[:2]:
                return tally
        return self._open(interval)

    def connected(self, durations_ns: Mapping[str, int]) -> None:
        """Record an opened connection's durations, by series."""
        for name, value in durations_ns.items():
            self.current.value(name, value)

    def collect(self, yield_control: Callable[[], None] = lambda: None) -> list[IntervalDelta]:
        """Return what was gained since the last call, and forget intervals that can gain no more.

        `yield_control` is called between steps and may run other greenlets. Do not kill the caller during it: counts
        already taken would be lost.
        """
        self._share_sample()
        finished = [tally for tally in self._live if tally.settled and tally is not self.current]
        self._retired_received += sum(tally.received for tally in finished)
        tallies, self._live = self._live, [tally for tally in self._live if tally not in finished]
        snapshots = [tally.snapshot() for tally in tallies]  # all taken before the first yield
        for tally in finished:
            tally.close()
        return [delta for build in snapshots if (delta := build(yield_control))]

    def _open(self, interval: Interval) -> Tally:
        tally = Tally(interval, size=self._reply_size, closed_loop=self._closed_loop)
        self._live.append(tally)
        return tally

    def _share_sample(self) -> None:
        for tally in self._live:
            tally.count_external()
        # `replied` counts replies by when they were handled; the tallies count them by when their message was due.
        replied = self._retired_received + sum(tally.received for tally in self._live)
        sample = {**self._sample(), "replied": replied}
        gained = {name: value - self._last_sample.get(name, 0) for name, value in sample.items()}
        merge_counts(self.current.extra_counts, gained)
        self._last_sample = sample
