"""wsbench against other load generators: the same server, the same load, the same cores, in one alternating run.

    make peers ARGS='--quick --markdown --only k6'

100 connections, a closed loop with one message of 128 bytes in flight on each; the server on one core and the generator
on another. Every repetition runs every generator once, in random order (fixed by --seed). The exit code is 0 whatever
the figures are.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence

from benchmarks.bench import disturbance, machine_line, stop_on_signals
from benchmarks.peers import table
from benchmarks.peers.catalogue import PEERS
from benchmarks.peers.measure import Failed, Sample, measure
from benchmarks.peers.peer import PAYLOAD_SIZE, Peer

_QUICK_S = 2.0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="peers", description="Compare wsbench with other load generators.")
    parser.add_argument("--repetitions", type=int, default=3, metavar="N", help="of every generator (default 3)")
    parser.add_argument("--duration", type=float, default=8.0, metavar="S", help="of a measurement (default 8 s)")
    parser.add_argument("--connections", type=int, default=100, metavar="N", help="(default 100)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the order (default 1)")
    parser.add_argument("--quick", action="store_true", help=f"one repetition of {_QUICK_S:g} s: does it work at all?")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="generators whose name contains this")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.repetitions, arguments.duration = 1, _QUICK_S
    if arguments.repetitions < 1 or arguments.connections < 1 or arguments.duration <= 0:
        parser.error("repetitions, connections and duration must be above zero")
    return arguments


def _run(peers: Sequence[Peer], arguments: argparse.Namespace) -> tuple[dict[str, list[Sample]], dict[str, str]]:
    """Return samples by peer, and the reasons of failures. A peer that failed is not run again."""
    results: dict[str, list[Sample]] = {peer.name: [] for peer in peers}
    failed: dict[str, str] = {}
    order = random.Random(arguments.seed)
    for repetition in range(1, arguments.repetitions + 1):
        for peer in order.sample(peers, len(peers)):
            if peer.name in failed:
                continue
            print(f"{repetition}/{arguments.repetitions} {peer.name} ...", end=" ", file=sys.stderr, flush=True)
            try:
                sample = measure(peer, connections=arguments.connections, seconds=arguments.duration)
            except Failed as failure:
                failed[peer.name] = str(failure)
                print(failure, file=sys.stderr)
            else:
                results[peer.name].append(sample)
                print(f"{sample.per_s:,.0f}/s, {sample.cpu_us:.1f} µs", file=sys.stderr)
    return results, failed


def main() -> None:
    """Print the table."""
    arguments = _arguments()
    stop_on_signals()
    wanted = [peer for peer in PEERS if not arguments.only or any(part in peer.name for part in arguments.only)]
    missing = {peer.name: remedy for peer in wanted if (remedy := peer.missing())}
    present = [peer for peer in wanted if peer.name not in missing]
    results, failed = _run(present, arguments)
    rows = table.rows(present, results)
    others = max((sample.others for samples in results.values() for sample in samples), default=0.0)
    load = f"{arguments.connections} connections, one message of {PAYLOAD_SIZE} bytes in flight on each"
    times = f"median (min..max) of {arguments.repetitions} x {arguments.duration:g} s, alternating"
    lines = [
        f"{load}; {times}.",
        machine_line(),
        table.markdown(rows) if arguments.markdown else table.plain(rows),
        "\n".join(table.notes(present, results)),
        "CPU is user and system time of the generator's whole process tree, by the kernel; messages are what the\n"
        "server echoed; both without start-up and end.",
        disturbance(others),
        "\n".join(table.verdicts(results)),
        "\n".join(f"failed: {name}: {why}" for name, why in failed.items()),
        "\n".join(f"not found: {name}: {remedy}" for name, remedy in missing.items()),
    ]
    print("\n\n".join(filter(None, lines)))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted")
