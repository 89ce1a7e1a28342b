"""Effect of abusive clients of the echo target on the others: their p99 before, during and after.

    make abuse ARGS='--seconds 300'

The target has one core, the generator another, which the abusers share at low priority. They delay the generator, so
p99 is that of `service`. Exit code 1: p99 during the abuse was more than twice that without (the mean of before and
after), a message was lost, an abuser had an undocumented outcome, or the target's memory grew beyond its limit. Use a
machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from helpers import abuse, process

from benchmarks.bench import GENERATOR_CORE, SERVER_CORE, pinned
from wsbench.units import format_bytes, format_duration

CONNECTIONS, RATE = 20, 200
QUIET_S = 30
MOST_TIMES = 2.0
"""Limit of p99 with abuse, as a multiple of that without."""
MAX_BUFFERED = 2 * 1024 * 1024
MOST_GROWTH = 128 * 1024 * 1024
"""Limit of the growth of resident memory: buffers, large messages, and memory that the allocator keeps."""
LIMITS = (
    *("--compression", "on", "--max-connections", "80", "--max-buffered", str(MAX_BUFFERED)),
    *("--handshake-timeout", "5s", "--write-timeout", "5s"),
)


@contextmanager
def favoured() -> Iterator[None]:
    """Start processes with higher priority within the block, if this user may."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -15)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)


def measured(url: str, seconds: float) -> Any:
    """Return run.json of an open loop at a low rate."""
    with tempfile.TemporaryDirectory() as directory, pinned(GENERATOR_CORE), favoured():
        load = ("-u", str(CONNECTIONS), "--rate", str(RATE), "-d", f"{seconds:g}s", "--warmup", "2s")
        run = process.start_cli("run", url, *load, "--json", cwd=Path(directory))
        try:
            return run.finish(seconds + 120).json()
        finally:
            run.stop()


class Watch(threading.Thread):
    """The maximum of the target's memory, sampled twice per second."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url, self._end = url, threading.Event()
        self.rss_bytes = 0

    def run(self) -> None:
        while not self._end.wait(0.5):
            self.rss_bytes = max(self.rss_bytes, process.http_json(self._url, "/stats")["rss_bytes"])

    def end(self) -> None:
        self._end.set()
        self.join()


def row(name: str, run: Any) -> str:
    """Return a row of the table."""
    counts, dropped = run["messages"], run["connections"]["dropped"]
    shown = " / ".join(format_duration(run["latency"]["service"][f"{p}_ns"]) for p in ("p50", "p99", "p99.9", "max"))
    lag = format_duration(run["latency"]["send_lag"]["p99_ns"])
    return f"{name:<8} {shown:<40} {lag:>10} {counts['sent']:>9,} {counts['lost']:>5} {dropped:>8}"


def p99_ns(run: Any) -> int:
    """Return p99 of `service`; TypeError for a run without."""
    return int(run["latency"]["service"]["p99_ns"])


def main(seconds: float) -> int:
    """Print the table and the outcomes of the abuse; return the exit code."""
    with pinned(SERVER_CORE), favoured():
        server = process.start_cli("serve", "--port", "0", *LIMITS)
    try:
        url = server.wait_for(r"^listening on (ws\S+)")[1]
        print(f"{CONNECTIONS} connections, {RATE} messages/s; service p50 / p99 / p99.9 / max,")
        print("         p99 of send lag (the generator's own), messages sent and lost, connections dropped")
        before = measured(url, QUIET_S)
        print(row("before", before), flush=True)
        watch, rss_bytes = Watch(url), process.http_json(url, "/stats")["rss_bytes"]
        watch.start()
        with pinned(GENERATOR_CORE):
            lasting = f"{seconds + 10:g}"  # longer than the run takes to get to its measure phase and through it
            # they share a core with the well-behaved clients and must not delay them
            command = ("nice", "-n", "19", sys.executable, "-m", "helpers.abuse", url, "--seconds", lasting)
            abusers = process.Running(command, cwd=process.TESTS)
        try:
            during = measured(url, seconds)
            watch.end()
            print(row("during", during), flush=True)
            tallies = abuse.tallies_of(abusers.finish(180))
        finally:
            abusers.stop()
        after = measured(url, QUIET_S)
        print(row("after", after), flush=True)
        refused = process.http_json(url, "/stats")["refused"]
        stderr = server.stderr()
    finally:
        server.stop()
    for manner, came in tallies.items():
        print(f"  {manner:<24} {', '.join(f'{outcome}: {times:,}' for outcome, times in came.most_common())}")
    print(f"  counted by the target: {json.dumps(refused)}")
    ratio = p99_ns(during) / ((p99_ns(before) + p99_ns(after)) / 2)
    growth = watch.rss_bytes - rss_bytes
    print(f"p99 with abuse is {ratio:.2f} times that without; memory grew by {format_bytes(growth)} at most")
    wrong = abuse.undocumented(tallies)
    wrong += [f"p99 grew {ratio:.2f} times, more than {MOST_TIMES:g}"] if ratio > MOST_TIMES else []
    wrong += [f"memory grew by {format_bytes(growth)}"] if growth > MOST_GROWTH else []
    if during["messages"]["lost"] or during["connections"]["dropped"]:
        wrong.append("messages were lost, or connections dropped")
    wrong += [f"the target wrote: {stderr}"] if stderr else []
    for line in wrong:
        print(f"WRONG: {line}", file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300, help="of abuse (default 300)")
    sys.exit(main(parser.parse_args().seconds))
