"""Common part of the echo drivers: accounting for the replies of one connection, in hub callbacks.

Every reply that the native path does not take comes here, so this is hot, too. Messages in flight are bare tuples, and
replies that equal the predicted bytes are not parsed. All others are parsed and arrive through `message`.

A message keeps the tally of the interval in which it was due; its reply or loss is counted there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from wsbench.errors import ConnectionLost
from wsbench.measure.histogram import record
from wsbench.measure.payloads import FixedMessages, JsonMessages, Messages
from wsbench.measure.reply_difference import Payload
from wsbench.measure.tally import Tally
from wsbench.measure.verifier import EchoVerifier, Pending, ReplyStatus
from wsbench.transport.connection import Connection
from wsbench.transport.shortway import Way
from wsbench.websocket.frames import BINARY, TEXT

if TYPE_CHECKING:
    from wsbench.worker.engine import Engine

NO_FRAMES: Iterator[tuple[bytes, bytes]] = iter(())
_WRONG = (ReplyStatus.CORRUPTED, ReplyStatus.UNEXPECTED)


class EchoDriver(ABC):
    """Sends messages on one connection and accounts for every reply.

    Attributes:
        on_dropped: called when the connection is dropped, on the hub.
    """

    __slots__ = (
        "_engine",
        "_events",
        "_frames",
        "_messages",
        "_opcode",
        "_open_loop",
        "_pending",
        "_recorder",
        "_size",
        "_timeout_ns",
        "_verifier",
        "connection",
        "on_dropped",
    )
    has_waiters = False

    def __init__(self, engine: Engine, connection_id: int) -> None:
        options = engine.options
        self._engine = engine
        self._recorder = engine.recorder
        text = not options.binary
        self._opcode = TEXT if text else BINARY
        self._timeout_ns = options.timeout_ns
        self._size = options.payload_size
        self._messages: Messages = (
            FixedMessages(options.payload)
            if options.payload is not None
            else JsonMessages(connection_id, options.payload_size)
        )
        self._verifier = EchoVerifier(self._messages, text=text)
        self._pending = self._verifier.pending
        self._frames = NO_FRAMES
        self._events = options.request_events
        self._open_loop = not options.closed_loop
        self.connection: Connection | None = None
        self.on_dropped: Callable[[], None] = _nothing

    # -- life ------------------------------------------------------------------------------------------------------

    def attach(self, connection: Connection) -> None:
        self.connection = connection
        self._verifier.reconnected()
        self._prepare(connection)
        connection.start()
        self._refill()

    @abstractmethod
    def retire(self) -> None:
        """Send no more messages: the user is stopped while the run goes on."""

    def _prepare(self, connection: Connection) -> None:
        """Predict the frames to send next on this connection, and their replies."""
        payloads = self._messages.onwards(self._verifier.last_seq + 1)
        self._frames = connection.frames(payloads, self._size, self._opcode)

    @property
    def outstanding(self) -> int:
        return self._verifier.outstanding

    def expire(self, now_ns: int) -> int:
        if self._give_up(now_ns - self._timeout_ns):
            self._refill()
        return self._verifier.oldest_due_ns(now_ns) + self._timeout_ns

    def resume(self) -> None:  # noqa: B027 - for closed loops only
        pass

    def abandon(self) -> None:
        self.connection = None
        self._lose(self._verifier.abandon())

    @abstractmethod
    def _refill(self) -> None:
        """Send what has room now: replies arrived, messages were given up, or a full socket drained."""

    # -- Receiver --------------------------------------------------------------------------------------------------

    def short_way(self, fd: int) -> Way | None:  # noqa: ARG002 - Receiver's
        return None

    def predicted(self, data: bytes, arrived_ns: int, handled_ns: int) -> int:
        """Count the replies at the head of `data` that equal the expected ones; return their size in bytes."""
        if self._events:
            return 0
        pending, timeout = self._pending, self._timeout_ns
        offset, whole = 0, len(data)
        while offset < whole and pending:
            expected, due, sent, _, tally = pending[0]
            # Handled in time implies arrived in time; otherwise `message` compares the arrival.
            if handled_ns - due > timeout or not data.startswith(expected, offset):
                break
            pending.popleft()
            offset += len(expected)
            tally.count_reply(self._size, due, sent, arrived_ns, handled_ns)
        if offset:
            self._refill()
        return offset

    def message(self, payload: bytes, text: bool, arrived_ns: int, handled_ns: int) -> None:
        """Match a reply that was not predicted."""
        made_room = self._give_up(arrived_ns - self._timeout_ns)
        status, entry = self._verifier.match(payload, text)
        if status is not ReplyStatus.RECEIVED:
            self._keep_example(status, entry, Payload(payload, text))
        if entry is None:
            _count(self._recorder.advance(handled_ns), status)
            if made_room:
                self._refill()
            return
        _, due, sent, _, tally = entry
        tally.count_reply(len(payload), due, sent, arrived_ns, handled_ns)
        if status is not ReplyStatus.RECEIVED:
            _count(tally, status)
        if self._events:
            problem = "corrupted" if status is ReplyStatus.CORRUPTED else None
            self._engine.fire_request(arrived_ns - due, len(payload), problem)
        self._refill()

    def _keep_example(self, status: ReplyStatus, answered: Pending | None, reply: Payload) -> None:
        examples = self._engine.examples
        if status in _WRONG and examples.lacks(status.value):
            examples.keep(status.value, self._verifier.awaited(answered), reply)

    def pong(self, payload: bytes, arrived_ns: int, handled_ns: int) -> None:  # noqa: B027 - echo users send no ping
        pass

    def drained(self) -> None:
        self._refill()

    def dropped(self, error: ConnectionLost) -> None:
        self.abandon()
        self._engine.connections.count_dropped(self, error)
        self.on_dropped()

    def _give_up(self, due_before_ns: int) -> bool:
        """Give up overdue messages; return whether there may have been any. Called often for every connection."""
        pending, verifier = self._pending, self._verifier
        if (pending and pending[0][1] < due_before_ns) or verifier.overtaken:
            self._lose(verifier.expire(due_before_ns))
            return True
        return False

    def _lose(self, entries: list[Pending]) -> None:
        for _, due, sent, _, tally in entries:
            tally.lost += 1
            if self._open_loop:
                record(tally.send_lag, sent - due)
            if self._events:
                self._engine.fire_request(None, 0, "lost")


def _nothing() -> None:
    pass


def _count(tally: Tally, status: ReplyStatus) -> None:
    setattr(tally, status.value, getattr(tally, status.value) + 1)
