"""Fitness of one load-generating process: memory, descriptors, clock steps, and what stopped it."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence

import gevent
import psutil

from wsbench.cgroup_cpu import CpuQuota, ThrottleWatch
from wsbench.machine import raise_descriptor_limit
from wsbench.run.protocol import Health
from wsbench.units import NS_PER_S
from wsbench.worker.clocks import GcWatch, OffsetWatch

_STALL_PROBE_S = 0.05
"""Code that runs this seldom is cold: a probe costs 0.1 ms, in which messages may be late."""


class HealthMonitor:
    """Watches the process, and keeps the garbage collector away from objects that live as long as the run."""

    def __init__(
        self, clock: OffsetWatch, *, kernel_timestamps: bool, exact_timer: bool, quotas: Sequence[CpuQuota] = ()
    ) -> None:
        self.clock = clock
        self._health = Health(
            nofile=raise_descriptor_limit(), kernel_timestamps=kernel_timestamps, exact_timer=exact_timer
        )
        self._process = psutil.Process()
        self._gc = GcWatch()
        self._throttle = ThrottleWatch(quotas)
        self._watching = True
        self._ramping = True
        self._base_descriptors = self._process.num_fds()
        self._base_bytes = self._rss()
        self._stall_watch = gevent.spawn(self._watch_stalls)

    def sample(self, open_connections: int) -> Health:
        """Return the health of now; the same object each time, updated."""
        if self._ramping:
            # Connections stay: the collector need not look at those of the last second again.
            gc.freeze()
        self.clock.refresh()
        health = self._health
        health.rss_bytes = self._rss()
        # Computed, not listed: with thousands open, reading /proc/self/fd stops everything for 10 ms.
        health.descriptors = self._base_descriptors + open_connections
        health.gc_pause_max_ns, health.gc_pause_total_ns = self._gc.pause_max_ns, self._gc.pause_total_ns
        self._note_throttling()
        health.clock_steps, health.clock_step_max_ns = self.clock.steps, self.clock.step_max_ns
        return health

    def end_ramp(self, open_connections: int) -> None:
        """Note the memory that `open_connections` took, and freeze what has been allocated so far."""
        self._health.ramp_connections = open_connections
        self._health.ramp_bytes = self._rss() - self._base_bytes
        gc.collect()
        gc.freeze()
        self._ramping = False

    def reset_maxima(self) -> None:
        """Forget interruptions so far: those before the measure phase affect no figure."""
        self._gc.reset()
        self._throttle.reset()
        self._health.stall_max_ns = 0

    def stop_watching(self) -> None:
        """Ignore further interruptions: closing thousands of connections is one, and affects no figure."""
        self._gc.close()
        self._note_throttling()
        self._watching = False
        self._stall_watch.kill()

    def unfreeze(self) -> None:
        """Return everything to the garbage collector, at the end of the run."""
        self._ramping = False
        gc.unfreeze()

    def _rss(self) -> int:
        try:
            return int(self._process.memory_info().rss)
        except OSError:  # no descriptor left to read it: keep the last value
            return self._health.rss_bytes

    def _note_throttling(self) -> None:
        if self._watching:
            self._health.throttling = self._throttle.worst()

    def _watch_stalls(self) -> None:
        """Measure how late the hub runs a timer: all its other work is at best as punctual."""
        while True:
            began = time.monotonic_ns()
            gevent.sleep(_STALL_PROBE_S)
            late = time.monotonic_ns() - began - int(_STALL_PROBE_S * NS_PER_S)
            self._health.stall_max_ns = max(self._health.stall_max_ns, late)
