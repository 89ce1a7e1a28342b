"""The echo drivers: what one connection does, message by message, in hub callbacks.

This is the hot path. Pending messages are bare tuples, a reply that equals what was predicted is never parsed, and it
is counted with others in one go (`Tally.replies`). Everything unusual leaves through `message`.

A message remembers the tally of the interval in which it was due; whatever becomes of it is counted there.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from gevent.event import Event

from wsbench.errors import ConnectionLost
from wsbench.measure.histogram import record
from wsbench.measure.ledger import Ledger, Pending, Verdict
from wsbench.measure.message import FixedMessages, JsonMessages, Messages
from wsbench.measure.recorder import Recorder
from wsbench.measure.tally import LOOSE_MOST, pack_reply
from wsbench.wire.connection import Answer, Connection
from wsbench.wire.frames import BINARY, TEXT

if TYPE_CHECKING:
    from wsbench.load.engine import Engine

_now = time.time_ns
_BACKLOG = 1000
"""Messages that may wait behind one full socket; what falls off is counted as missed."""


class EchoDriver(ABC):
    """Sends messages on one connection and accounts for every reply.

    Attributes:
        connection: the open connection; None before, between and after.
        dropped: set when the connection is lost; whoever reconnects clears it.
    """

    __slots__ = (
        "_engine",
        "_events",
        "_frames",
        "_ledger",
        "_messages",
        "_opcode",
        "_open_loop",
        "_pending",
        "_recorder",
        "_size",
        "_timeout_ns",
        "connection",
        "dropped",
    )
    waited_for = False

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
        self._ledger = Ledger(self._messages, text=text)
        self._pending = self._ledger.pending
        self._frames: Iterator[tuple[bytes, bytes]] = iter(())
        self._events = options.request_events
        self._open_loop = not options.closed_loop
        self.connection: Connection | None = None
        self.dropped = Event()

    # -- life ------------------------------------------------------------------------------------------------------

    def attach(self, connection: Connection) -> None:
        """A connection is open: begin."""
        self.connection = connection
        self._ledger.reconnected()
        self._prepare(connection)
        connection.start()
        self._begin()

    @abstractmethod
    def retire(self) -> None:
        """Its user is stopped while the run goes on: no message of it is due any more."""

    def _prepare(self, connection: Connection) -> None:
        """What is sent next on this connection, and what answers it."""
        payloads = self._messages.onwards(self._ledger.last_seq + 1)
        self._frames = connection.frames(payloads, self._size, self._opcode)

    @property
    def outstanding(self) -> int:
        """Messages under way."""
        return self._ledger.outstanding

    def expire(self, now_ns: int) -> None:
        """Give up on what is overdue."""
        if self._give_up(now_ns - self._timeout_ns):
            self._refill()

    def abandon(self) -> None:
        """No more replies will be waited for."""
        self.connection = None
        self._lose(self._ledger.abandon())

    @abstractmethod
    def fire(self, due_ns: int) -> None:
        """The schedule says: send now."""

    def miss(self, due_ns: int) -> None:
        """The generator did not get round to the schedule's message in time."""
        self._miss(due_ns, overdue=1)

    def _miss(self, due_ns: int, *, overdue: int = 0) -> None:
        if due_ns < self._recorder.plan.drain_ns:
            tally = self._recorder.at(due_ns)
            tally.missed += 1
            if overdue:
                tally.extra["overdue"] = tally.extra.get("overdue", 0) + overdue

    @abstractmethod
    def _begin(self) -> None:
        """The connection has just opened."""

    @abstractmethod
    def _refill(self) -> None:
        """Room was made: replies came, messages were given up, or a full socket drained."""

    # -- Receiver --------------------------------------------------------------------------------------------------

    def answering(self) -> Answer | None:
        """See Receiver."""
        return None

    def predicted(self, data: bytes, stamp: bytes, handled_ns: int) -> int:
        """Count the replies at the head of `data` that are just what was expected; how many bytes they take."""
        if self._events:
            return 0
        pending, timeout = self._pending, self._timeout_ns
        offset, whole = 0, len(data)
        while offset < whole and pending:
            expected, due, sent, _, tally = pending[0]
            # Handled in time, it has come in time; otherwise `message` looks when it came.
            if handled_ns - due > timeout or not data.startswith(expected, offset):
                break
            pending.popleft()
            offset += len(expected)
            replies = tally.replies
            replies.append(pack_reply(stamp, due, sent, handled_ns))
            if len(replies) >= LOOSE_MOST:
                tally.gather_replies()
        if offset:
            self._refill()
        return offset

    def message(self, payload: bytes, text: bool, arrived_ns: int, handled_ns: int) -> None:
        """A reply that was not predicted, or could not be: settle it with the ledger."""
        self._give_up(arrived_ns - self._timeout_ns)
        verdict, entry = self._ledger.settle(payload, text)
        if entry is None:
            tally = self._recorder.turn(handled_ns)
            name = verdict.value
            setattr(tally, name, getattr(tally, name) + 1)
            return
        _, due, sent, _, tally = entry
        tally.received += 1
        tally.payload_received += len(payload)
        if verdict is Verdict.CORRUPTED:
            tally.corrupted += 1
        elif verdict is Verdict.REORDERED:
            tally.reordered += 1
        if arrived_ns == handled_ns:
            tally.user_stamped += 1
        record(tally.service, arrived_ns - sent)
        record(tally.read_lag, handled_ns - arrived_ns)
        if self._open_loop:
            record(tally.response, arrived_ns - due)
            record(tally.send_lag, sent - due)
        if self._events:
            problem = "corrupted" if verdict is Verdict.CORRUPTED else None
            self._engine.fire_request(arrived_ns - due, len(payload), problem)
        self._refill()

    def pong(self, payload: bytes, arrived_ns: int, handled_ns: int) -> None:  # noqa: B027 - nobody pings here
        """Nothing was asked."""

    def drained(self) -> None:
        """The socket takes data again."""
        self._refill()

    def lost(self, error: ConnectionLost) -> None:
        """The connection is gone: so are the messages under way."""
        self.abandon()
        self._engine.dropped(error)
        self.dropped.set()

    def _give_up(self, due_before_ns: int) -> bool:
        """Whether there was anything to give up: it is asked of every connection, again and again."""
        pending, ledger = self._pending, self._ledger
        if (pending and pending[0][1] < due_before_ns) or ledger.overtaken:
            self._lose(ledger.expire(due_before_ns))
            return True
        return False

    # -- counting --------------------------------------------------------------------------------------------------

    def _lose(self, entries: list[Pending]) -> None:
        for _, due, sent, _, tally in entries:
            tally.lost += 1
            if self._open_loop:
                record(tally.send_lag, sent - due)
            if self._events:
                self._engine.fire_request(None, 0, "lost")


