"""The offset between this process's clocks, and pauses of the garbage collector."""

from __future__ import annotations

import gc
import time

from wsbench.worker.clocks import STEP_NS, GcWatch, OffsetWatch, realtime_offset_ns


def test_the_offset_turns_one_clock_into_the_other() -> None:
    offset = realtime_offset_ns()
    assert abs(time.monotonic_ns() + offset - time.time_ns()) < STEP_NS


def test_a_step_of_the_clock_is_noted_and_slewing_is_not() -> None:
    watch = OffsetWatch()
    watch.refresh()
    assert (watch.steps, watch.step_max_ns) == (0, 0)
    for step in (20 * STEP_NS, -50 * STEP_NS):
        watch.offset_ns -= step
        watch.refresh()
    assert watch.steps == 2
    assert abs(watch.step_max_ns - 50 * STEP_NS) < STEP_NS
    assert abs(watch.offset_ns - realtime_offset_ns()) < STEP_NS


def test_pauses_of_the_collector_are_measured_until_the_watch_is_closed() -> None:
    watch = GcWatch()
    gc.collect()
    gc.collect()
    assert 0 < watch.pause_max_ns < watch.pause_total_ns
    watch.reset()
    assert (watch.pause_max_ns, watch.pause_total_ns) == (0, 0)
    watch.close()
    gc.collect()
    assert watch.pause_total_ns == 0
