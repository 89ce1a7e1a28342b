"""The table of `echo_core.h`. Instants are ns of CLOCK_REALTIME."""

from typing import Final

LARGEST_PAYLOAD: Final[int]
LARGEST_WINDOW: Final[int]

Flight = tuple[int, int, int]
"""A message in flight: when it was due and sent, and its tally."""
Leftover = tuple[int, bytes, int, int, bytes, int, int]
"""Work for the general path: descriptor, bytes of a frame that the socket did not accept, error of the send, error of
the read (errno or 0), bytes at a frame boundary that were not what was expected, when they arrived and were handled."""

def bucket_key(value_ns: int, /) -> int:
    """Return `histogram.bucket_key` of a value, or -1 where a HdrHistogram has no bucket for it."""

class Table:
    """Table of connections by descriptor."""

    def __new__(
        cls,
        size: int,
        first_byte: int,
        window: int,
        timeout_ns: int,
        source: bytes,
        padded: bool,
        places: int,
        stride: int,
        period: int,
    ) -> Table:
        """Make a table for messages of `size` bytes; `window` is 0 in an open loop.

        `source` is the payload of every message, or, if `padded`, the noise of `measure.payloads.Padding`.
        """

    def open_tally(self) -> int:
        """Return the number of a new tally."""

    def close_tally(self, tally: int, /) -> None:
        """Forget a tally; raise ValueError while messages of it are in flight."""

    def take_counts(self, tally: int, /) -> tuple[int, int, int]:
        """Return how many messages were sent, received, and received without a kernel timestamp since the last call."""

    def take_buckets(self, tally: int, /) -> list[tuple[bytes, bytes]]:
        """Return the series in the order of `measure.tally`, each as keys and counts (int64), since the last call."""

    def take_outside(self, tally: int, /) -> list[tuple[int, int]]:
        """Return the values that are in no bucket, each after the place of its series, since the last call."""

    def follow(self, tally: int, start_ns: int, end_ns: int, active: bool, /) -> None:
        """Set the present interval; in another one, and if not `active`, nothing is sent or counted."""

    def put(self, fd: int, connection_id: int, oldest_seq: int, flights: list[Flight], /) -> None:
        """Take over a connection, with its messages in flight; `oldest_seq` is the number of the first, or the next."""

    def take(self, fd: int, /) -> tuple[int, list[Flight], bytes]:
        """Hand back a connection: what `put` got, and the bytes read of an incomplete reply."""

    def in_flight(self, fd: int, /) -> int:
        """Return the number of messages in flight on a connection."""

    def oldest_due_ns(self, fd: int, /) -> int | None:
        """Return when the oldest message in flight on a connection was due."""

    def poll(
        self, epoll_fd: int, events: int, limit: int, /
    ) -> tuple[int, int, int, list[tuple[int, int]], list[Leftover]]:
        """Serve up to `limit` ready sockets of an epoll, which is to report `events` of each.

        Return their number, the bytes received and sent, the descriptors and events that are not the table's, and what
        is left over.
        """

    def fire(self, due: list[tuple[int, int]], /) -> tuple[int, list[int], list[Leftover]]:
        """Send messages: instants and descriptors. Return the bytes sent, the places of those not sent, leftovers."""

    def payload(self, connection_id: int, seq: int, /) -> bytes:
        """Return the payload of a message."""