class ClosedLoop(EchoDriver):
    """A fixed window of messages under way; the next one leaves when a reply comes. Due when sent."""

    __slots__ = ("_window",)

    def __init__(self, engine: Engine, connection_id: int) -> None:
        super().__init__(engine, connection_id)
        self._window = engine.options.in_flight

    def retire(self) -> None:
        """No reply is followed by another message."""
        self._window = 0

    def _begin(self) -> None:
        self._refill()

    def fire(self, due_ns: int) -> None:
        """A closed loop has no schedule."""
        raise NotImplementedError

    def _refill(self) -> None:
        connection, ledger = self.connection, self._ledger
        if connection is None or connection.full or not self._recorder.sending:
            return
        room = self._window - len(self._pending) - len(ledger.overtaken)
        if room == 1:
            self._send_one(connection, ledger)
        elif room > 1:
            self._send_many(connection, ledger, room)

    def _send_one(self, connection: Connection, ledger: Ledger) -> None:
        recorder = self._recorder
        expected, frame = next(self._frames)
        now = _now()
        if now >= recorder.boundary_ns:
            recorder.turn(now)
            if not recorder.sending:
                self._prepare(connection)
                return
        tally = recorder.current
        seq = ledger.last_seq = ledger.last_seq + 1
        self._pending.append((expected, now, now, seq, tally))
        tally.echoes += 1
        connection.write(frame)

    def _send_many(self, connection: Connection, ledger: Ledger, count: int) -> None:
        """As `_send_one`, for several at once: they share an instant and a system call."""
        recorder = self._recorder
        ready = list(islice(self._frames, count))
        data = b"".join([frame for _, frame in ready])
        now = _now()
        if now >= recorder.boundary_ns:
            recorder.turn(now)
            if not recorder.sending:
                self._prepare(connection)
                return
        tally = recorder.current
        seq = ledger.last_seq + 1
        self._pending.extend([(expected, now, now, n, tally) for n, (expected, _) in enumerate(ready, seq)])
        ledger.last_seq += count
        tally.echoes += count
        connection.write(data)


