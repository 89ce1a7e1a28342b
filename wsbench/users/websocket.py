"""A scenario's connection as its tasks use it: greenlets wait here, while `users.dispatcher` reads and measures.

A task that sends waits until the connection is open and `on_open` has returned. Nothing is sent once the run drains: a
task that tries to send then sleeps until Locust stops it.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import gevent

from wsbench.errors import ConnectError, ConnectionLost, Side, UsageError
from wsbench.measure.histogram import record
from wsbench.measure.tally import Tally
from wsbench.run import scenario_values
from wsbench.transport.connection import Connection
from wsbench.units import NS_PER_S, format_seconds
from wsbench.users.dispatcher import Decoder, MessageDispatcher
from wsbench.users.message import Match, Message, Sendable, encode, matcher
from wsbench.users.pending_request import (
    Disconnected,
    NoReply,
    PendingRequest,
    TaskFailed,
    Waiter,
    being_stopped,
    in_hub,
)
from wsbench.websocket.connect_options import ConnectOptions
from wsbench.worker.engine import Engine

_now = time.time_ns
_FOREVER_S = 2.0**31


class WebSocket(MessageDispatcher):
    """One connection of a scenario, made by `WebSocketUser.connect`. A context manager that closes it."""

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
        """`on_message` (for messages that nothing waits for) and `on_drop` are called in the hub and must not wait."""
        super().__init__(engine, on_message, None if decoder is None else lambda: decoder(self))
        self._options = options
        self._on_open = on_open
        self._on_drop = on_drop
        self._timeout_ns = engine.options.timeout_ns
        self._ping_numbers = itertools.count(1)
        self._opening: Any = None

    # -- for tasks: to be called from greenlets ----------------------------------------------------------------------

    def send(self, message: Sendable, *, due_ns: int | None = None, count: str | None = None) -> None:
        """Send a message that expects no reply. Callbacks may send too; there a full socket drops the message.

        `message`, `due_ns` and `count` are as for `request`. Raise Disconnected if the scenario closed the connection.
        """
        payload, opcode = encode(message)
        if (sent := self._transmit(payload, opcode, due_ns, count)) is not None:
            self._count_one_way(*sent)

    def answer(self, message: Sendable) -> None:
        """Send, from a callback, a reply that a protocol on top requires, as to a heartbeat; also in the drain.

        A connection that is not open or whose socket is full gets none.
        """
        connection = self.connection
        if connection is not None and connection.is_open and not connection.full:
            self._count_one_way(*self._write(connection, *encode(message), None, None))

    def send_request(
        self,
        message: Sendable,
        match: Match = None,
        *,
        name: str = "request",
        timeout_s: float | None = None,
        due_ns: int | None = None,
        count: str | None = None,
    ) -> PendingRequest:
        """Send a request and return without waiting; `reply()` of the result waits. Arguments as for `request`."""
        name, timeout_ns = scenario_values.name_of(name), self._timeout_of(timeout_s)
        payload, opcode = encode(message)
        request = PendingRequest(match, name, self._give_up)
        sent = self._transmit(payload, opcode, due_ns, count)
        if sent is None:
            request.resolve(failure=Disconnected("the socket is full", side=Side.TARGET))
            return request
        request.tally, request.due_ns, request.sent_ns = sent
        request.deadline_ns = request.due_ns + timeout_ns
        request.tally.round_trips(name).sent(request.due_ns, request.sent_ns)
        self._requests.append(request)
        if timeout_s is not None:
            self._engine.connections.expect(self, request.deadline_ns)
        return request

    ask = send_request
    """Deprecated name of `send_request`."""

    def request(
        self,
        message: Sendable,
        match: Match = None,
        *,
        name: str = "request",
        timeout_s: float | None = None,
        due_ns: int | None = None,
        count: str | None = None,
    ) -> Message:
        """Send a message, wait for its reply, and measure the round trip under a name.

        Args:
            message: text, bytes, or a value that is sent as JSON.
            match: selects the reply: a function of a `Message`, members that the reply's JSON has (`{"id": 7}`),
                or None for the next message.
            name: the series in the result, and the line in Locust's statistics.
            timeout_s: a reply later than this is lost; default: `--timeout`.
            due_ns: when it was due (from `WebSocketUser.ticks`); default: now.
            count: a counter that gains 1 if the message is sent; at the end of the run, it may be refused.

        Raises:
            NoReply: no reply came in time. It is counted; uncaught, it ends the task and nothing else.
            Disconnected: the connection ended first. The same holds.
        """
        _check_may_wait()
        return self.send_request(message, match, name=name, timeout_s=timeout_s, due_ns=due_ns, count=count).reply()

    def expect(self, match: Match = None, *, timeout_s: float | None = None, name: str | None = None) -> Message:
        """Wait for a message that the server pushes; an unread message that came before counts too.

        `match` and `timeout_s` are as for `request`. The series `name` gets the time from this call to the message's
        arrival.

        Raises:
            NoReply: it did not come in time. It is counted if `name` is given.
            Disconnected: the connection ended first.
        """
        if name is not None:
            name = scenario_values.name_of(name)
        called_ns = _now()
        try:
            message = self._await(match, self._timeout_of(timeout_s))
        except NoReply:
            if name is not None:
                self._recorder.advance(_now()).unanswered(name)
            raise
        if name is not None:
            self._recorder.advance(_now()).value(name, max(0, message.arrived_ns - called_ns))
        return message

    def recv(self, timeout_s: float | None = None) -> Message:
        """Return the next message that answers no request; unread messages come first.

        Raise NoReply if none comes within `timeout_s` (default: no limit), Disconnected if the connection ends first.
        """
        return self._await(None, None if timeout_s is None else self._timeout_of(timeout_s))

    def __iter__(self) -> Iterator[Message]:
        """Yield messages that answer no request, until the connection ends."""
        while True:
            try:
                yield self.recv()
            except Disconnected:
                return

    def subscribe(self, callback: Callable[[Message], None], match: Match = None) -> None:
        """Call a function for each message that answers no request, as soon as it is read.

        It is called in the hub: it may `send`, record and count, but must not wait. Subscribing the same function
        again, as `on_open` does after every reconnection, replaces the earlier subscription.
        """
        if not callable(callback):
            raise TypeError(f"subscribe takes a function of a Message, and not {callback!r}")
        accepts = matcher(match)
        self._subscribers = [known for known in self._subscribers if known[1] != callback]
        self._subscribers.append((accepts, callback))

    def ping(self, *, timeout_s: float | None = None, name: str = "ping") -> int:
        """Send a ping, wait for its pong, and return the round trip in ns.

        Raise NoReply if no pong comes in time, Disconnected if the connection ends first.
        """
        _check_may_wait()
        name, timeout_ns = scenario_values.name_of(name), self._timeout_of(timeout_s)
        connection = self._usable()
        assert connection is not None
        payload = next(self._ping_numbers).to_bytes(8, "big")
        waiter = self._pings[payload] = Waiter(None)
        sent_ns = _now()
        connection.ping(payload)
        try:
            if not waiter.wait(timeout_ns / NS_PER_S):
                self._recorder.tally_at(sent_ns).unanswered(name)
                problem = NoReply(f"no pong within {format_seconds(timeout_ns)}", kind="no-pong")
                self._engine.errors.count(problem)
                raise problem
        finally:
            self._pings.pop(payload, None)
        took = waiter.result().arrived_ns - sent_ns
        self._recorder.tally_at(sent_ns).value(name, took)
        self._engine.fire_request(took, 0, name=name)
        return took

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close with the closing handshake. Requests without a reply are lost."""
        code, reason = scenario_values.close_code(code), scenario_values.close_reason(reason)
        if self.connection is not None:
            _check_may_wait()
        self._closed = True
        self._engine.connections.disconnect(self, code, reason)
        self._engine.connections.unregister(self)
        self._changed.set()

    @property
    def is_open(self) -> bool:
        """Whether a message can be sent now."""
        return self.connection is not None and self.connection.is_open

    @property
    def closed(self) -> bool:
        """Whether the scenario closed it."""
        return self._closed

    def __enter__(self) -> WebSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- opening ---------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open the connection and call `on_open`, or count and raise the ConnectError. Call `close` in both cases."""
        _check_may_wait()
        self._engine.connections.register(self)
        self._engine.connections.connect(self, options=self._options)
        self._opened(again=False)

    def _opened(self, *, again: bool) -> None:
        """Call `on_open`. A ConnectError that it raises is raised here as well: the connection could not be opened."""
        opened, me = self.connection, gevent.getcurrent()
        self._opening = me
        try:
            if self._on_open is not None:
                self._on_open(self)
        except ConnectError as error:
            self._opening = None
            self._engine.connections.refuse(self, error, again=again)
            raise
        except TaskFailed as error:
            if self.connection is opened is not None:  # if not, the connection dropped: that is counted elsewhere
                self._engine.errors.count(error, of_message=error.of_message)
        except BaseException as error:
            self._count_exception(error)
        if self._opening is me:  # if not, it dropped meanwhile and another greenlet has reopened it
            self._opening = None
            if self.connection is opened is not None:
                self._make_ready()

    def _reopen(self) -> None:
        while self._engine.connections.reconnect(self, self._options, wanted=lambda: not self._closed):
            if self._closed:  # closed while it was being opened
                self._engine.connections.disconnect(self)
                return
            with contextlib.suppress(ConnectError):  # refused
                self._opened(again=True)
                return

    def dropped(self, error: ConnectionLost) -> None:
        """Handle a dropped connection, and call the scenario's `on_drop`."""
        super().dropped(error)
        if self._on_drop is not None:
            self._call(self._on_drop, self, error)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _usable(self, *, to_send: bool = True) -> Connection | None:
        """Return the open connection, waiting for it if necessary; None only in the hub, which cannot wait."""
        me, called_back = gevent.getcurrent(), in_hub()
        while True:
            if not self._recorder.sending:
                if called_back or being_stopped():
                    raise Disconnected("the run is over")
                gevent.sleep(_FOREVER_S)  # until Locust stops this task
            connection = self.connection
            if connection is not None and connection.is_open and (self._ready or called_back or me is self._opening):
                if not (to_send and connection.full):
                    return connection
            elif self._closed or me is self._opening or being_stopped():
                raise Disconnected("the connection is closed")
            if called_back:
                return None
            self._changed.clear()
            self._changed.wait()

    def _timeout_of(self, timeout_s: float | None) -> int:
        """Return a timeout in ns; default: `--timeout`."""
        return self._timeout_ns if timeout_s is None else int(scenario_values.timeout_s(timeout_s) * NS_PER_S)

    def _transmit(
        self, payload: bytes, opcode: int, due_ns: int | None, count: str | None
    ) -> tuple[Tally, int, int] | None:
        """Send and return (tally of the due instant, due, sent); None if it was dropped and counted as missed."""
        due_ns = None if due_ns is None else scenario_values.instant_ns(due_ns, "due_ns", _now())
        counter = None if count is None else scenario_values.name_of(count)
        connection, recorder = self._usable(), self._recorder
        if connection is None:
            recorder.advance(_now()).missed += 1
            return None
        return self._write(connection, payload, opcode, due_ns, counter)

    def _write(
        self, connection: Connection, payload: bytes, opcode: int, due_ns: int | None, counter: str | None
    ) -> tuple[Tally, int, int]:
        recorder = self._recorder
        data = connection.frame(payload, opcode)
        now = _now()
        connection.write(data)
        due = now if due_ns is None else due_ns
        current = recorder.advance(now)
        tally = current if due >= current.interval[1] else recorder.tally_at(due)
        tally.sent += 1
        tally.payload_sent += len(payload)
        if counter is not None:
            current.count(counter, 1)
        return tally, due, now

    def _count_one_way(self, tally: Tally, due_ns: int, sent_ns: int) -> None:
        tally.one_way += 1
        record(tally.send_lag, sent_ns - due_ns)

    def _await(self, match: Match, timeout_ns: int | None) -> Message:
        _check_may_wait()
        waiter = Waiter(match)
        for message in self._unread:
            if self._accepts(waiter.accepts, message):
                self._unread.remove(message)
                return message
        self._usable(to_send=False)
        self._awaiting.append(waiter)
        try:
            if timeout_ns is None:
                waiter.wait(None)
            elif not waiter.wait(timeout_ns / NS_PER_S):
                raise NoReply(f"no such message within {format_seconds(timeout_ns)}")
        finally:
            if waiter in self._awaiting:
                self._awaiting.remove(waiter)
        return waiter.result()


def _check_may_wait() -> None:
    """Raise UsageError if the caller is a hub callback, before anything is sent."""
    if in_hub():
        raise UsageError("a callback must not wait", remedy="Wait in a task, or gevent.spawn one.")
