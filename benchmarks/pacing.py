"""Lateness of the open loop, compared with a bare timerfd loop of the same rate before and after it.

    make pacing ARGS='1000 5000'

The bare loop only wakes up on time: its lateness is the machine's. There is no limit: the machine may be shared.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from helpers import process

from wsbench.measure.histogram import Buckets, percentiles, record
from wsbench.units import NS_PER_S, format_duration
from wsbench.worker.pacer import TimerFd

CONNECTIONS = 100
SECONDS = 5
RATES = (1000, 5000, 10_000, 20_000)
PERCENTS = (50.0, 90.0, 99.0)


def bare_loop(rate: int, seconds: float) -> list[int | None]:
    """Return the lateness of a loop that only waits for its timer: PERCENTS, in ns."""
    timer, seen, period = TimerFd(lambda: None), Buckets(), NS_PER_S // rate
    os.set_blocking(timer.fd, True)
    due = time.monotonic_ns() + period
    end = due + int(seconds * NS_PER_S)
    while due < end:
        timer.arm(due)
        os.read(timer.fd, 8)
        now = time.monotonic_ns()
        while due <= now and due < end:
            record(seen, now - due)
            due += period
    timer.close()
    return percentiles(seen, PERCENTS)


def measured(url: str, rate: int) -> tuple[list[int | None], str]:
    """Return send_lag of a run (PERCENTS, in ns), and its verdict."""
    with tempfile.TemporaryDirectory() as directory:
        load = ["-u", str(CONNECTIONS), "--rate", str(rate), "-d", f"{SECONDS}s", "--warmup", "1s"]
        run = process.run_cli("run", url, *load, "--json", cwd=Path(directory)).json()
    lag = run["latency"]["send_lag"]
    return [lag[f"p{percent:g}_ns"] for percent in PERCENTS], run["generator"]["verdict"]


def main(rates: Sequence[int]) -> None:
    """Print a row for each rate."""
    server, url = process.start_server("benchmarks.picows_server")
    try:
        print(f"{CONNECTIONS} connections, picows echo, {SECONDS} s each; p50 / p90 / p99 of lateness")
        print(f"{'messages/s':>10}  {'bare timerfd before':<32}{'send_lag':<32}{'bare timerfd after':<32}verdict")
        for rate in rates:
            before = bare_loop(rate, SECONDS / 2)
            lag, verdict = measured(url, rate)
            after = bare_loop(rate, SECONDS / 2)
            cells = "".join(f"{' / '.join(map(format_duration, values)):<32}" for values in (before, lag, after))
            print(f"{rate:>10,}  {cells}{verdict}", flush=True)
    finally:
        server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rates", nargs="*", type=int, default=RATES, metavar="RATE", help="messages per second")
    main(parser.parse_args().rates)
