"""The kernel's own receive timestamps (SO_TIMESTAMPING), so that a reply's arrival is not our reading of it.

Source: Linux Documentation/networking/timestamping. The constants are not in Python's socket module.
The clock is CLOCK_REALTIME. When one read returns several segments, the timestamp is the last one's.
"""

from __future__ import annotations

import socket
import sys
from struct import Struct

SO_TIMESTAMPING = 37
_RX_SOFTWARE = 1 << 3
_SOFTWARE = 1 << 4

ANCILLARY_SIZE = socket.CMSG_SPACE(48) if hasattr(socket, "CMSG_SPACE") else 64
"""Room for one struct scm_timestamping: three timespecs, of which the first is the software one."""

unpack_timespec = Struct("qq").unpack_from


def enable(sock: socket.socket) -> bool:
    """Ask for receive timestamps on a socket; False where the kernel has none to give."""
    if sys.platform != "linux":
        return False
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, _RX_SOFTWARE | _SOFTWARE)
    except OSError:
        return False
    return True


class KeepStamping:
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
