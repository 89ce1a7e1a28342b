"""Waiting for a message in a greenlet, and how it ends."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import gevent
from gevent import GreenletExit
from gevent.event import Event
from locust.exception import RescheduleTask, StopUser

from wsbench.errors import WsbenchError
from wsbench.measure.tally import Tally
from wsbench.units import NS_PER_S
from wsbench.users.message import Match, Message, matcher

_now = time.time_ns


class TaskFailed(WsbenchError, RescheduleTask):
    """Ends a task, and nothing else: it has been counted, and Locust goes on with the next task."""


class NoReply(TaskFailed):
    """What was waited for did not come in time."""

    kind = "no-reply"


class Disconnected(TaskFailed):
    """The connection went while a reply was waited for, or the scenario has closed it."""

    kind = "disconnected"


class Waiter:
    """Somebody waits for a message."""

    __slots__ = ("_done", "accepts", "failure", "message", "picky")

    def __init__(self, match: Match) -> None:
        self.accepts = matcher(match)
        self.picky = match is not None
        self.message: Message | None = None
        self.failure: TaskFailed | None = None
        self._done: Event | None = None

    def settle(self, message: Message | None = None, failure: TaskFailed | None = None) -> None:
        """It is over."""
        self.message, self.failure = message, failure
        if self._done is not None:
            self._done.set()

    @property
    def settled(self) -> bool:
        return self.message is not None or self.failure is not None

    def wait(self, timeout_s: float | None) -> bool:
        """Whether it is over within that time."""
        if not self.settled:
            self._done = Event()
            self._done.wait(timeout_s)
        return self.settled

    def result(self) -> Message:
        if self.failure is not None:
            raise self.failure
        assert self.message is not None
        return self.message


class Asked(Waiter):
    """A request under way: `reply` waits for what answers it. `stray`: the first that came meanwhile for nobody."""

    __slots__ = ("_give_up", "deadline_ns", "due_ns", "name", "sent_ns", "stray", "tally")

    def __init__(self, match: Match, name: str, give_up: Callable[[Asked], None]) -> None:
        super().__init__(match)
        self._give_up = give_up
        self.name = name
        self.due_ns = self.sent_ns = self.deadline_ns = 0
        self.stray: Message | None = None
        self.tally: Tally

    def reply(self) -> Message:
        """The reply.

        Raises:
            NoReply: none came in time.
            Disconnected: the connection went before.
        """
        try:
            if not self.wait(max(0.0, (self.deadline_ns - _now()) / NS_PER_S)):
                self._give_up(self)
        except BaseException:  # whoever waited is stopped: nobody will know what becomes of it
            self._give_up(self)
            raise
        return self.result()


def in_hub() -> bool:
    """Whether this is a callback, which must not wait for anything."""
    return gevent.getcurrent() is gevent.get_hub()


def being_stopped() -> bool:
    """Whether this is `on_stop`, which must not wait for long: Locust calls it where it handles what ended the user."""
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, GreenletExit | StopUser):
        error = error.__context__  # what went wrong in `on_stop` was raised amid that
    return error is not None
