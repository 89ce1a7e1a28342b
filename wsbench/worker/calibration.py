"""Precision of this machine's clocks, timers and sockets, without any server: `python -m wsbench.worker.calibration`.

It is a separate process, because it runs on gevent like a worker. It prints one JSON document: see `Machine`.
"""

from __future__ import annotations

import os
import socket
import sys
import time

import gevent
import msgspec

from wsbench.measure.histogram import Buckets, percentiles, record
from wsbench.measure.schedule import slots
from wsbench.transport import timestamps
from wsbench.worker.pacer import Pacer

_TIMER_SECONDS = 2.0
_TIMER_RATE = 1000.0
_SLEEPS = 300
_PING_PONGS = 5000


class Spread(msgspec.Struct, frozen=True):
    """Percentiles of repeated measurements, in ns."""

    p50_ns: int | None
    p90_ns: int | None
    p99_ns: int | None


class Machine(msgspec.Struct, frozen=True):
    """The result.

    Attributes:
        timer: lateness of the pacer at 1,000 wake-ups a second; `exact_timer`: it runs on a timerfd.
        plain_timer: lateness of a sleep of 1 ms on gevent's own timer, for comparison.
        kernel_timestamps: whether received packets carry the kernel's time.
        round_trip: round trip of `payload_size` bytes between two processes over plain loopback TCP: the minimum.
    """

    timer: Spread
    exact_timer: bool
    plain_timer: Spread
    kernel_timestamps: bool
    round_trip: Spread
    payload_size: int


class _Lateness:
    """Records how late the pacer calls it."""

    has_waiters = False

    def __init__(self) -> None:
        self.seen: Buckets = {}

    def fire(self, due_ns: int) -> None:
        self.miss(due_ns, 1)

    def miss(self, due_ns: int, count: int) -> None:
        record(self.seen, max(0, time.monotonic_ns() - due_ns), count)


def measure(payload_size: int) -> Machine:
    """Measure this machine; takes about four seconds."""
    lateness = _Lateness()
    pacer = Pacer(offset_ns=0, backlog_ns=10**9, on_error=_raise)
    pacer.add(lateness, slots(rate=_TIMER_RATE, connections=1, index=0, now_ns=time.monotonic_ns()))
    gevent.sleep(_TIMER_SECONDS)
    pacer.stop()
    return Machine(
        timer=_spread(lateness.seen),
        exact_timer=pacer.exact,
        plain_timer=_spread(_sleeps()),
        kernel_timestamps=_has_kernel_timestamps(),
        round_trip=_spread(_ping_pong(payload_size)),
        payload_size=payload_size,
    )


def _raise(error: Exception) -> None:
    raise error


def _spread(buckets: Buckets) -> Spread:
    return Spread(*percentiles(buckets, (50.0, 90.0, 99.0)))


def _sleeps() -> Buckets:
    seen: Buckets = {}
    for _ in range(_SLEEPS):
        began = time.monotonic_ns()
        gevent.sleep(0.001)
        record(seen, max(0, time.monotonic_ns() - began - 1_000_000))
    return seen


def _has_kernel_timestamps() -> bool:
    keep = timestamps.TimestampingKeepalive()
    if not keep.available:
        return False
    # The kernel switches timestamps on with a delay: the first packets may have none.
    gevent.sleep(0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
        with ours, theirs:
            timestamps.enable(ours)
            theirs.sendall(b"?")
            _, ancillary, _, _ = ours.recvmsg(1, timestamps.ANCILLARY_SIZE)
            return bool(ancillary)


def _ping_pong(size: int) -> Buckets:
    """Measure round trips between two processes with blocking sockets: the minimum of any over loopback."""
    seen: Buckets = {}
    listener = socket.create_server(("127.0.0.1", 0))
    child = os.fork()
    if child == 0:
        try:
            _echo(listener, size)
        finally:
            # Not sys.exit: the child must not run the parent's hub and clean-ups.
            os._exit(0)
    with socket.create_connection(listener.getsockname()) as ours:
        ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        message = b"x" * size
        for _ in range(_PING_PONGS):
            began = time.monotonic_ns()
            ours.sendall(message)
            ours.recv(size, socket.MSG_WAITALL)
            record(seen, time.monotonic_ns() - began)
    os.waitpid(child, 0)
    listener.close()
    return seen


def _echo(listener: socket.socket, size: int) -> None:
    theirs, _ = listener.accept()
    theirs.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while message := theirs.recv(size, socket.MSG_WAITALL):
        theirs.sendall(message)


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.encode(measure(int(sys.argv[1]))).decode() + "\n")
