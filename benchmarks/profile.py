"""The generator's time for a round trip: by system call, by Python function, and as counts per message.

    make profile ARGS='--seconds 3 --rate 2000'

Every figure comes from a separate run, because observation slows the generator down. Shares are those of the samples;
the times beside them are these shares of an unobserved message's cost. Counts do not depend on the machine's speed,
except that in an open loop a slower generator handles more messages at a time.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmarks import probes
from benchmarks.bench import machine_line, stop_on_signals
from benchmarks.probes import AtWork, Load, Unavailable

_LEAST_SHARE, _LEAST_A_MESSAGE = 0.01, 0.02


def _title(text: str) -> None:
    print(f"\n{text}", flush=True)


def _say(*cells: str) -> None:
    print(f"  {cells[0]:<58}" + "".join(f"{cell:>12}" for cell in cells[1:]), flush=True)


def _shares(samples: Counter[str], cost_us: float) -> None:
    total = samples.total()
    small = 0
    for what, count in samples.most_common():
        if count / total < _LEAST_SHARE:
            small += count
        else:
            _say(what, f"{count / total:.1%}", f"{count / total * cost_us:.2f} µs")
    _say("everything smaller", f"{small / total:.1%}", f"{small / total * cost_us:.2f} µs")


def _counts(calls: Counter[str], worker: AtWork) -> None:
    for what, count in calls.most_common():
        if count / worker.messages >= _LEAST_A_MESSAGE:
            _say(what, f"{count / worker.messages:.2f}")
    _say("all of them", f"{calls.total() / worker.messages:.2f}")


def _speed(worker: AtWork) -> str:
    return f"while watched {worker.messages / worker.lasted_s:,.0f} messages/s"


def _cost_us(load: Load, directory: Path) -> float:
    with probes.at_work(load, directory) as worker:
        worker.finish()
    run = worker.run
    cost: float = run["generator"]["cpu_us_per_message"]
    _say("unwatched", f"{run['throughput']['received_per_s']:,.0f}/s", f"{cost:.2f} µs")
    return cost


_Probe = Callable[[AtWork, Load, Path], Counter[str]]


def _watched(probe: _Probe, load: Load, directory: Path) -> tuple[AtWork, Counter[str]]:
    with probes.at_work(load, directory) as worker:
        samples = probe(worker, load, directory)
    if not samples or not worker.messages:
        raise Unavailable("nothing was seen")
    return worker, samples


def _time(load: Load, directory: Path) -> None:
    cost_us = _cost_us(load, directory)
    worker, samples = _watched(probes.time_shares, load, directory)
    _title(f"  Time by system call and library (perf, {samples.total()} samples; {_speed(worker)})")
    print("  (on loopback, sending is also the server's receiving: the kernel does both at once)")
    _shares(samples, cost_us)
    worker, samples = _watched(probes.python_functions, load, directory)
    _title(f"  Time by Python function, with what it calls in C and the kernel (py-spy, {samples.total()} samples)")
    _shares(samples, cost_us)


def _numbers(load: Load, directory: Path) -> None:
    worker, calls = _watched(probes.system_calls, load, directory)
    _title(f"  System calls a message (strace; {_speed(worker)})")
    _counts(calls, worker)
    worker, calls = probes.function_calls(load, directory)
    _title(f"  Function calls a message (cProfile; {_speed(worker)})")
    _counts(calls, worker)
    worker, count = probes.instructions(load, directory)
    _title(f"  Instructions a message in user space (callgrind; {_speed(worker)})")
    _say("instructions", f"{count / worker.messages:,.0f}")


def main() -> None:
    """Print the tables of a closed and an open loop."""
    parser = argparse.ArgumentParser(prog="benchmarks.profile", description="Where a round trip's time goes.")
    parser.add_argument("--seconds", type=float, default=3.0, metavar="S", help="that a probe watches (default 3)")
    parser.add_argument("--connections", type=int, default=100, metavar="N", help="(default 100)")
    parser.add_argument("--rate", type=int, default=2000, metavar="R", help="of the open loop (default 2000/s)")
    arguments = parser.parse_args()
    stop_on_signals()
    print(machine_line())
    for name, options in (("closed loop", ()), (f"open loop, {arguments.rate}/s", ("--rate", str(arguments.rate)))):
        load = Load(options, arguments.connections, arguments.seconds)
        _title(f"{name}, {arguments.connections} connections, 1 in flight" if not options else name)
        with tempfile.TemporaryDirectory() as directory:
            for part in (_time, _numbers):
                try:
                    part(load, Path(directory))
                except Unavailable as reason:
                    _say(f"not available: {reason}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted")
