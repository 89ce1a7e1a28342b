"""The echo drivers: what one connection does, message by message, in hub callbacks.

This is the hot path. Buckets are counted in place (`measure.histogram.bucket_key` spelled out), pending messages are
bare tuples, and a reply that equals what was predicted is never parsed. Everything unusual leaves through `message`.

A message remembers the tally of the interval in which it was due; whatever becomes of it is counted there.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING

from gevent.event import Event

from wsbench.errors import ConnectionLost
from wsbench.measure.histogram import record
from wsbench.measure.ledger import Ledger, Pending, Verdict
from wsbench.measure.message import FixedMessages, JsonMessages, Messages
from wsbench.wire.connection import Connection
from wsbench.wire.frames import BINARY, TEXT, server_frame

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
        self._build = self._messages.build
        self._ledger = Ledger(self._messages, text=text)
        self._pending = self._ledger.pending
        self._header = server_frame(bytes(self._size), self._opcode)[: -self._size]
        self._events = options.request_events
        self._open_loop = not options.closed_loop
        self.connection: Connection | None = None
        self.dropped = Event()

    # -- life ------------------------------------------------------------------------------------------------------

    def attach(self, connection: Connection) -> None:
        """A connection is open: begin."""
        self.connection = connection
        self._ledger.reconnected()
        connection.start()
        self._begin()

    @abstractmethod
    def retire(self) -> None:
        """Its user is stopped while the run goes on: no message of it is due any more."""

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

    def predicted(self, data: bytes, arrived_ns: int, handled_ns: int) -> int:
        """Count the replies at the head of `data` that are just what was expected; how many bytes they take."""
        if self._events:
            return 0
        pending, open_loop = self._pending, self._open_loop
        size, timeout = self._size, self._timeout_ns
        value = handled_ns - arrived_ns
        shift = value.bit_length() - 11
        lag_key = (shift << 11) | (value >> shift) if shift > 0 else value
        offset, whole = 0, len(data)
        while offset < whole and pending:
            entry = pending.popleft()
            expected, due, sent, _, tally = entry
            value = arrived_ns - due
            if value > timeout or not data.startswith(expected, offset):
                pending.appendleft(entry)
                break
            offset += len(expected)
            if open_loop:
                shift = value.bit_length() - 11
                key = (shift << 11) | (value >> shift) if shift > 0 else value
                buckets = tally.response
                buckets[key] = buckets.get(key, 0) + 1
                value = arrived_ns - sent
            shift = value.bit_length() - 11
            key = (shift << 11) | (value >> shift) if shift > 0 else value
            buckets = tally.service
            buckets[key] = buckets.get(key, 0) + 1
            buckets = tally.read_lag
            buckets[lag_key] = buckets.get(lag_key, 0) + 1
            tally.received += 1
            tally.payload_received += size
            if arrived_ns == handled_ns:
                tally.user_stamped += 1
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
        for entry in entries:
            entry[4].lost += 1
            if self._events:
                self._engine.fire_request(None, 0, "lost")


class ClosedLoop(EchoDriver):
    """A fixed window of messages under way; the next one leaves when a reply comes. Due when sent."""

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
        if connection is None or connection.full:
            return
        room = self._window - len(self._pending) - len(ledger.overtaken)
        if room == 1:
            self._send_one(connection, ledger)
        elif room > 1:
            self._send_many(connection, ledger, room)

    def _send_one(self, connection: Connection, ledger: Ledger) -> None:
        recorder = self._recorder
        seq = ledger.last_seq + 1
        payload = self._build(seq)
        data = connection.frame(payload, self._opcode)
        expected = self._header + payload if connection.plain else payload
        now = _now()
        if now >= recorder.boundary_ns:
            recorder.turn(now)
        if not recorder.sending:
            return
        tally = recorder.current
        self._pending.append((expected, now, now, seq, tally))
        ledger.last_seq = seq
        tally.sent += 1
        tally.payload_sent += self._size
        connection.write(data)

    def _send_many(self, connection: Connection, ledger: Ledger, count: int) -> None:
        """As `_send_one`, for several at once: they share an instant and a system call."""
        recorder, opcode, frame = self._recorder, self._opcode, connection.frame
        seq = ledger.last_seq + 1
        payloads = list(map(self._build, range(seq, seq + count)))
        data = b"".join([frame(payload, opcode) for payload in payloads])
        header = self._header if connection.plain else b""
        now = _now()
        if now >= recorder.boundary_ns:
            recorder.turn(now)
        if not recorder.sending:
            return
        tally = recorder.current
        self._pending.extend([(header + payload, now, now, n, tally) for n, payload in enumerate(payloads, seq)])
        ledger.last_seq += count
        tally.sent += count
        tally.payload_sent += count * self._size
        connection.write(data)


class OpenLoop(EchoDriver):
    """Messages leave when they are due, whether or not replies came."""

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
        payload = self._build(seq)
        frame = connection.frame(payload, self._opcode)
        expected = self._header + payload if connection.plain else payload
        now = _now()
        value = now - due_ns
        shift = value.bit_length() - 11
        key = (shift << 11) | (value >> shift) if shift > 0 else value
        buckets = tally.send_lag
        buckets[key] = buckets.get(key, 0) + 1
        self._pending.append((expected, due_ns, now, seq, tally))
        tally.sent += 1
        tally.payload_sent += self._size
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
    kind: type[EchoDriver] = ClosedLoop if engine.options.closed_loop else OpenLoop
    driver = kind(engine, engine.new_id())
    engine.adopt(driver)
    return driver
