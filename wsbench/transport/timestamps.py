"""The kernel's own receive timestamps (SO_TIMESTAMPNS), so that a reply's arrival is not our reading of it.

Source: Linux Documentation/networking/timestamping. The constants are not in Python's socket module.
The clock is CLOCK_REALTIME. When one read returns several segments, the timestamp is the last one's.
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
    """Nanoseconds of a timespec, which is a struct timespec as the kernel writes it."""
    seconds, nanoseconds = _TIMESPEC.unpack(timespec)
    return int(seconds * NS_PER_S + nanoseconds)


def ns_to_timespec(instant_ns: int) -> bytes:
    """The timespec of an instant, for when the kernel has given none."""
    return _TIMESPEC.pack(*divmod(instant_ns, NS_PER_S))


def enable(sock: socket.socket) -> bool:
    """Ask for receive timestamps on a socket; False where the kernel has none to give."""
    if sys.platform != "linux":
        return False
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    except OSError:
        return False
    return True


class TimestampingKeepalive:
    """Holds one idle socket with timestamps on, as a rule for the life of the process.

    The kernel stamps packets only while some socket asks for it, and switches that on with a delay: without
    this, the first reads after the first socket's option is set come without a timestamp.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.available = enable(self._socket)

    def close(self) -> None:
        """For who needs stamps for a while only."""
        self._socket.close()
