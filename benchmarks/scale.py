"""wsbench's cost under different loads: windows, TLS, compression, open loop, many connections.

    make scale ARGS=--quick

Every repetition runs every setting once, each against a new server on another core; a ratio compares two runs of one
repetition. The limit beside a figure is the one that wsbench aims at. The exit code is 0 whatever the figures are.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.bench import (
    disturbance,
    machine_line,
    median_and_spread,
    run_wsbench,
    serving,
    stop_on_signals,
    used_by_others,
)
from wsbench.units import NS_PER_US

_QUICK_S = 2.0
_PICOWS = ("benchmarks.picows_server",)
_EMBEDDED = (sys.executable, "-m", "wsbench", "serve", "--port", "0", "--compression", "on")


@dataclass(frozen=True)
class Setting:
    """A run in every repetition: a server, and options of `wsbench run` except the duration."""

    name: str
    server: Sequence[str] = ("benchmarks.c_server",)
    options: Sequence[str] = ("-u", "100")


SETTINGS = (
    Setting("plain"),
    Setting("window", options=("-u", "100", "--in-flight", "32")),
    Setting("open", options=("-u", "100", "--rate", "50000")),
    # TLS and compression take the general path: they are compared with the same path and the same server without them.
    Setting("general", server=_PICOWS, options=("-u", "100", "--native", "off")),
    Setting("tls", server=(*_PICOWS, "--tls"), options=("-u", "100", "--insecure")),
    Setting("embedded", server=_EMBEDDED, options=("-u", "100", "--native", "off")),
    Setting("deflate", server=_EMBEDDED, options=("-u", "100", "--compression", "on")),
    Setting("1,000", options=("-u", "1000")),
    Setting("10,000", options=("-u", "10000", "-r", "2000")),
)

Runs = Mapping[str, Any]
"""run.json of every setting, in one repetition."""


def _throughput(run: Any) -> float:
    return run["throughput"]["received_per_s"]


def _cost(run: Any) -> float:
    return run["generator"]["cpu_us_per_message"]


def _send_lag_us(run: Any) -> float:
    return run["latency"]["send_lag"]["p99_ns"] / NS_PER_US


@dataclass(frozen=True)
class Figure:
    """A figure of one repetition, and its limit: a maximum, or with `at_least` a minimum."""

    name: str
    of: Callable[[Runs], float]
    unit: str
    limit: float | None = None
    at_least: bool = False
    digits: int = 2

    def row(self, repetitions: Sequence[Runs]) -> tuple[str, str, str, str]:
        """Return name, median and spread, limit, and whether the median keeps it."""
        values = [self.of(runs) for runs in repetitions]
        shown = f"{median_and_spread(values, self.digits)} {self.unit}"
        if self.limit is None:
            return self.name, shown, "", ""
        median = statistics.median(values)
        kept = median >= self.limit if self.at_least else median <= self.limit
        limit = f"{'at least' if self.at_least else 'at most'} {self.limit:g} {self.unit}"
        return self.name, shown, limit, "kept" if kept else "missed"


FIGURES = (
    Figure("closed loop, 1 in flight", lambda runs: _throughput(runs["plain"]), "messages/s", digits=0),
    Figure("closed loop, 32 in flight", lambda runs: _throughput(runs["window"]), "messages/s", digits=0),
    Figure("  CPU a message", lambda runs: _cost(runs["window"]), "µs"),
    Figure(
        "  share of runs with 2 million messages/s, or 0.3 µs",
        lambda runs: 100.0 * (_throughput(runs["window"]) >= 2_000_000 or _cost(runs["window"]) <= 0.3),
        "%",
        limit=100,
        at_least=True,
        digits=0,
    ),
    Figure("general path, ws, CPU a message", lambda runs: _cost(runs["general"]), "µs", digits=1),
    Figure("general path, wss, CPU a message", lambda runs: _cost(runs["tls"]), "µs", digits=1),
    Figure("  wss against ws", lambda runs: _cost(runs["tls"]) / _cost(runs["general"]), "x", limit=1.7),
    Figure("embedded target, general path, plain", lambda runs: _cost(runs["embedded"]), "µs", digits=1),
    Figure("embedded target, general path, deflate", lambda runs: _cost(runs["deflate"]), "µs", digits=1),
    Figure("  deflate against plain", lambda runs: _cost(runs["deflate"]) / _cost(runs["embedded"]), "x", limit=4),
    Figure("open loop, 50,000/s, send_lag p99", lambda runs: _send_lag_us(runs["open"]), "µs", limit=300, digits=1),
    Figure(
        "  share of runs with the verdict ok",
        lambda runs: 100.0 * (runs["open"]["generator"]["verdict"] == "ok"),
        "%",
        limit=100,
        at_least=True,
        digits=0,
    ),
    Figure("100 connections, CPU a round trip", lambda runs: _cost(runs["plain"]), "µs", digits=1),
    Figure("1,000 connections, CPU a round trip", lambda runs: _cost(runs["1,000"]), "µs", digits=1),
    Figure("10,000 connections, CPU a round trip", lambda runs: _cost(runs["10,000"]), "µs", digits=1),
    Figure("  10,000 against 100", lambda runs: _cost(runs["10,000"]) / _cost(runs["plain"]), "x", limit=1.8),
)


def _run(setting: Setting, seconds: float) -> Any:
    with serving(*setting.server) as (_, url):
        return run_wsbench(url, *setting.options, "-d", f"{seconds:g}s", "--warmup", "1s")


def _repetition(number: int, seconds: float) -> tuple[Runs, float]:
    """Return the runs, and the maximal share of a core that other programs used between them."""
    runs: dict[str, Any] = {}
    others = 0.0
    # In alternating order, so that no setting always follows the same one.
    for setting in SETTINGS if number % 2 else SETTINGS[::-1]:
        others = max(others, used_by_others())
        runs[setting.name] = run = _run(setting, seconds)
        asked, opened = run["connections"]["asked"], run["connections"]["opened"]
        line = f"{_throughput(run):,.0f}/s, {_cost(run):.1f} µs, {run['generator']['verdict']}, {opened} of {asked}"
        print(f"{number} {setting.name}: {line}", file=sys.stderr, flush=True)
    return runs, others


def main() -> None:
    """Print a row for each figure."""
    parser = argparse.ArgumentParser(prog="benchmarks.scale", description="wsbench's cost under different loads.")
    parser.add_argument("--repetitions", type=int, default=3, metavar="N", help="of every setting (default 3)")
    parser.add_argument("--duration", type=float, default=5.0, metavar="S", help="of a run (default 5 s)")
    parser.add_argument("--quick", action="store_true", help=f"one repetition of {_QUICK_S:g} s")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.repetitions, arguments.duration = 1, _QUICK_S
    stop_on_signals()
    done = [_repetition(number, arguments.duration) for number in range(1, arguments.repetitions + 1)]
    print(f"{machine_line()}\nmedian (min..max) of {arguments.repetitions} x {arguments.duration:g} s\n")
    rows = [figure.row([runs for runs, _ in done]) for figure in FIGURES]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print(disturbance(max(others for _, others in done)))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted")
