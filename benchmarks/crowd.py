"""Tens of thousands of connections: how fast they open, their memory, and whether all of them echo and close.

    make crowd ARGS='--seconds 60 --connections 100000'

15,000 connections from one process, 30,000 from two against a target with two workers, and 100,000 from six against
one with seven, which needs 20,000 open files a process; an open loop over all of them. The rate of opening is measured
by the target's counters. The exit code is 0 whatever the figures are.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers import process
from helpers.runs import EchoTarget, echo_target

from benchmarks.bench import disturbance, machine_line, stop_on_signals, used_by_others
from wsbench.units import NS_PER_US, format_bytes, format_count

_SPAWN_RATE = 10_000
"""Higher than the possible rate, so that the opening is measured and not the spawning."""
_LOOK_S = 0.2
_MOST_BYTES = 15_000


@dataclass(frozen=True)
class Crowd:
    """A number of connections, from `processes` processes to a target with `workers`, and their messages a second."""

    connections: int
    processes: int
    workers: int
    rate: int
    least_per_s: int

    @property
    def options(self) -> Sequence[str]:
        """Options of `wsbench run`."""
        load = ("-u", str(self.connections), "-r", str(_SPAWN_RATE), "--rate", str(self.rate))
        return (*load, "--processes", str(self.processes)) if self.processes > 1 else load


CROWDS = (
    Crowd(15_000, 1, 1, 5000, 1500),
    Crowd(30_000, 2, 2, 5000, 1500),
    Crowd(100_000, 6, 7, 10_000, 1333),  # in 75 s
)


def _opened_per_s(target: EchoTarget, run: process.Running, connections: int) -> float:
    """Return the rate of opening, from the first connection to 99 % of them; 0 if they did not open."""
    began, first = 0.0, 0
    while run.process.poll() is None:
        opened, now = target.stats()["connections_opened"], time.monotonic()
        if opened and not began:
            began, first = now, opened
        if opened >= connections * 0.99:
            return (opened - first) / max(now - began, _LOOK_S)
        time.sleep(_LOOK_S)
    return 0.0


def _measure(crowd: Crowd, seconds: float) -> tuple[Any, float, Any]:
    """Return run.json, the rate of opening, and the target's counts."""
    with echo_target("--workers", str(crowd.workers)) as target, tempfile.TemporaryDirectory() as directory:
        arguments = ("run", target.url, *crowd.options, "-d", f"{seconds:g}s", "--json")
        run = process.start_cli(*arguments, cwd=Path(directory))
        try:
            per_s = _opened_per_s(target, run, crowd.connections)
            result = run.finish(seconds + 400)
        except BaseException:
            run.stop()
            raise
        if result.returncode:
            raise AssertionError(result.stderr.strip())
        return result.json(), per_s, target.stats()


def _kept(kept: bool) -> str:
    return "kept" if kept else "missed"


def _closed(connections: Any) -> str:
    codes = ", ".join(f"{count:,} with {code}" for code, count in connections["close_codes"].items())
    return f"{sum(connections['close_codes'].values()):,} of {connections['opened']:,}: {codes}"


def _tell(crowd: Crowd, run: Any, per_s: float, counts: Any) -> None:
    connections, messages, every = run["connections"], run["messages"], run["messages_all_phases"]
    size, lag = run["generator"]["bytes_per_connection"], run["latency"]["send_lag"]
    whole = connections["opened"] == crowd.connections and not connections["dropped"] and not messages["lost"]
    echoing = every["sent"] == every["received"] == counts["messages_in"] == counts["messages_out"]
    print(
        f"{crowd.connections:,} connections, {crowd.processes} process(es)\n"
        f"  opened        {connections['opened']:,}, dropped {connections['dropped']}, {_kept(whole)}\n"
        f"  echoing       {format_count(every['sent'])} sent, {messages['lost']} lost, {_kept(echoing)}\n"
        f"  closing       {_closed(connections)}, {_kept(run['complete'])}\n"
        f"  opening       {per_s:,.0f} a second, at least {crowd.least_per_s:,}, {_kept(per_s >= crowd.least_per_s)}\n"
        f"  memory        {format_bytes(size)} a connection, at most {format_bytes(_MOST_BYTES)},"
        f" {_kept(size <= _MOST_BYTES)}\n"
        f"  send_lag p90  {lag['p90_ns'] / NS_PER_US:,.0f} µs, verdict {run['generator']['verdict']}",
        flush=True,
    )


def main() -> None:
    """Print a paragraph for each crowd."""
    parser = argparse.ArgumentParser(prog="benchmarks.crowd", description="Tens of thousands of connections.")
    parser.add_argument("--seconds", type=float, default=60.0, metavar="S", help="of a run (default 60)")
    known = [crowd.connections for crowd in CROWDS]
    parser.add_argument("--connections", type=int, choices=known, help="only this one of the crowds")
    arguments = parser.parse_args()
    stop_on_signals()
    others = used_by_others()
    print(machine_line())
    for crowd in CROWDS:
        if arguments.connections not in (None, crowd.connections):
            continue
        _tell(crowd, *_measure(crowd, arguments.seconds))
    print(disturbance(max(others, used_by_others())))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted")
