"""A slow cable: two virtual network cards (TAP), and whatever goes into one comes out of the other, later or never.

    python -m helpers.cable NEAR FAR --delay-ms 20 --loss-percent 2

The cards last as long as the process; one of them may be moved to another network namespace.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import random
import select
import struct
import time
from collections import deque

_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_LONGEST_FRAME = 65_536


def card(name: str) -> int:
    """A new network card's descriptor."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
    return descriptor


def main() -> None:
    """Carry frames until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs=2)
    parser.add_argument("--delay-ms", type=float, default=0)
    parser.add_argument("--loss-percent", type=float, default=0)
    given = parser.parse_args()
    ends = [card(name) for name in given.names]
    print("laid", flush=True)
    carry(ends, given.delay_ms / 1000, given.loss_percent / 100)


def carry(ends: list[int], delay_s: float, loss: float) -> None:
    """Frames between two cards. All take the same time, so they stay in order."""
    rng = random.Random(1)
    under_way: deque[tuple[float, int, bytes]] = deque()
    while True:
        left = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
        for end in select.select(ends, [], [], left)[0]:
            try:
                frame = os.read(end, _LONGEST_FRAME)
            except OSError:  # the card is down just now
                continue
            if rng.random() >= loss:
                under_way.append((time.monotonic() + delay_s, ends[end == ends[0]], frame))
        while under_way and under_way[0][0] <= time.monotonic():
            _, out, frame = under_way.popleft()
            try:
                os.write(out, frame)
            except OSError:  # down, or full: lost, as packets are
                pass


if __name__ == "__main__":
    main()
