"""The native path of a process: joins the table in C with the engine's recorder, poller and connections.

See docs/native-path.md. The table serves a connection from `put` to `take`; whatever is not exactly what it predicted
goes to the connection and its driver, which are the authority.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

import numpy as np

from wsbench import native
from wsbench.measure.bucket_arrays import SparseBuckets
from wsbench.measure.payloads import padding
from wsbench.measure.tally import Tally
from wsbench.measure.verifier import EchoVerifier
from wsbench.run.options import RunOptions
from wsbench.transport.poller import Readable, hub_poller
from wsbench.transport.shortway import GONE, Traveller
from wsbench.websocket.frames import BINARY, TEXT

if TYPE_CHECKING:
    from wsbench.native._echo import Leftover
    from wsbench.websocket.connect_options import ConnectOptions
    from wsbench.worker.engine import Engine
    from wsbench.worker.pacer import Paced


_MOST_MOVED = 100
"""More messages in flight than this are not moved to the table, but for a window: an open loop at a server that is too
slow would come and go with thousands, whenever its socket is full."""


class NativeDriver(Protocol):
    """A driver whose connection may be in the table."""

    def recall(self) -> None:
        """Take the connection out of the table, if it is there."""

    def settle(self) -> None:
        """Put the connection into the table if that is possible."""

    def proceed(self, *, orderly: bool) -> None:
        """Send what there is room for; if the connection is `orderly` (no other input follows), settle."""


class _NoDriver:
    """Placeholder of the driver of a connection that has ended, perhaps in a call made for another one."""

    def recall(self) -> None:
        """Do nothing."""

    settle = recall

    def proceed(self, *, orderly: bool) -> None:
        """Do nothing."""


_NO_DRIVER = _NoDriver()


class NativeCounts:
    """The counts of one tally in the table; `measure.tally.ExternalCounts`."""

    def __init__(self, table: native.Table, tallies: dict[int, Tally], tally: Tally) -> None:
        """Open `tally` in the table; until `close`, `tallies` has it by its number."""
        self._table = table
        self._tallies = tallies
        self.number = table.open_tally()
        tallies[self.number] = tally

    def take_counts(self) -> tuple[int, int, int]:
        return self._table.take_counts(self.number)

    def take_buckets(self) -> list[SparseBuckets]:
        taken = self._table.take_buckets(self.number)
        return [SparseBuckets(np.frombuffer(keys, np.int64), np.frombuffer(counts, np.int64)) for keys, counts in taken]

    def take_outside(self) -> list[tuple[int, int]]:
        return self._table.take_outside(self.number)

    def close(self) -> None:
        self._table.close_tally(self.number)
        del self._tallies[self.number]


class NativePath:
    """Table of the connections of one process that are served in C."""

    def __init__(self, engine: Engine) -> None:
        self._table = _table(engine.options)
        self._closed_loop = engine.options.closed_loop
        self._recorder = engine.recorder
        self._traffic = engine.traffic
        self._most_moved = max(engine.options.in_flight, _MOST_MOVED)
        self._active = False
        self._tallies: dict[int, Tally] = {}
        self._drivers: list[NativeDriver] = []
        self._travellers: list[Traveller] = []
        self._descriptors: dict[object, int] = {}
        """Descriptors by driver, of an open loop."""
        self._recorder.on_change = self._follow
        self._follow()
        hub_poller().serve(self._poll)
        if not self._closed_loop:
            engine.schedule.fire_together(self.fire)

    @staticmethod
    def serves(options: RunOptions, target: ConnectOptions) -> bool:
        """Return whether connections to `target` can be in a table, with these options."""
        return (
            options.native
            and native.BUILT
            and target.plain
            and not options.request_events
            and options.payload_size <= native.LARGEST_PAYLOAD
            and options.in_flight <= native.LARGEST_WINDOW
            and hub_poller().can_serve
        )

    # -- connections -----------------------------------------------------------------------------------------------

    def join(self, fd: int, driver: NativeDriver, traveller: Traveller) -> None:
        """Add a connection and its driver."""
        missing = fd + 1 - len(self._drivers)
        self._drivers += [_NO_DRIVER] * missing
        self._travellers += [GONE] * missing
        self._drivers[fd], self._travellers[fd] = driver, traveller
        if not self._closed_loop:
            self._descriptors[driver] = fd

    def leave(self, fd: int) -> None:
        self._descriptors.pop(self._drivers[fd], None)
        self._drivers[fd], self._travellers[fd] = _NO_DRIVER, GONE

    def on(self, fd: int) -> None:
        self._drivers[fd].settle()

    def off(self, fd: int) -> None:
        self._drivers[fd].recall()

    def readable(self, fd: int, events: int) -> None:
        """Read in the general path: the poller's callback where the table does not serve a connection."""
        traveller = self._travellers[fd]
        try:
            self._drivers[fd].recall()
        except Exception as error:  # the callback's edge: gevent would print it and go on
            traveller.failed(error)
        else:
            traveller.read(fd, events)

    def takes(self, count: int) -> bool:
        """Return whether a connection with `count` messages in flight is to be put into the table, and would stay."""
        return self._active and count <= self._most_moved

    def put(self, fd: int, connection_id: int, verifier: EchoVerifier) -> None:
        """Move a connection and its messages in flight into the table."""
        pending = verifier.pending
        flights = [(due_ns, sent_ns, self._number(tally)) for _, due_ns, sent_ns, _, tally in pending]
        self._table.put(fd, connection_id, verifier.last_seq + 1 - len(pending), flights)
        pending.clear()

    def take(self, fd: int, verifier: EchoVerifier, header: bytes) -> bytes:
        """Move a connection back to its verifier; return what has been read of an incomplete reply.

        `header` precedes the payload in the expected replies.
        """
        oldest, flights, matched = self._table.take(fd)
        build, tallies = verifier.messages.build, self._tallies
        verifier.last_seq = oldest + len(flights) - 1
        verifier.pending.extend(
            (header + build(seq), due_ns, sent_ns, seq, tallies[number])
            for seq, (due_ns, sent_ns, number) in enumerate(flights, oldest)
        )
        return matched

    def in_flight(self, fd: int) -> int:
        """Return the number of messages in flight on a connection in the table."""
        return self._table.in_flight(fd)

    def oldest_due_ns(self, fd: int, default_ns: int) -> int:
        """Return when the oldest message on a connection in the table was due; `default_ns` if none is in flight."""
        due_ns = self._table.oldest_due_ns(fd)
        return default_ns if due_ns is None else due_ns

    # -- intervals -------------------------------------------------------------------------------------------------

    def _number(self, tally: Tally) -> int:
        """Return the number of a tally in the table."""
        if tally.external is None:
            tally.external = NativeCounts(self._table, self._tallies, tally)
        assert isinstance(tally.external, NativeCounts)
        return tally.external.number

    def _follow(self) -> None:
        """Let the table follow the recorder's interval."""
        recorder = self._recorder
        self._active = recorder.closed_loops_active if self._closed_loop else recorder.sending
        start_ns = recorder.current.interval.start_ns
        self._table.follow(self._number(recorder.current), start_ns, recorder.boundary_ns, self._active)

    # -- work ------------------------------------------------------------------------------------------------------

    def _poll(self, epoll_fd: int, events: int, limit: int, callbacks: list[Readable]) -> bool:
        """Serve sockets that are ready; `transport.poller.Server`."""
        ready, received, sent, others, leftovers = self._table.poll(epoll_fd, events, limit)
        self._traffic.received += received
        self._traffic.sent += sent
        for leftover in leftovers:
            self._proceed(leftover, read=True)
        for fd, reported in others:
            callbacks[fd](fd, reported)
        return ready > 0

    def fire(self, due: list[tuple[int, Paced]]) -> None:
        """Send messages that are due (ns of CLOCK_REALTIME)."""
        descriptors = self._descriptors
        sent, unsent, leftovers = self._table.fire([(due_ns, descriptors.get(paced, -1)) for due_ns, paced in due])
        self._traffic.sent += sent
        for leftover in leftovers:
            self._proceed(leftover, read=False)
        for place in unsent:
            due_ns, paced = due[place]
            paced.fire(due_ns)

    def _proceed(self, leftover: Leftover, *, read: bool) -> None:
        """Go on in the general path."""
        fd, unsent, send_error, read_error, rest, arrived_ns, handled_ns = leftover
        driver, traveller = self._drivers[fd], self._travellers[fd]
        try:
            driver.recall()
            if send_error:
                traveller.refused(unsent, OSError(send_error, os.strerror(send_error)))
            elif unsent:
                traveller.keep(unsent)
            driver.proceed(orderly=not rest)
            if rest:
                traveller.strayed(rest, arrived_ns, handled_ns)
            if read_error:
                traveller.failed(OSError(read_error, os.strerror(read_error)))
            elif read:
                traveller.look_again(len(rest) or 1, arrived_ns, handled_ns)
        except Exception as error:  # the callback's edge
            traveller.failed(error)


def _table(options: RunOptions) -> native.Table:
    size, payload = options.payload_size, options.payload
    window = options.in_flight if options.closed_loop else 0
    first_byte = BINARY if options.binary else TEXT
    if payload is not None:
        return native.Table(size, first_byte, window, options.timeout_ns, payload, False, 1, 1, 1)
    noise, places, stride, period = padding(size)
    return native.Table(size, first_byte, window, options.timeout_ns, noise, True, places, stride, period)
