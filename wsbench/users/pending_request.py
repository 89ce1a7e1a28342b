"""A greenlet's wait for a message, a request without a reply yet, and the errors that end them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import gevent
from gevent import GreenletExit
from gevent.event import Event
from locust.exception import RescheduleTask, StopUser

from wsbench.errors import Side, WsbenchError
from wsbench.measure.tally import Tally
from wsbench.units import NS_PER_S
from wsbench.users.message import Match, Message, matcher

_now = time.time_ns


class TaskFailed(WsbenchError, RescheduleTask):
    """Base of errors that end one task. The error has been counted, and Locust starts the next task.

    `of_message`: it is that of a request, which counts as lost.
    """

    def __init__(
        self,
        what: str,
        *,
        remedy: str = "",
        side: Side | None = None,
        kind: str | None = None,
        of_message: bool = False,
    ) -> None:
        super().__init__(what, remedy=remedy, side=side, kind=kind)
        self.of_message = of_message


class NoReply(TaskFailed):
    """The expected message did not come in time."""

    kind = "no-reply"
    side = Side.TARGET


class Disconnected(TaskFailed):
    """The connection ended before the reply came, or the scenario has closed it."""

    kind = "disconnected"


class Waiter:
    """A wait for one message.

    Attributes:
        accepts: whether a message is the expected one.
        has_match: whether the caller gave a `match`; without, any message will do.
    """

    __slots__ = ("_done", "accepts", "failure", "has_match", "message")

    def __init__(self, match: Match) -> None:
        self.accepts = matcher(match)
        self.has_match = match is not None
        self.message: Message | None = None
        self.failure: TaskFailed | None = None
        self._done: Event | None = None

    def resolve(self, message: Message | None = None, failure: TaskFailed | None = None) -> None:
        """End the wait with a message or a failure."""
        self.message, self.failure = message, failure
        if self._done is not None:
            self._done.set()

    @property
    def resolved(self) -> bool:
        """Whether the wait has ended."""
        return self.message is not None or self.failure is not None

    def wait(self, timeout_s: float | None) -> bool:
        """Wait for at most `timeout_s` (None: without limit); return whether the wait has ended."""
        if not self.resolved:
            self._done = Event()
            self._done.wait(timeout_s)
        return self.resolved

    def result(self) -> Message:
        """Return the message, or raise the failure."""
        if self.failure is not None:
            raise self.failure
        assert self.message is not None
        return self.message


class PendingRequest(Waiter):
    """A request without a reply yet; `reply` waits for it.

    Attributes:
        first_unmatched: the first message that came meanwhile and matched nothing.
        tally: of the interval in which the request was due.
    """

    __slots__ = ("_give_up", "deadline_ns", "due_ns", "first_unmatched", "name", "sent_ns", "tally")

    def __init__(self, match: Match, name: str, give_up: Callable[[PendingRequest], None]) -> None:
        super().__init__(match)
        self._give_up = give_up
        self.name = name
        self.due_ns = self.sent_ns = self.deadline_ns = 0
        self.first_unmatched: Message | None = None
        self.tally: Tally

    def reply(self) -> Message:
        """Wait for the reply and return it; raise NoReply after the deadline, Disconnected if the connection ends."""
        try:
            if not self.wait(max(0.0, (self.deadline_ns - _now()) / NS_PER_S)):
                self._give_up(self)
        except BaseException:  # the waiting greenlet is stopped: nothing will ask for this reply again
            self._give_up(self)
            raise
        return self.result()


def in_hub() -> bool:
    """Return whether the caller is a hub callback, which must not wait."""
    return gevent.getcurrent() is gevent.get_hub()


def being_stopped() -> bool:
    """Return whether the caller is `on_stop`, which must not wait long: Locust calls it while it handles the stop."""
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, GreenletExit | StopUser):
        error = error.__context__  # an error of `on_stop` itself has the stop as its context
    return error is not None
