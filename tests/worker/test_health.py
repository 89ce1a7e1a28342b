"""A process's health: what interrupted it, what it holds, and what the garbage collector may look at."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from helpers.peer import until

from wsbench.cgroup_cpu import CpuQuota, Throttling
from wsbench.units import NS_PER_MS
from wsbench.worker.clocks import OffsetWatch
from wsbench.worker.health import HealthMonitor


@pytest.fixture
def monitor() -> Iterator[HealthMonitor]:
    made = HealthMonitor(OffsetWatch(), kernel_timestamps=True, exact_timer=False)
    yield made
    made.unfreeze()


@pytest.fixture
def watching(monitor: HealthMonitor) -> Iterator[HealthMonitor]:
    yield monitor
    monitor.stop_watching()


def test_descriptors_are_those_at_the_start_and_one_per_connection(watching: HealthMonitor) -> None:
    before = watching.sample(0).descriptors
    health = watching.sample(7)
    assert health.descriptors == before + 7
    assert abs(before - len(list(Path("/proc/self/fd").iterdir()))) < 10
    assert (health.kernel_timestamps, health.exact_timer) == (True, False)
    assert health.rss_bytes > 10**6 and health.nofile > 0


def test_memory_that_the_ramp_took_is_known(watching: HealthMonitor) -> None:
    kept = bytearray(os.urandom(1)) * 50_000_000
    watching.end_ramp(3)
    health = watching.sample(3)
    assert health.ramp_connections == 3
    assert 40_000_000 < health.ramp_bytes < 200_000_000
    del kept


def test_a_stall_is_noted_until_the_maxima_are_reset(watching: HealthMonitor) -> None:
    gevent.sleep(0)
    time.sleep(0.3)
    until(lambda: watching.sample(0).stall_max_ns > 150 * NS_PER_MS)
    gc.collect()
    assert watching.sample(0).gc_pause_max_ns > 0
    watching.reset_maxima()
    health = watching.sample(0)
    assert (health.stall_max_ns, health.gc_pause_max_ns, health.gc_pause_total_ns) == (0, 0, 0)


def test_after_watching_ends_interruptions_are_not_noted(monitor: HealthMonitor) -> None:
    gevent.sleep(0)
    monitor.stop_watching()
    monitor.reset_maxima()
    gc.collect()
    time.sleep(0.2)
    gevent.sleep(0.1)
    health = monitor.sample(0)
    assert (health.stall_max_ns, health.gc_pause_max_ns) == (0, 0)


def test_objects_are_frozen_in_the_ramp_and_at_its_end_and_not_afterwards(watching: HealthMonitor) -> None:
    gc.unfreeze()
    watching.sample(0)
    in_ramp = gc.get_freeze_count()
    assert in_ramp > 0
    kept = [[number] for number in range(1000)]
    watching.end_ramp(0)
    after_ramp = gc.get_freeze_count()
    assert after_ramp > in_ramp + 1000
    kept += [[number] for number in range(1000)]
    watching.sample(0)
    assert gc.get_freeze_count() == after_ramp
    watching.unfreeze()
    watching.sample(0)
    assert gc.get_freeze_count() == 0


def test_the_clock_is_read_again_with_every_sample(watching: HealthMonitor) -> None:
    watching.clock.offset_ns -= 10**9
    health = watching.sample(0)
    assert health.clock_steps == 1
    assert abs(health.clock_step_max_ns - 10**9) < 10 * NS_PER_MS


def test_a_cpu_quota_counts_from_the_measure_phase_to_the_end_of_watching(tmp_path: Path) -> None:
    def stopped(periods: int) -> None:
        text = f"nr_periods {2 * periods}\nnr_throttled {periods}\nthrottled_time {periods * NS_PER_MS}\n"
        (tmp_path / "cpu.stat").write_text(text)

    stopped(100)
    monitor = HealthMonitor(OffsetWatch(), kernel_timestamps=True, exact_timer=True, quotas=[CpuQuota(0.5, tmp_path)])
    stopped(105)  # in the ramp
    monitor.reset_maxima()
    stopped(112)
    monitor.stop_watching()
    stopped(190)  # in the drain
    assert monitor.sample(0).throttling == Throttling(0.5, "", 14, 7, 7 * NS_PER_MS)
    monitor.unfreeze()


def test_without_a_cpu_quota_nothing_is_said_of_it(watching: HealthMonitor) -> None:
    watching.reset_maxima()
    assert watching.sample(0).throttling is None
