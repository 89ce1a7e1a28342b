"""The short way from a reply to the next message: a reader that serves many connections outside of `Connection`.

The reader is the native echo path (`worker/echo/native_path.py`). A connection is on the short way while it is between
frames, without TLS and extensions, and nothing waits to be sent; the rest of the time it reads itself.
"""

from __future__ import annotations

from typing import Any, Protocol

from wsbench.transport.poller import Readable


class Traveller(Protocol):
    """A connection on the short way, which handles all that the short way does not."""

    def strayed(self, data: bytes, arrived_ns: int, handled_ns: int) -> None:
        """Handle bytes that are not exactly the expected reply."""

    def refused(self, data: bytes, error: OSError) -> None:
        """Handle a send that failed: the socket accepted none of `data`."""

    def keep(self, data: bytes) -> None:
        """Buffer the rest of a partial send."""

    def read(self, fd: int, events: int) -> None:
        """Read once, as the connection does when it is not on the short way."""

    def look_again(self, size: int, arrived_ns: int, handled_ns: int) -> None:
        """Handle a read of `size` bytes that may have left some, or that got the end of the stream (0)."""

    def failed(self, error: Exception) -> None:
        """Handle an exception: the socket or our code failed."""


class _Gone:
    """Placeholder of a connection that has ended, perhaps in a call made by the reader."""

    def strayed(self, *_args: Any, **_kwargs: Any) -> None:
        """Do nothing."""

    refused = keep = read = look_again = failed = strayed


GONE = _Gone()


class Way(Protocol):
    """A faster reader for connections between frames, without TLS and extensions.

    Attributes:
        readable: the poller's callback for connections on it.
    """

    @property
    def readable(self) -> Readable: ...

    def leave(self, fd: int) -> None:
        """Remove a connection that has ended."""

    def on(self, fd: int) -> None:
        """Begin to read a connection."""

    def off(self, fd: int) -> None:
        """Stop to read a connection, which reads itself from now on."""
