"""The hub's side of a scenario's connection: messages are matched, counted and dispatched. Nothing here waits.

Invariants:
- A reply is matched, and its instants are taken, in the hub callback that read it. The time until a greenlet wakes
  up is in no figure.
- A message answers the oldest request that it matches, and the next ones that it matches by a `match` of their own. If
  it matches none, the server pushed it (`pushed`).
- A message that asks for no reply is `one_way`. For every interval: sent - one_way = received - pushed + lost.
"""

from __future__ import annotations

import contextlib
import copy
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import gevent
from gevent import GreenletExit
from gevent.event import Event

from wsbench.errors import ConnectionLost, Side, WsbenchError
from wsbench.measure.histogram import record
from wsbench.measure.tally import Tally
from wsbench.run.protocol import rejected_reply_kind
from wsbench.transport.connection import Connection
from wsbench.units import format_duration
from wsbench.users.message import Message, match_identity
from wsbench.users.pending_request import Disconnected, NoReply, PendingRequest, TaskFailed, Waiter, in_hub
from wsbench.worker.engine import Engine

_now = time.time_ns
_UNREAD_KEPT = 10_000
"""Limit of unread messages. The oldest are dropped, so that a scenario that never reads needs no more memory."""
_GIVEN_UP_KEPT = 1000

Decoder = Callable[[Message], Message | Iterable[Message] | None]
"""For a protocol on top of WebSocket: return the message that the received one completes, those that it holds, or None
if it is a part.

A decoder that raises ConnectionLost drops the connection: the server has ended what runs on top of it.
"""
_ANSWERS_KEPT = 10
"""Number of latest replies that may explain why another request got none."""
_MISSES = 16
"""Number of requests in a row that a reply does not answer too, until no more are tried: a backlog costs no CPU."""