class OneInFlight(ClosedLoop):
    """A window of one, the commonest load of all: the short way does what the general case does in three methods.

    It does nothing else, only with half the bytecode; whatever is not the one reply expected goes the long way.
    """

    __slots__ = ()

    def answering(self) -> Answer:
        """See Receiver. What does not change is given as defaults, for the reason that `Connection._reading` has."""
        assert self.connection is not None

        def answer(
            data: bytes,
            stamp: bytes,
            handled_ns: int,
            self: OneInFlight = self,
            pending: deque[Pending] = self._pending,
            ledger: Ledger = self._ledger,
            recorder: Recorder = self._recorder,
            connection: Connection = self.connection,
            timeout_ns: int = self._timeout_ns,
            now: Callable[[], int] = _now,
        ) -> bytes | None:
            if not pending or not recorder.sending or not self._window:
                return None
            expected, sent_ns, _, seq, tally = pending[0]
            if data != expected or handled_ns - sent_ns > timeout_ns:
                return None
            replies = tally.replies
            replies.append(pack_reply(stamp, sent_ns, sent_ns, handled_ns))
            if len(replies) >= LOOSE_MOST:
                tally.gather_replies()
            expected, frame = next(self._frames)
            sent_ns = now()
            if sent_ns >= recorder.boundary_ns:
                recorder.turn(sent_ns)
                if not recorder.sending:
                    pending.clear()
                    self._prepare(connection)
                    return b""
            tally = recorder.current
            seq += 1
            ledger.last_seq = seq
            pending[0] = (expected, sent_ns, sent_ns, seq, tally)
            tally.echoes += 1
            return frame

        return answer


class OpenLoop(EchoDriver):
    """Messages leave when they are due, whether or not replies came."""

    __slots__ = ("_retired", "_waiting")

    def __init__(self, engine: Engine, connection_id: int) -> None:
        super().__init__(engine, connection_id)
        self._waiting: deque[int] = deque()
        self._retired = False

    def retire(self) -> None:
        """What the schedule still says is ignored."""
        self._retired = True

    def _begin(self) -> None:
        assert self._engine.options.rate is not None
        self._engine.pace(self, self._engine.options.rate)

    def answering(self) -> Answer | None:
        """See Receiver. Nothing is sent in answer; but a reply to be counted comes most often alone."""
        if self._events:
            return None

        def answer(
            data: bytes,
            stamp: bytes,
            handled_ns: int,
            pending: deque[Pending] = self._pending,
            timeout_ns: int = self._timeout_ns,
        ) -> bytes | None:
            if not pending:
                return None
            expected, due_ns, sent_ns, _, tally = pending[0]
            if data != expected or handled_ns - due_ns > timeout_ns:
                return None
            pending.popleft()
            replies = tally.replies
            replies.append(pack_reply(stamp, due_ns, sent_ns, handled_ns))
            if len(replies) >= LOOSE_MOST:
                tally.gather_replies()
            return b""

        return answer

    def fire(self, due_ns: int) -> None:
        """Send one message, or note why it cannot be."""
        recorder, connection = self._recorder, self.connection
        if due_ns >= recorder.boundary_ns:
            recorder.turn(due_ns)
        if self._retired or (not recorder.sending and due_ns >= recorder.plan.drain_ns):
            return
        if connection is None:
            self._miss(due_ns)
            return
        if connection.full or self._waiting:
            self._waiting.append(due_ns)
            if len(self._waiting) > _BACKLOG:
                self._miss(self._waiting.popleft())
            return
        self._send(connection, due_ns)

    def _send(self, connection: Connection, due_ns: int) -> None:
        recorder, ledger = self._recorder, self._ledger
        tally = recorder.current
        if due_ns < tally.interval[1]:
            tally = recorder.at(due_ns)
        seq = ledger.last_seq = ledger.last_seq + 1
        expected, frame = next(self._frames)
        now = _now()
        self._pending.append((expected, due_ns, now, seq, tally))
        tally.echoes += 1
        connection.write(frame)

    def _refill(self) -> None:
        connection, waiting = self.connection, self._waiting
        while waiting and connection is not None and not connection.full:
            self._send(connection, waiting.popleft())

    def abandon(self) -> None:
        """What waited behind a full socket will not be sent either."""
        while self._waiting:
            self._miss(self._waiting.popleft())
        super().abandon()


def driver_for(engine: Engine) -> EchoDriver:
    """A driver of the kind that the options ask for."""
    options = engine.options
    kind: type[EchoDriver] = OpenLoop
    if options.closed_loop:
        # Whoever wants an event for every message does not get them predicted.
        kind = OneInFlight if options.in_flight == 1 and not options.request_events else ClosedLoop
    driver = kind(engine, engine.new_id())
    engine.adopt(driver)
    return driver
