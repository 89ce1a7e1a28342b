"""The phases of a run: the ramp ends when all connections are open, the other phases after the time in the options."""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent

from wsbench.errors import WsbenchError
from wsbench.master.collector import Collector
from wsbench.master.run_host import RunHost
from wsbench.master.target_usage import TargetSampler
from wsbench.measure.phases import FOREVER_NS, Phase, PhasePlan
from wsbench.results.run_result import Ending
from wsbench.run.options import RunOptions
from wsbench.run.protocol import SCENARIO_FAILED
from wsbench.units import NS_PER_S

_GIVE_UP_AFTER = 10
"""The target cannot be measured if this many connections failed and none was opened."""
_LATECOMERS_NS = 3 * NS_PER_S
"""No user asks for a connection any more this long after the last one was started."""
_NOBODY_NS = 10 * NS_PER_S
"""The same where not one has asked: the reports of a busy machine may be late."""


class PhaseControl:
    """The phases of one run, as far as they are known, and the sampling of the target where they begin."""

    def __init__(
        self,
        options: RunOptions,
        collector: Collector,
        target: TargetSampler,
        host: RunHost,
        *,
        on_end: Callable[[Ending], None],
    ) -> None:
        """Start the ramp; `on_end` is called in a new greenlet when measuring is over or cannot begin."""
        self.plan = PhasePlan()
        self._options = options
        self._registry = collector.registry
        self._changed = collector.changed
        self._target = target
        self._host = host
        self._on_end = on_end
        self._spawned_ns: int | None = None
        self._progress: tuple[object, float] = (None, 0.0)
        self._greenlet = gevent.spawn(self._run)

    @property
    def phase(self) -> Phase:
        """The present phase."""
        return self.plan.phase_at(time.time_ns())

    def left_ns(self) -> int | None:
        """Return the remaining time of the present phase; None where its end is not known."""
        end = {Phase.WARMUP: self.plan.measure_ns, Phase.MEASURE: self.plan.drain_ns}.get(self.phase, FOREVER_NS)
        return max(0, end - time.time_ns()) if end != FOREVER_NS else None

    def spawning_complete(self) -> None:
        """Record that Locust has started all users."""
        self._spawned_ns = time.monotonic_ns()
        self._changed.set()

    def lost_workers(self) -> set[int]:
        """Return the workers of this run that the master has lost."""
        return self._host.missing_workers() & {worker.index for worker in self._registry}

    def all_workers_lost(self) -> bool:
        """Return whether nothing of the run is left."""
        lost = self.lost_workers()
        return bool(lost) and len(lost) == len(self._registry)

    def end(self) -> None:
        """Begin the drain now, if it has not begun."""
        self._greenlet.kill()
        self._target.sample_measure_end()
        self._update(self.plan.ended_at(time.time_ns()))

    def _run(self) -> None:
        self._target.sample_before_ramp()
        while not self._ramp_is_over():
            if self._hopeless() or self._stands_still():
                gevent.spawn(self._on_end, Ending.ERROR)
                return
            self._changed.wait(1.0)
            self._changed.clear()
        self._target.sample_after_ramp(self._registry.connections().opened)
        now, options = time.time_ns(), self._options
        measure = now + options.warmup_ns
        drain = measure + options.duration_ns if options.duration_ns is not None else FOREVER_NS
        self._update(PhasePlan(now, measure, drain))
        _sleep_until(measure)
        self._target.sample_measure_begin()
        if drain != FOREVER_NS:
            _sleep_until(drain)
            self._target.sample_measure_end()
            gevent.spawn(self._on_end, Ending.DURATION)

    def _update(self, plan: PhasePlan) -> None:
        self.plan = plan
        self._host.broadcast(plan)

    def _ramp_is_over(self) -> bool:
        if self._spawned_ns is None or self._hopeless():
            return False
        connections, waited_ns = self._registry.connections(), time.monotonic_ns() - self._spawned_ns
        settled = connections.opened + connections.failed
        # A scenario may have users without a connection.
        none_to_come = connections.asked == settled and waited_ns > (_LATECOMERS_NS if settled else _NOBODY_NS)
        return settled >= self._registry.users.wanted or none_to_come or bool(self.lost_workers())

    def _hopeless(self) -> bool:
        connections = self._registry.connections()
        return connections.opened == 0 and connections.failed >= min(self._registry.users.wanted, _GIVE_UP_AFTER)

    def _stands_still(self) -> bool:
        """Return whether nothing has come of the ramp for as long as it may, and record that as the run's failure."""
        connections, patience_s = self._registry.connections(), self._host.ramp_patience_s()
        progress = (connections.asked, connections.opened, connections.failed, self._spawned_ns)
        if progress != self._progress[0]:
            self._progress = (progress, time.monotonic())
        if time.monotonic() - self._progress[1] < patience_s:
            return False
        users = f"{connections.asked} of {self._registry.users.wanted} users asked for a connection"
        what = f"the ramp stood still for {patience_s:g} s: {users}, {connections.opened} have one"
        remedy = "Look for what blocks in `__init__` or a property of a user, and for a spawn rate that is too low."
        self._registry.fail(WsbenchError(what, kind=SCENARIO_FAILED, remedy=remedy))
        return True


def _sleep_until(instant_ns: int) -> None:
    while (left := instant_ns - time.time_ns()) > 0:
        gevent.sleep(left / NS_PER_S)
