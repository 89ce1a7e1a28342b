"""The end of the head of a client's request.

Input after the head is not parsed before the handshake is answered (RFC 6455, 4.1: a client must wait for the
answer). Otherwise a pong or a close frame could be sent before the answer.
"""

from __future__ import annotations

_END = b"\r\n\r\n"

MAX_HEAD_BYTES = 32 * 1024


class RequestHead:
    """Finds the end of a request's head in the pieces in which it arrives.

    Attributes:
        size: bytes of the head so far.
    """

    def __init__(self) -> None:
        self.size = 0
        self._last = b""

    def split(self, data: bytes) -> tuple[bytes, bytes | None]:
        """Return the part of `data` that belongs to the head, and the rest after its end (None: no end yet)."""
        overlap = len(self._last)
        seen = self._last + data
        found = seen.find(_END)
        end = len(data) if found < 0 else found + len(_END) - overlap
        self.size += end
        if found < 0:
            self._last = seen[1 - len(_END) :]
            return data, None
        return data[:end], data[end:]
