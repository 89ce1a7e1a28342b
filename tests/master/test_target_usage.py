"""CPU and memory of a target over all of its processes."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
import pytest
from websockets.sync.client import connect

from wsbench.master.target_usage import TargetSampler
from wsbench.results.run_result import TargetResult
from wsbench.run.handoff import StartedTarget
from wsbench.targets import catalogue
from wsbench.targets.running import RunningTarget

MESSAGES = 2_000
IDLE_BYTES = 2_000_000
"""The memory of an idle process changes by less than this."""


@pytest.fixture
def running() -> Iterator[RunningTarget]:
    """Start nginx with a master and two workers in front of node with a primary process and two workers."""
    with catalogue.find("nginx>ws").start(workers=2) as target:
        yield target


def sampler_of(pids: list[int]) -> TargetSampler:
    return TargetSampler(StartedTarget("target", "1", pids))


@pytest.mark.needs("nginx", "target ws")
def test_it_is_measured_over_every_process_of_a_proxy_and_its_server(running: RunningTarget) -> None:
    roots = [psutil.Process(pid) for pid in running.pids]
    assert [len(root.children()) for root in roots] == [2, 2]
    tree = [process for root in roots for process in (root, *root.children())]
    whole, parts = sampler_of(running.pids), [sampler_of([pid]) for pid in running.pids]
    for sampler in (whole, *parts):
        sampler.sample_measure_begin()
    with connect(running.url, proxy=None) as client:
        for _ in range(MESSAGES):
            client.send("x" * 1000)
            client.recv(20)
    for sampler in (*parts, whole):
        sampler.sample_measure_end()
    use, used = whole.usage(), [part.usage() for part in parts]
    assert use.cpu_s is not None and use.rss_bytes is not None
    # measured around the parts
    assert use.cpu_s >= sum(part.cpu_s or 0 for part in used) - 1e-6
    assert use.cpu_s > 0
    assert all((part.rss_bytes or 0) > 2 * IDLE_BYTES for part in used)
    assert abs(use.rss_bytes - sum(part.rss_bytes or 0 for part in used)) < IDLE_BYTES
    assert abs(use.rss_bytes - sum(process.memory_info().rss for process in tree)) < IDLE_BYTES


@pytest.mark.needs("nginx", "target ws")
def test_processes_that_are_gone_are_left_out(running: RunningTarget) -> None:
    running.stop()
    sampler = TargetSampler(StartedTarget("gone", "1", running.pids or [2**22]))
    sampler.sample_measure_begin()
    sampler.sample_measure_end()
    assert sampler.usage() == TargetResult("gone", "1", started_by_wsbench=True)


def test_without_a_target_nothing_is_known() -> None:
    sampler = TargetSampler(None)
    sampler.sample_measure_begin()
    sampler.sample_measure_end()
    assert sampler.usage() == TargetResult()
