"""A scenario's connection as its tasks use it: here greenlets wait, while `load.channel` reads and measures.

Whoever wants to send waits until the connection is open, and the scenario has logged in on it. Nothing is sent once the
run drains: whoever tries sleeps until Locust stops it.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import gevent

from wsbench.errors import ConnectError, ConnectionLost, Side, UsageError
from wsbench.measure.histogram import record
from wsbench.measure.series import check_name
from wsbench.measure.tally import Tally
from wsbench.transport.connection import Connection
from wsbench.units import NS_PER_S, format_seconds
from wsbench.users.dispatcher import Channel, Decoder
from wsbench.users.message import Match, Message, Sendable, encode, matcher
from wsbench.users.pending_request import Asked, Disconnected, NoReply, TaskFailed, Waiter, being_stopped, in_hub
from wsbench.websocket.handshake import ConnectOptions
from wsbench.worker.engine import Engine
from wsbench.worker.reconnect import reconnect

_now = time.time_ns
_FOREVER_S = 2.0**31


class WebSocket(Channel):
    """One connection of a scenario's. Made by `WebSocketUser.connect`; a context manager that closes it."""

    def __init__(
        self,
        engine: Engine,
        *,
        options: ConnectOptions | None = None,
        on_open: Callable[[WebSocket], None] | None = None,
        on_drop: Callable[[WebSocket, ConnectionLost], None] | None = None,
        on_message: Callable[[Message], None] | None = None,
        decoder: Callable[[WebSocket], Decoder] | None = None,
    ) -> None:
        """`on_message` gets what nobody waits for, in the hub: it must not wait either; nor must `on_drop`."""
        super().__init__(engine, on_message, None if decoder is None else lambda: decoder(self))
        self._options = options
        self._on_open = on_open
        self._on_drop = on_drop
        self._timeout_ns = engine.options.timeout_ns
        self._ping_numbers = itertools.count(1)
        self._opening: Any = None

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
        _may_wait()
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
                self._recorder.advance(_now()).unanswered(name)
            raise
        if name is not None:
            self._recorder.advance(_now()).value(name, max(0, message.arrived_ns - called_ns))
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

        It is called in the hub: it may `send`, record and count, but must not wait for anything. Subscribed again, as
        `on_open` does after every reconnection, it is called once all the same.
        """
        self._subscribers = [known for known in self._subscribers if known[1] != callback]
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
        connection.ping(payload)
        try:
            if not waiter.wait(timeout_ns / NS_PER_S):
                self._recorder.tally_at(sent_ns).unanswered(name)
                problem = NoReply(f"no pong within {format_seconds(timeout_ns)}", side=Side.TARGET, kind="no-pong")
                self._engine.count_error(problem)
                raise problem
        finally:
            self._pings.pop(payload, None)
        took = waiter.result().arrived_ns - sent_ns
        self._recorder.tally_at(sent_ns).value(name, took)
        self._engine.fire_request(took, 0, name=name)
        return took

    def close(self, code: int = 1000, reason: str = "") -> None:
        """The closing handshake. What is under way is lost; `WebSocketUser.connect` opens another."""
        self._closed = True
        self._engine.disconnect(self, code, reason)
        self._engine.unregister(self)
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
        self._engine.register(self)
        try:
            self._engine.connect(self, options=self._options)
        except ConnectError:
            self._engine.unregister(self)
            raise
        self._opened()

    def _opened(self) -> None:
        opened, me = self.connection, gevent.getcurrent()
        self._opening = me
        try:
            if self._on_open is not None:
                self._on_open(self)
        except TaskFailed as error:
            if self.connection is opened:  # if not, the connection went, which is counted and seen to elsewhere
                self._engine.count_error(error)
        except Exception as error:
            self._engine.scenario_failed(error)
        if self._opening is me:  # or it was dropped meanwhile, and somebody else has opened it again
            self._opening = None
            if self.connection is opened is not None:
                self._make_ready()

    def _reopen(self, dropped_ns: int) -> None:
        if reconnect(self._engine, self, self._options, wanted=lambda: not self._closed):
            if self._closed:  # while it was being opened
                self._engine.disconnect(self)
                return
            now = _now()
            self._recorder.advance(now).value("away", now - dropped_ns)
            self._opened()

    def dropped(self, error: ConnectionLost) -> None:
        """The connection is gone; the scenario is told, and perhaps it is opened again."""
        super().dropped(error)
        if self._on_drop is not None:
            self._call(self._on_drop, self, error)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _usable(self, *, to_send: bool = True) -> Connection | None:
        """The open connection, waited for if need be. None only in the hub, which cannot wait."""
        me, called_back = gevent.getcurrent(), in_hub()
        while True:
            if not self._recorder.sending:
                self._rest(called_back)
            connection = self.connection
            if connection is not None and connection.is_open and (self._ready or called_back or me is self._opening):
                if not (to_send and connection.full):
                    return connection
            elif self._closed or me is self._opening or being_stopped():
                raise Disconnected("the connection is closed", side=Side.GENERATOR)
            if called_back:
                return None
            self._changed.clear()
            self._changed.wait()

    @staticmethod
    def _rest(called_back: bool) -> None:
        """The run is over: a task sleeps until Locust stops it."""
        if called_back or being_stopped():
            raise Disconnected("the run is over", side=Side.GENERATOR)
        gevent.sleep(_FOREVER_S)

    def _transmit(self, payload: bytes, opcode: int, due_ns: int | None) -> tuple[Tally, int, int] | None:
        """Send: (tally of when it was due, due, sent). None: dropped, and counted as missed."""
        connection = self._usable()
        recorder = self._recorder
        if connection is None:
            now = _now()
            recorder.advance(now).missed += 1
            return None
        data = connection.frame(payload, opcode)
        now = _now()
        connection.write(data)
        due = now if due_ns is None else due_ns
        current = recorder.advance(now)
        tally = current if due >= current.interval[1] else recorder.tally_at(due)
        tally.sent += 1
        tally.payload_sent += len(payload)
        return tally, due, now

    def _await(self, match: Match, timeout_s: float | None) -> Message:
        _may_wait()
        waiter = Waiter(match)
        for message in self._unread:
            if self._accepts(waiter.accepts, message):
                self._unread.remove(message)
                return message
        self._usable(to_send=False)
        self._awaiting.append(waiter)
        try:
            if not waiter.wait(timeout_s):
                raise NoReply(f"no such message within {timeout_s:g} s", side=Side.TARGET)
        finally:
            if waiter in self._awaiting:
                self._awaiting.remove(waiter)
        return waiter.result()


def _may_wait() -> None:
    """Refuse before anything is sent whose reply nobody would take."""
    if in_hub():
        raise UsageError("a callback must not wait for a message", remedy="Wait in a task, or gevent.spawn one.")
