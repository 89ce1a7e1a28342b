"""Where the head of a client's request ends.

What follows the head is not looked at before the handshake is answered (RFC 6455, 4.1: a client waits for that), or
a pong could leave ahead of the answer, and a wrong frame in its place.
"""

from __future__ import annotations

_END = b"\r\n\r\n"

MAX_HEAD_BYTES = 32 * 1024


class Head:
    """Takes what a client sends, in whatever pieces, and finds the end of its request's head.

    Attributes:
        size: bytes of the head so far.
    """

    def __init__(self) -> None:
        self.size = 0
        self._last = b""

    def split(self, data: bytes) -> tuple[bytes, bytes | None]:
        """What of `data` belongs to the head, and what follows it; None while the head goes on."""
        overlap = len(self._last)
        seen = self._last + data
        found = seen.find(_END)
        end = len(data) if found < 0 else found + len(_END) - overlap
        self.size += end
        if found < 0:
            self._last = seen[1 - len(_END) :]
            return data, None
        return data[:end], data[end:]
