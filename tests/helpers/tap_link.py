"""A slow link: two virtual network interfaces (TAP). Each frame into one leaves the other, delayed, or is lost.

    python -m helpers.tap_link NEAR FAR --delay-ms 20 --loss-percent 2

The interfaces exist as long as the process; one of them may be moved to another network namespace.
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
_MAX_FRAME = 65_536


def interface(name: str) -> int:
    """Create a TAP interface; return its descriptor."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
    return descriptor


def main() -> None:
    """Forward frames until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs=2)
    parser.add_argument("--delay-ms", type=float, default=0)
    parser.add_argument("--loss-percent", type=float, default=0)
    options = parser.parse_args()
    ends = [interface(name) for name in options.names]
    print("ready", flush=True)
    forward(ends, options.delay_ms / 1000, options.loss_percent / 100)


def forward(ends: list[int], delay_s: float, loss: float) -> None:
    """Forward frames between two interfaces. All have the same delay, so their order stays."""
    rng = random.Random(1)
    in_transit: deque[tuple[float, int, bytes]] = deque()
    while True:
        left = max(0.0, in_transit[0][0] - time.monotonic()) if in_transit else None
        for end in select.select(ends, [], [], left)[0]:
            try:
                frame = os.read(end, _MAX_FRAME)
            except OSError:  # the interface is down
                continue
            if rng.random() >= loss:
                in_transit.append((time.monotonic() + delay_s, ends[end == ends[0]], frame))
        while in_transit and in_transit[0][0] <= time.monotonic():
            _, out, frame = in_transit.popleft()
            try:
                os.write(out, frame)
            except OSError:  # down, or its queue is full: the frame is lost
                pass


if __name__ == "__main__":
    main()
