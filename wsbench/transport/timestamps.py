"""Receive timestamps of the kernel (SO_TIMESTAMPNS): the arrival of a reply, apart from the time we read it.

Source: Linux Documentation/networking/timestamping. The constants are not in Python's socket module.
The clock is CLOCK_REALTIME. If one read returns several segments, the timestamp is that of the last.
"""

from __future__ import annotations

import socket
import sys
from struct import Struct

from wsbench.units import NS_PER_S

_SO_TIMESTAMPNS = 35
_TIMESPEC = Struct("qq")

ANCILLARY_SIZE = socket.CMSG_SPACE(_TIMESPEC.size) if hasattr(socket, "CMSG_SPACE") else 64
"""Room for one struct timespec."""


def timespec_to_ns(timespec: bytes) -> int:
    """Decode a struct timespec, as the kernel writes it, to nanoseconds."""
    seconds, nanoseconds = _TIMESPEC.unpack(timespec)
    return int(seconds * NS_PER_S + nanoseconds)


def enable(sock: socket.socket) -> bool:
    """Switch on receive timestamps for a socket; return False if the kernel has none."""
    if sys.platform != "linux":
        return False
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    except OSError:
        return False
    return True


class TimestampingKeepalive:
    """An idle socket that keeps the kernel's timestamping on, usually for the life of the process.

    The kernel stamps packets only while at least one socket has the option set, and switches stamping on with a delay.
    Without this socket, the first reads of the first connection have no timestamp.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.available = enable(self._socket)

    def close(self) -> None:
        """Let the kernel switch timestamping off."""
        self._socket.close()