class MessageDispatcher:
    """The hub's side of a scenario's connection; a `Driver`.

    Attributes:
        connection: the open WebSocket connection; None while there is none.
    """

    has_waiters = True

    def __init__(
        self,
        engine: Engine,
        on_message: Callable[[Message], None] | None,
        decoder: Callable[[], Decoder] | None = None,
    ) -> None:
        """`decoder` returns a new decoder for each connection that is opened."""
        self.connection: Connection | None = None
        self._engine = engine
        self._recorder = engine.recorder
        self._on_message = on_message
        self._new_decoder = decoder
        self._decode: Decoder | None = None
        self._requests: deque[PendingRequest] = deque()
        self._given_up: deque[PendingRequest] = deque(maxlen=_GIVEN_UP_KEPT)
        self._answers: deque[Message] = deque(maxlen=_ANSWERS_KEPT)
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
        """Number of requests without a reply yet."""
        return len(self._requests)

    def attach(self, connection: Connection) -> None:
        """Begin on a connection that has just opened."""
        self.connection = connection
        self._decode = self._new_decoder() if self._new_decoder is not None else None
        self._unread.clear()
        self._given_up.clear()
        connection.start()

    def expire(self, now_ns: int) -> int:
        """Give up on overdue requests; return the next deadline."""
        for request in [request for request in self._requests if request.deadline_ns < now_ns]:
            self._give_up(request)
        later = now_ns + self._engine.options.timeout_ns
        return min((request.deadline_ns for request in self._requests), default=later)

    def resume(self) -> None:
        """Do nothing: the scenario alone decides when to send."""

    def abandon(self) -> None:
        """Fail all requests: no more replies are expected."""
        self._end(Disconnected("the connection was closed"))

    def _end(self, gone: Disconnected) -> None:
        self.connection = None
        self._ready = False
        while self._requests:
            self._fail_request(self._requests.popleft(), gone)
        waiting, self._awaiting = [*self._awaiting, *self._pings.values()], []
        self._pings.clear()
        for waiter in waiting:
            waiter.resolve(failure=gone)
        self._changed.set()

    def short_way(self, fd: int) -> None:
        """Return None: a scenario's replies cannot be predicted."""

    def predicted(self, data: bytes, arrived_ns: int, handled_ns: int) -> int:  # noqa: ARG002 - Receiver's
        """Return 0: a scenario's replies cannot be predicted."""
        return 0

    def message(self, payload: bytes, text: bool, arrived_ns: int, handled_ns: int) -> None:
        """Match a message to a request, or dispatch it as one that the server pushed."""
        message = Message(payload, text, arrived_ns, handled_ns)
        while self._requests and self._requests[0].deadline_ns < arrived_ns:
            self._give_up(self._requests[0])
        tally = self._recorder.advance(handled_ns)
        record(tally.read_lag, handled_ns - arrived_ns)
        decoded = self._decoded(message)
        if not decoded:
            self._count_received(tally, message)
            tally.pushed += 1
        for each in decoded:
            self._match(each, tally)

    def _match(self, message: Message, tally: Tally) -> None:
        for index, request in enumerate(self._requests):
            if self._accepts(request.accepts, message):
                others = self._answered_as_well(index, request, message)
                self._replied(request, message)
                for other in others:
                    self._replied(other, copy.copy(message), again=True)
                return
        for request in self._given_up:
            if self._accepts(request.accepts, message):
                self._given_up.remove(request)
                tally.late += 1
                return
        self._count_received(tally, message)
        tally.pushed += 1
        self._dispatch(message)

    def _answered_as_well(self, index: int, first: PendingRequest, message: Message) -> list[PendingRequest]:
        """Return later requests that the message answers too; those with the same `match` take turns."""
        answered: list[PendingRequest] = []
        if not first.has_match or index + 1 == len(self._requests):
            return answered
        misses = 0
        with contextlib.suppress(Exception):  # values around a `match` that cannot be read or compared
            identities = [match_identity(first.accepts)]
            for request in islice(self._requests, index + 1, None):
                if (
                    request.sent_ns <= message.arrived_ns
                    and self._matches(request, message)
                    and (identity := match_identity(request.accepts)) not in identities
                ):
                    answered.append(request)
                    identities.append(identity)
                    misses = 0
                elif (misses := misses + 1) == _MISSES:
                    break
        return answered

    def pong(self, payload: bytes, arrived_ns: int, handled_ns: int) -> None:
        """Answer the ping with this payload; ignore an unsolicited pong."""
        waiter = self._pings.pop(payload, None)
        if waiter is not None:
            waiter.resolve(Message(payload, False, arrived_ns, handled_ns))

    def drained(self) -> None:
        """Wake senders: the socket takes data again."""
        self._changed.set()

    def dropped(self, error: ConnectionLost) -> None:
        """Fail all requests of a dropped connection, and reopen it if the options say so."""
        self._end(Disconnected(error.what, side=error.side))
        self._engine.connections.count_dropped(self, error)
        if self._engine.options.reconnect and not self._closed:
            gevent.spawn(self._reopen)

    def _reopen(self) -> None:
        """Open the connection again; called in a new greenlet."""
        raise NotImplementedError

    # -- inside ----------------------------------------------------------------------------------------------------

    def _decoded(self, message: Message) -> Sequence[Message]:
        if self._decode is None:
            return (message,)
        try:
            decoded = self._decode(message)
            return (decoded,) if isinstance(decoded, Message) else () if decoded is None else tuple(decoded)
        except ConnectionLost as error:
            if self.connection is not None:
                self.connection.drop(error)
            return ()
        except Exception as error:
            problem = f"{type(error).__name__}: {error}, in '{message.excerpt}'"
            what = f"the server broke the protocol on top of WebSocket: {problem}"
            self._engine.errors.count(WsbenchError(what, side=Side.TARGET, kind="protocol-on-top"))
            return ()

    def _accepts(self, accepts: Callable[[Message], bool], message: Message) -> bool:
        try:
            return accepts(message)
        except BaseException as error:  # gevent would print it and drop the message
            self._count_exception(error)
            return False

    def _count_received(self, tally: Tally, message: Message, *, again: bool = False) -> None:
        tally.received += 1
        tally.payload_received += 0 if again else len(message.payload)
        if message.arrived_ns == message.handled_ns:
            tally.user_stamped += 1

    def _replied(self, request: PendingRequest, message: Message, *, again: bool = False) -> None:
        self._requests.remove(request)
        self._answers.append(message)
        self._count_received(request.tally, message, again=again)
        request.tally.round_trips(request.name).replied(request.due_ns, request.sent_ns, message.arrived_ns)
        self._engine.fire_request(message.arrived_ns - request.due_ns, len(message.payload), name=request.name)
        message._on_fail = lambda rejected, reason: self._failed(request, rejected, reason)
        request.resolve(message)

    def _failed(self, request: PendingRequest, message: Message, reason: str) -> None:
        # Its tally may already have been reported and dropped.
        self._recorder.tally_at(request.due_ns).reject(request.name)
        what = f"{request.name}: {reason}"
        error = WsbenchError(what, side=Side.TARGET, kind=rejected_reply_kind(request.name))
        self._engine.errors.count(error, of_message=True)
        self._engine.examples.keep_rejected(request.name, message.payload, reason)

    def _give_up(self, request: PendingRequest) -> None:
        if request not in self._requests:
            return
        self._requests.remove(request)
        self._given_up.append(request)
        self._fail_request(request, self._no_reply(request))

    def _no_reply(self, request: PendingRequest) -> NoReply:
        """Return the error; if an unmatched message came, a wrong `match` is as likely as a lost reply."""
        what = f"{request.name}: no reply within {format_duration(request.deadline_ns - request.due_ns)}"
        shared = next((m for m in self._answers if m.arrived_ns >= request.sent_ns and self._matches(request, m)), None)
        remedy = ""
        if shared is not None:
            what += f"; this matched it too, and answered another request: '{shared.excerpt}'"
            remedy = "Requests with the same `match` get a message each: give each its own, or split it in a `decoder`."
        elif request.first_unmatched is not None:
            what += f"; this came and matched nothing: '{request.first_unmatched.excerpt}'"
        else:
            return NoReply(what, of_message=True)
        failure = NoReply(what, remedy=remedy, kind="no-match", of_message=True)
        if self._ready:  # in `on_open` the failure that ends it is counted instead
            self._engine.errors.count(failure, of_message=True)
        return failure

    def _matches(self, request: PendingRequest, message: Message) -> bool:
        with contextlib.suppress(Exception):  # counted where it is the request's turn
            return request.has_match and request.accepts(message)
        return False

    def _fail_request(self, request: PendingRequest, failure: TaskFailed) -> None:
        request.tally.lost += 1
        request.tally.round_trips(request.name).lost += 1
        self._engine.fire_request(None, 0, "lost", request.name)
        request.resolve(failure=failure)

    def _dispatch(self, message: Message) -> None:
        """Give a pushed message to a waiter whose `match` fits, else to subscribers, else to a waiter without one."""
        taken = self._deliver_to_waiter(message, has_match=True)
        if taken:
            return
        for accepts, callback in self._subscribers:
            if self._accepts(accepts, message):
                self._call(callback, message)
                taken = True
        if taken or self._deliver_to_waiter(message, has_match=False):
            return
        for request in self._requests:
            request.first_unmatched = request.first_unmatched or message
        if self._on_message is not None and self._ready:
            self._call(self._on_message, message)
        else:
            self._unread.append(message)

    def _make_ready(self) -> None:
        """Let tasks send after `on_open`, and dispatch the messages that came meanwhile."""
        self._ready = True
        self._changed.set()
        while self._on_message is not None and self._unread:
            self._call(self._on_message, self._unread.popleft())

    def _deliver_to_waiter(self, message: Message, *, has_match: bool) -> bool:
        for waiter in self._awaiting:
            if waiter.has_match is has_match and self._accepts(waiter.accepts, message):
                self._awaiting.remove(waiter)
                waiter.resolve(message)
                return True
        return False

    def _call(self, callback: Callable[..., None], *args: object) -> None:
        try:
            callback(*args)
        except TaskFailed:
            pass
        except BaseException as error:
            self._count_exception(error)

    def _count_exception(self, error: BaseException) -> None:
        """Count an exception of the scenario's code; raise one that stops the calling greenlet.

        SystemExit and KeyboardInterrupt count too: in the hub, they would end the process and lose the run.
        """
        if isinstance(error, GreenletExit | gevent.Timeout) and not in_hub():
            raise error
        self._engine.errors.count_scenario_failure(error)
