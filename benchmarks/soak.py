"""Memory and lateness of the generator over a long run.

    make soak ARGS='--minutes 20 --connections 2000 --rate 2000'

An open loop against a picows server. The memory of every Locust process is read every few seconds; the lateness comes
from the result's log. Exit code 1 if memory grows or lateness drifts by more than the limits below; other programs on
the machine can cause a drift.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from helpers import process

from benchmarks.bench import GENERATOR_CORE, locust_process, machine_line, pinned, serving, stop_on_signals
from wsbench.measure.histogram import Buckets, merge, percentiles
from wsbench.report import hlog
from wsbench.units import NS_PER_MS, NS_PER_S, format_bytes, format_count, format_duration

LOOK_S = 5.0
SETTLED = 0.5
"""The first part of the run, in which memory may grow: the live page's window takes 10 minutes to fill."""
LEAST_MINUTES = 15
GROWTH_LIMIT_PER_H = 16 * 1024 * 1024
"""The figures of every second take about 5 MB per hour in memory; the rest is for the allocator."""
DRIFT_FACTOR, DRIFT_FLOOR_NS = 2.0, NS_PER_MS
"""Limit of p99 of the lateness in the last quarter: this factor times that of the first, plus the floor."""


@dataclass
class Memory:
    """Memory of all processes of the generator together: seconds since the start, bytes."""

    seconds: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def look(self, session: int, began: float) -> None:
        """Read the memory once."""
        total = 0
        for each in process.leftovers(session):
            try:
                total += each.memory_info().rss
            except psutil.Error:
                continue
        self.seconds.append(time.monotonic() - began)
        self.sizes.append(total)

    def quarters(self) -> list[int]:
        """Return the mean size in each quarter of the run."""
        count = max(1, len(self.sizes) // 4)
        return [round(statistics.mean(self.sizes[n * count :][:count] or self.sizes)) for n in range(4)]

    def growth_per_h(self) -> float:
        """Return the growth in bytes per hour, without the first part of the run."""
        first = int(len(self.sizes) * SETTLED)
        slope, _ = statistics.linear_regression(self.seconds[first:], self.sizes[first:])
        return slope * 3600


def quarters(log: bytes, series: str) -> list[Buckets]:
    """Return the distribution of a series in each quarter of the run."""
    lines = list(hlog.read_lines(hlog.select_series(log.splitlines(), series), "latency.hlog"))
    begin, end = min(line.start_ns for line in lines), max(line.start_ns for line in lines) + 1
    found: list[Buckets] = [{}, {}, {}, {}]
    for line in lines:
        merge(found[4 * (line.start_ns - begin) // (end - begin)], line.counts.buckets())
    return found


def soak(minutes: float, options: Sequence[str]) -> tuple[Any, dict[str, int], dict[str, list[Buckets]], Memory]:
    """Return run.json, the sizes of the result's files, lateness and latency by quarter, and memory."""
    memory = Memory()
    with tempfile.TemporaryDirectory() as directory, serving("benchmarks.picows_server") as (_, url):
        with pinned(GENERATOR_CORE):
            running = process.start_cli(
                "run", url, *options, "-d", f"{round(60 * minutes)}s", "--json", cwd=Path(directory)
            )
        try:
            running.wait_for("^measure", 120)
            locust = locust_process(running.pid)
            began = time.monotonic()
            while running.process.poll() is None and time.monotonic() - began < 60 * minutes - 1:
                memory.look(locust.pid, began)
                time.sleep(LOOK_S)
            run = running.finish(120).json()
        except BaseException:
            running.stop()
            raise
        (stored,) = (Path(directory) / "results").iterdir()
        sizes = {path.name: path.stat().st_size for path in sorted(stored.iterdir())}
        log = (stored / "latency.hlog").read_bytes()
        return run, sizes, {name: quarters(log, name) for name in ("send_lag", "service")}, memory


def main() -> int:
    """Run, and print the table and the verdict; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--connections", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=2000)
    given = parser.parse_args()
    stop_on_signals()
    options = ["-u", str(given.connections), "--rate", f"{given.rate:g}", "-r", "500"]
    print(machine_line())
    print(f"{given.connections} connections, {given.rate:g} messages/s, {given.minutes:g} minutes, picows echo")
    run, sizes, by_quarter, memory = soak(given.minutes, options)
    messages = run["messages"]
    print(f"{format_count(messages['sent'])} sent, {messages['lost']} lost, {messages['missed']} missed, "
          f"verdict {run['generator']['verdict']}")  # fmt: skip
    print(f"\n{'':<16}{'1st quarter':>14}{'2nd':>14}{'3rd':>14}{'4th':>14}")
    for name, parts in by_quarter.items():
        for percent in (50, 99):
            cells = "".join(f"{format_duration(percentiles(part, [percent])[0]):>14}" for part in parts)
            print(f"{f'{name} p{percent}':<16}{cells}")
    growth = memory.growth_per_h()
    cells = "".join(f"{format_bytes(size):>14}" for size in memory.quarters())
    print(
        f"{'memory':<16}{cells}   {format_bytes(abs(growth))}/h {'more' if growth > 0 else 'less'} in the second half"
    )
    seconds = run["conditions"]["duration_ns"] / NS_PER_S
    print(f"{'files':<16}" + ", ".join(f"{name} {format_bytes(sizes[name])}" for name in
          ("run.json", "latency.hlog", "timeline.csv", "report.html")))  # fmt: skip
    print(f"{'':<16}latency.hlog would have {format_bytes(sizes['latency.hlog'] / seconds * 86_400)} after a day")
    lateness = [percentiles(part, [99])[0] or 0 for part in by_quarter["send_lag"]]
    drifts = lateness[-1] > DRIFT_FACTOR * lateness[0] + DRIFT_FLOOR_NS
    long_enough = given.minutes >= LEAST_MINUTES
    grows = long_enough and growth > GROWTH_LIMIT_PER_H
    level = "GROWS" if grows else "keeps its level" if long_enough else "cannot be judged by so short a run"
    print(f"\nmemory {level}; lateness {'DRIFTS' if drifts else 'does not drift'}")
    return int(grows or drifts)


if __name__ == "__main__":
    sys.exit(main())
