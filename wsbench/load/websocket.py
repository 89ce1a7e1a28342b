"""A connection as the tasks of a scenario use it: they wait in greenlets, while the hub's callbacks read and measure.

Rules that everything below keeps:
- A reply is matched, and its instants are taken, in the hub's callback that read it: how long a greenlet takes to wake
  up is in no figure.
- Whatever comes answers the oldest request it matches, or else is what the server sent on its own accord (`pushed`).
- A message that asks for no reply is `one_way`. So for every interval: sent - one_way = received - pushed + lost.
- Nothing is sent when the run drains: whoever tries sleeps until Locust stops it.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import gevent
from gevent.event import Event

from wsbench.errors import ConnectError, ConnectionLost, Side, UsageError, WsbenchError
from wsbench.load.engine import Engine
from wsbench.load.message import Match, Message, Sendable, encode, matcher
from wsbench.load.reconnecting import reconnect
from wsbench.load.waiting import Asked, Disconnected, NoReply, TaskFailed, Waiter, being_stopped
from wsbench.measure.histogram import record
from wsbench.measure.recorder import Tally, check_name
from wsbench.units import NS_PER_S, format_duration, format_seconds
from wsbench.wire.connection import Connection
from wsbench.wire.handshake import ConnectOptions

_now = time.time_ns
_UNREAD_KEPT = 10_000
"""Messages that nobody waited for; older ones make room, so that a scenario which never reads needs no more memory."""
_GIVEN_UP_KEPT = 1000
_FOREVER_S = 2.0**31


class WebSocket:
    """One connection of a scenario's. Made by `WebSocketUser.connect`; a context manager that closes it.

    Attributes:
        connection: the open connection underneath; None while there is none.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        options: ConnectOptions | None = None,
        on_open: Callable[[WebSocket], None] | None = None,
        on_message: Callable[[Message], None] | None = None,
    ) -> None:
        """`on_message` gets what nobody waits for, in the hub: it must not wait either."""
        self.connection: Connection | None = None
        self._engine = engine
        self._recorder = engine.recorder
        self._options = options
        self._on_open = on_open
        self._on_message = on_message
        self._timeout_ns = engine.options.timeout_ns
        self._asked: deque[Asked] = deque()
        self._given_up: deque[Asked] = deque(maxlen=_GIVEN_UP_KEPT)
        self._awaiting: list[Waiter] = []
        self._subscribers: list[tuple[Callable[[Message], bool], Callable[[Message], None]]] = []
        self._unread: deque[Message] = deque(maxlen=_UNREAD_KEPT)
        self._pings: dict[bytes, Waiter] = {}
        self._ping_numbers = itertools.count(1)
        self._opening: Any = None
        self._ready = False
        self._closed = False
        self._changed = Event()

    # -- for tasks: to be called from greenlets ----------------------------------------------------------------------

    def send(self, message: Sendable, *, due_ns: int | None = None) -> None:
        """Send a message that asks for no reply of its own. From a callback too, where a full socket drops it.

        Args:
            message: text, bytes, or what becomes JSON.
            due_ns: when it should have left (from `WebSocketUser.ticks`); now, if not given.

        Raises:
            Disconnected: the scenario closed the connection.
        """
        payload, opcode = encode(message)
        sent = self._transmit(payload, opcode, due_ns)
        if sent is not None:
            tally, due, now = sent
            tally.one_way += 1
            record(tally.send_lag, now - due)

    def ask(
        self,
        message: Sendable,
        match: Match = None,
        *,
        name: str = "request",
        timeout_s: float | None = None,
        due_ns: int | None = None,
    ) -> Asked:
        """As `request`, but returns at once: `reply()` of what it returns waits. Without a reply it is lost as well."""
        check_name(name)
        payload, opcode = encode(message)
        asked = Asked(match, name, self._give_up)
        sent = self._transmit(payload, opcode, due_ns)
        if sent is None:
            asked.settle(failure=Disconnected("the socket is full", side=Side.TARGET))
            return asked
        asked.tally, asked.due_ns, asked.sent_ns = sent
        timeout_ns = self._timeout_ns if timeout_s is None else int(timeout_s * NS_PER_S)
        asked.deadline_ns = asked.due_ns + timeout_ns
        asked.tally.round_trips(name).sent(asked.due_ns, asked.sent_ns)
        self._asked.append(asked)
        return asked

    def request(
        self,
        message: Sendable,
        match: Match = None,
        *,
        name: str = "request",
        timeout_s: float | None = None,
        due_ns: int | None = None,
    ) -> Message:
        """Send a message, wait for the reply to it, and measure the round trip under a name.

        Args:
            message: text, bytes, or what becomes JSON.
            match: which message is the reply: a function of a `Message`, members that the reply's JSON has
                (`{"id": 7}`), or None for whatever comes next.
            name: the series in the result, and the line in Locust's statistics.
            timeout_s: a reply later than this is lost; `--timeout` if not given.
            due_ns: when it should have left (from `WebSocketUser.ticks`); now, if not given.

        Raises:
            NoReply: none came in time. It is counted; uncaught, it ends the task and nothing else.
            Disconnected: the connection went meanwhile. The same holds.
        """
        return self.ask(message, match, name=name, timeout_s=timeout_s, due_ns=due_ns).reply()

    def expect(self, match: Match = None, *, timeout_s: float | None = None, name: str | None = None) -> Message:
        """Wait for a message that the server sends on its own accord; one that came unread before will do.

        Args:
            match: as for `request`.
            timeout_s: how long; `--timeout` if not given.
            name: a series for how long it took from this call on.

        Raises:
            NoReply: it did not come in time. It is counted if it has a name.
            Disconnected: the connection went meanwhile.
        """
        if name is not None:
            check_name(name)
        called_ns = _now()
        timeout = self._timeout_ns / NS_PER_S if timeout_s is None else timeout_s
        try:
            message = self._await(match, timeout)
        except NoReply:
            if name is not None:
                self._recorder.turn(_now()).unanswered(name)
            raise
        if name is not None:
            self._recorder.turn(_now()).value(name, max(0, message.arrived_ns - called_ns))
        return message

    def recv(self, timeout_s: float | None = None) -> Message:
        """The next message that answers no request, from those that came unread or when it comes.

        Raises:
            NoReply: none came in time; without `timeout_s` it waits for ever.
            Disconnected: the connection went meanwhile.
        """
        return self._await(None, timeout_s)

    def __iter__(self) -> Iterator[Message]:
        """Messages that answer no request, until the connection ends."""
        while True:
            try:
                yield self.recv()
            except Disconnected:
                return

    def subscribe(self, callback: Callable[[Message], None], match: Match = None) -> None:
        """Have a function called for messages that answer no request, as soon as each is read.

        It is called in the hub: it may `send`, record and count, but must not wait for anything.
        """
        self._subscribers.append((matcher(match), callback))

    def ping(self, *, timeout_s: float | None = None, name: str = "ping") -> int:
        """Send a ping, wait for its pong, and measure that: the round trip in ns.

        Raises:
            NoReply: no pong in time.
            Disconnected: the connection went meanwhile.
        """
        check_name(name)
        connection = self._usable()
        assert connection is not None
        payload = next(self._ping_numbers).to_bytes(8, "big")
        waiter = self._pings[payload] = Waiter(None)
        timeout_ns = self._timeout_ns if timeout_s is None else int(timeout_s * NS_PER_S)
        sent_ns = _now()
        tally = self._recorder.turn(sent_ns)
        connection.ping(payload)
        try:
            if not waiter.wait(timeout_ns / NS_PER_S):
                tally.unanswered(name)
                problem = NoReply(f"no pong within {format_seconds(timeout_ns)}", side=Side.TARGET, kind="no-pong")
                self._engine.count_error(problem)
                raise problem
        finally:
            self._pings.pop(payload, None)
        took = waiter.result().arrived_ns - sent_ns
        tally.value(name, took)
        self._engine.fire_request(took, 0, name=name)
        return took

    def close(self, code: int = 1000, reason: str = "") -> None:
        """The closing handshake. What is under way is lost; `WebSocketUser.connect` opens another."""
        self._closed = True
        self._engine.disconnect(self, code, reason)
        self._engine.release(self)
        self._changed.set()

    @property
    def is_open(self) -> bool:
        """Whether a message could be sent right now."""
        return self.connection is not None and self.connection.is_open

    def __enter__(self) -> WebSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- opening ---------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open it, and let the scenario log in.

        Raises:
            ConnectError: it did not come about; it has been counted.
        """
        self._engine.adopt(self)
        self._opening = gevent.getcurrent()
        try:
            self._engine.connect(self, options=self._options)
            self._opened()
        except ConnectError:
            self._engine.release(self)
            raise
        finally:
            self._opening = None

    def _opened(self) -> None:
        try:
            if self._on_open is not None:
                self._on_open(self)
        except TaskFailed:
            pass  # it has been counted; if the connection went, that is seen to elsewhere
        except Exception as error:
            self._engine.scenario_failed(error)
        self._ready = self.connection is not None
        self._changed.set()

    def _reopen(self, dropped_ns: int) -> None:
        self._opening = gevent.getcurrent()
        try:
            if reconnect(self._engine, self, self._options):
                now = _now()
                self._recorder.turn(now).value("away", now - dropped_ns)
                self._opened()
        finally:
            self._opening = None

    # -- Driver ----------------------------------------------------------------------------------------------------

    @property
    def outstanding(self) -> int:
        """Requests under way."""
        return len(self._asked)

    def attach(self, connection: Connection) -> None:
        """A connection is open."""
        self.connection = connection
        self._unread.clear()
        self._given_up.clear()
        connection.start()

    def expire(self, now_ns: int) -> None:
        """Give up on requests that are overdue."""
        if self._asked:
            for asked in [asked for asked in self._asked if asked.deadline_ns < now_ns]:
                self._give_up(asked)

    def abandon(self) -> None:
        """No more replies will be waited for."""
        self.connection = None
        self._ready = False
        gone = Disconnected("the connection was closed", side=Side.GENERATOR)
        while self._asked:
            self._lose(self._asked.popleft(), gone)
        waiting, self._awaiting = [*self._awaiting, *self._pings.values()], []
        self._pings.clear()
        for waiter in waiting:
            waiter.settle(failure=gone)
        self._changed.set()

    def predicted(self, data: bytes, arrived_ns: int, handled_ns: int) -> int:  # noqa: ARG002 - Receiver's
        """Nothing is known beforehand."""
        return 0

    def message(self, payload: bytes, text: bool, arrived_ns: int, handled_ns: int) -> None:
        """A message came: whose is it?"""
        message = Message(payload, text, arrived_ns, handled_ns)
        while self._asked and self._asked[0].deadline_ns < arrived_ns:
            self._give_up(self._asked[0])
        tally = self._recorder.turn(handled_ns)
        record(tally.read_lag, handled_ns - arrived_ns)
        for asked in self._asked:
            if self._accepts(asked.accepts, message):
                self._replied(asked, message)
                return
        for asked in self._given_up:
            if self._accepts(asked.accepts, message):
                self._given_up.remove(asked)
                tally.late += 1
                return
        self._count_received(tally, message)
        tally.pushed += 1
        self._pushed(message)

    def pong(self, payload: bytes, arrived_ns: int, handled_ns: int) -> None:
        """The answer to a ping of ours, or a pong that nobody asked for."""
        waiter = self._pings.pop(payload, None)
        if waiter is not None:
            waiter.settle(Message(payload, False, arrived_ns, handled_ns))

    def drained(self) -> None:
        """The socket takes data again."""
        self._changed.set()

    def lost(self, error: ConnectionLost) -> None:
        """The connection is gone: so is what was under way, and perhaps it is opened again."""
        self.abandon()
        self._engine.dropped(error)
        if self._engine.options.reconnect and not self._closed:
            gevent.spawn(self._reopen, _now())

    # -- inside ----------------------------------------------------------------------------------------------------

    def _usable(self) -> Connection | None:
        """The open connection, waited for if need be. None only in the hub, which cannot wait."""
        me = gevent.getcurrent()
        in_hub = me is gevent.get_hub()
        while True:
            if not self._recorder.sending:
                self._rest(in_hub)
            connection = self.connection
            if connection is not None and connection.is_open and (self._ready or in_hub or me is self._opening):
                if not connection.full:
                    return connection
            elif self._closed or me is self._opening or being_stopped():
                raise Disconnected("the connection is closed", side=Side.GENERATOR)
            if in_hub:
                return None
            self._changed.clear()
            self._changed.wait()

    @staticmethod
    def _rest(in_hub: bool) -> None:
        """The run is over: a task sleeps until Locust stops it."""
        if in_hub or being_stopped():
            raise Disconnected("the run is over", side=Side.GENERATOR)
        gevent.sleep(_FOREVER_S)

    def _transmit(self, payload: bytes, opcode: int, due_ns: int | None) -> tuple[Tally, int, int] | None:
        """Send: (tally of when it was due, due, sent). None: dropped, and counted as missed."""
        connection = self._usable()
        recorder = self._recorder
        if connection is None:
            now = _now()
            recorder.turn(now).missed += 1
            return None
        data = connection.frame(payload, opcode)
        now = _now()
        connection.write(data)
        due = now if due_ns is None else due_ns
        current = recorder.turn(now)
        tally = current if due >= current.interval[1] else recorder.at(due)
        tally.sent += 1
        tally.payload_sent += len(payload)
        return tally, due, now

    def _accepts(self, accepts: Callable[[Message], bool], message: Message) -> bool:
        try:
            return accepts(message)
        except Exception as error:  # the scenario's own code: gevent would print it, and the message be lost
            self._engine.scenario_failed(error)
            return False

    def _count_received(self, tally: Tally, message: Message) -> None:
        tally.received += 1
        tally.payload_received += len(message.payload)
        if message.arrived_ns == message.handled_ns:
            tally.user_stamped += 1

    def _replied(self, asked: Asked, message: Message) -> None:
        self._asked.remove(asked)
        self._count_received(asked.tally, message)
        asked.tally.round_trips(asked.name).replied(asked.due_ns, asked.sent_ns, message.arrived_ns)
        self._engine.fire_request(message.arrived_ns - asked.due_ns, len(message.payload), name=asked.name)
        message._on_fail = lambda reason: self._failed(asked, reason)
        asked.settle(message)

    def _failed(self, asked: Asked, reason: str) -> None:
        asked.tally.corrupted += 1
        what = f"{asked.name}: {reason}"
        self._engine.count_error(WsbenchError(what, side=Side.TARGET, kind=f"check-{asked.name}"))

    def _give_up(self, asked: Asked) -> None:
        if asked not in self._asked:
            return
        self._asked.remove(asked)
        self._given_up.append(asked)
        waited = format_duration(asked.deadline_ns - asked.due_ns)
        self._lose(asked, NoReply(f"{asked.name}: no reply within {waited}", side=Side.TARGET))

    def _lose(self, asked: Asked, failure: TaskFailed) -> None:
        asked.tally.lost += 1
        asked.tally.round_trips(asked.name).lost += 1
        self._engine.fire_request(None, 0, "lost", asked.name)
        asked.settle(failure=failure)

    def _pushed(self, message: Message) -> None:
        for waiter in self._awaiting:
            if self._accepts(waiter.accepts, message):
                self._awaiting.remove(waiter)
                waiter.settle(message)
                return
        taken = False
        for accepts, callback in self._subscribers:
            if self._accepts(accepts, message):
                self._call(callback, message)
                taken = True
        if taken:
            return
        if self._on_message is not None:
            self._call(self._on_message, message)
        else:
            self._unread.append(message)

    def _call(self, callback: Callable[[Message], None], message: Message) -> None:
        try:
            callback(message)
        except TaskFailed:
            pass
        except Exception as error:  # the scenario's own code
            self._engine.scenario_failed(error)

    def _await(self, match: Match, timeout_s: float | None) -> Message:
        if gevent.getcurrent() is gevent.get_hub():
            raise UsageError("a callback must not wait for a message", remedy="Wait in a task, or gevent.spawn one.")
        waiter = Waiter(match)
        for message in self._unread:
            if self._accepts(waiter.accepts, message):
                self._unread.remove(message)
                return message
        self._usable()
        self._awaiting.append(waiter)
        try:
            if not waiter.wait(timeout_s):
                raise NoReply(f"no such message within {timeout_s:g} s", side=Side.TARGET)
        finally:
            if waiter in self._awaiting:
                self._awaiting.remove(waiter)
        return waiter.result()
