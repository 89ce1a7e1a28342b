"""A scenario's connection as the hub sees it: what comes is matched, counted and handed on, and nothing here waits.

Rules that everything below keeps:
- A reply is matched, and its instants are taken, in the hub's callback that read it: how long a greenlet takes to wake
  up is in no figure.
- Whatever comes answers the oldest request it matches, or else is what the server sent on its own accord (`pushed`).
- A message that asks for no reply is `one_way`. So for every interval: sent - one_way = received - pushed + lost.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import gevent
from gevent.event import Event

from wsbench.errors import ConnectionLost, Side, WsbenchError
from wsbench.measure.histogram import record
from wsbench.measure.tally import Tally
from wsbench.run.protocol import rejected_reply_kind
from wsbench.transport.connection import Connection
from wsbench.units import format_duration
from wsbench.users.message import Message
from wsbench.users.pending_request import Asked, Disconnected, NoReply, TaskFailed, Waiter
from wsbench.worker.engine import Engine

_now = time.time_ns
_UNREAD_KEPT = 10_000
"""Messages that nobody waited for; older ones make room, so that a scenario which never reads needs no more memory."""
_GIVEN_UP_KEPT = 1000

Decoder = Callable[[Message], Message | None]
"""For protocols on top: from what came to the message that it completes, or None when it completes none."""


class Channel:
    """The hub's side of a connection; a `Driver`.

    Attributes:
        connection: the open connection underneath; None while there is none.
    """

    has_waiters = True

    def __init__(
        self,
        engine: Engine,
        on_message: Callable[[Message], None] | None,
        decoder: Callable[[], Decoder] | None = None,
    ) -> None:
        """`decoder` makes a new one for every connection that is opened."""
        self.connection: Connection | None = None
        self._engine = engine
        self._recorder = engine.recorder
        self._on_message = on_message
        self._new_decoder = decoder
        self._decode: Decoder | None = None
        self._asked: deque[Asked] = deque()
        self._given_up: deque[Asked] = deque(maxlen=_GIVEN_UP_KEPT)
        self._awaiting: list[Waiter] = []
        self._subscribers: list[tuple[Callable[[Message], bool], Callable[[Message], None]]] = []
        self._unread: deque[Message] = deque(maxlen=_UNREAD_KEPT)
        self._pings: dict[bytes, Waiter] = {}
        self._ready = False
        self._closed = False
        self._changed = Event()

    # -- Driver ----------------------------------------------------------------------------------------------------

    @property
    def outstanding(self) -> int:
        """Requests under way."""
        return len(self._asked)

    def attach(self, connection: Connection) -> None:
        """A connection is open."""
        self.connection = connection
        self._decode = self._new_decoder() if self._new_decoder is not None else None
        self._unread.clear()
        self._given_up.clear()
        connection.start()

    def expire(self, now_ns: int) -> None:
        """Give up on requests that are overdue."""
        if self._asked:
            for asked in [asked for asked in self._asked if asked.deadline_ns < now_ns]:
                self._give_up(asked)

    def resume(self) -> None:
        """The scenario alone says what is sent, and when."""

    def abandon(self) -> None:
        """No more replies will be waited for."""
        self._end(Disconnected("the connection was closed", side=Side.GENERATOR))

    def _end(self, gone: Disconnected) -> None:
        self.connection = None
        self._ready = False
        while self._asked:
            self._lose(self._asked.popleft(), gone)
        waiting, self._awaiting = [*self._awaiting, *self._pings.values()], []
        self._pings.clear()
        for waiter in waiting:
            waiter.settle(failure=gone)
        self._changed.set()

    def short_way(self, fd: int) -> None:
        """Nothing is known beforehand."""

    def predicted(self, data: bytes, timespec: bytes, handled_ns: int) -> int:  # noqa: ARG002 - Receiver's
        """Nothing is known beforehand."""
        return 0

    def message(self, payload: bytes, text: bool, arrived_ns: int, handled_ns: int) -> None:
        """A message came: whose is it?"""
        message = Message(payload, text, arrived_ns, handled_ns)
        while self._asked and self._asked[0].deadline_ns < arrived_ns:
            self._give_up(self._asked[0])
        tally = self._recorder.advance(handled_ns)
        record(tally.read_lag, handled_ns - arrived_ns)
        decoded = self._decoded(message)
        if decoded is None:
            self._count_received(tally, message)
            tally.pushed += 1
            return
        message = decoded
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

    def dropped(self, error: ConnectionLost) -> None:
        """The connection is gone: so is what was under way, and perhaps it is opened again."""
        self._end(Disconnected(error.what, side=error.side))
        self._engine.dropped(error)
        if self._engine.options.reconnect and not self._closed:
            gevent.spawn(self._reopen, _now())

    def _reopen(self, dropped_ns: int) -> None:
        """Open it again; called in a greenlet of its own."""
        raise NotImplementedError

    # -- inside ----------------------------------------------------------------------------------------------------

    def _decoded(self, message: Message) -> Message | None:
        if self._decode is None:
            return message
        try:
            return self._decode(message)
        except Exception as error:
            what = f"the server broke the protocol on top of WebSocket: {type(error).__name__}: {error}"
            self._engine.count_error(WsbenchError(what, side=Side.TARGET, kind="protocol-on-top"))
            return None

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
        # Its tally may have been handed in and forgotten.
        self._recorder.tally_at(asked.due_ns).corrupted += 1
        what = f"{asked.name}: {reason}"
        self._engine.count_error(WsbenchError(what, side=Side.TARGET, kind=rejected_reply_kind(asked.name)))

    def _give_up(self, asked: Asked) -> None:
        if asked not in self._asked:
            return
        self._asked.remove(asked)
        self._given_up.append(asked)
        self._lose(asked, self._no_reply(asked))

    def _no_reply(self, asked: Asked) -> NoReply:
        """If something came that nobody wanted, a `match` that never matches is as likely as a reply that was lost."""
        what = f"{asked.name}: no reply within {format_duration(asked.deadline_ns - asked.due_ns)}"
        if asked.stray is None:
            return NoReply(what, side=Side.TARGET)
        what += f"; this came and matched nothing: {asked.stray.excerpt}"
        failure = NoReply(what, side=Side.TARGET, kind="no-match")
        if self._ready:  # in `on_open` it is counted as what ended that
            self._engine.count_error(failure)
        return failure

    def _lose(self, asked: Asked, failure: TaskFailed) -> None:
        asked.tally.lost += 1
        asked.tally.round_trips(asked.name).lost += 1
        self._engine.fire_request(None, 0, "lost", asked.name)
        asked.settle(failure=failure)

    def _pushed(self, message: Message) -> None:
        """Whoever asked for this very kind of message comes first, then who subscribed to it, then who takes any."""
        taken = self._hand_over(message, picky=True)
        if taken:
            return
        for accepts, callback in self._subscribers:
            if self._accepts(accepts, message):
                self._call(callback, message)
                taken = True
        if taken or self._hand_over(message, picky=False):
            return
        for asked in self._asked:
            asked.stray = asked.stray or message
        if self._on_message is not None and self._ready:
            self._call(self._on_message, message)
        else:
            self._unread.append(message)

    def _make_ready(self) -> None:
        """The scenario has logged in: what came meanwhile, and is not what it waited for, goes where all goes."""
        self._ready = True
        self._changed.set()
        while self._on_message is not None and self._unread:
            self._call(self._on_message, self._unread.popleft())

    def _hand_over(self, message: Message, *, picky: bool) -> bool:
        for waiter in self._awaiting:
            if waiter.picky is picky and self._accepts(waiter.accepts, message):
                self._awaiting.remove(waiter)
                waiter.settle(message)
                return True
        return False

    def _call(self, callback: Callable[..., None], *args: object) -> None:
        try:
            callback(*args)
        except TaskFailed:
            pass
        except Exception as error:  # the scenario's own code
            self._engine.scenario_failed(error)
