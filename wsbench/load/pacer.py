"""The pacer: one a process, wakes at the due instants of an open loop, by a timerfd on the hub.

gevent's own timers go through libev and epoll, whose resolution is a millisecond. A timerfd is a file descriptor that
becomes readable at an instant of CLOCK_MONOTONIC; the hub watches it like a socket and wakes some 50 µs late.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

import gevent

from wsbench.measure.schedule import Schedule, Slots
from wsbench.units import NS_PER_S

_READ = 1
_CLOCK_MONOTONIC = 1
_TFD_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_TFD_TIMER_ABSTIME = 1
_BATCH = 64
"""Messages sent in one wake-up before replies get their turn."""
_LEAD_NS = 50_000
"""An idle process is woken this much early, and spins for what is left: about what waking up takes."""
_IDLE_NS = 3 * _LEAD_NS
"""With less than this until the next message the process is busy anyway, and spinning would cost more than it gives."""


class _TimerSpec(ctypes.Structure):
    _fields_ = [(name, ctypes.c_long) for name in ("interval_s", "interval_ns", "value_s", "value_ns")]


class TimerFd:
    """A one-shot timer that is a file descriptor.

    Raises:
        OSError: the platform has none.
    """

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise OSError("timerfd is Linux's")
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = self._libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._spec = _TimerSpec(0, 0, 0, 0)
        self._reference = ctypes.byref(self._spec)

    def arm(self, instant_ns: int) -> None:
        """Become readable at an instant of CLOCK_MONOTONIC; at once if it is past."""
        self._spec.value_s, self._spec.value_ns = divmod(max(instant_ns, 1), NS_PER_S)
        self._libc.timerfd_settime(self.fd, _TFD_TIMER_ABSTIME, self._reference, None)

    def clear(self) -> None:
        """Be readable no more."""
        try:
            os.read(self.fd, 8)
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.fd)


class Paced(Protocol):
    """Something that sends messages when they are due. Instants are ns of CLOCK_REALTIME."""

    def fire(self, due_ns: int) -> None:
        """A message is due, now or a little while ago: send it."""

    def miss(self, due_ns: int) -> None:
        """A message was due so long ago that sending it makes no sense any more: count it."""


class Pacer:
    """Fires each connection when a message of it is due.

    Due instants are on CLOCK_MONOTONIC; they are handed out on CLOCK_REALTIME, by `offset_ns`, which whoever owns the
    pacer keeps current. They never move: what a late wake-up finds overdue is sent at once and counted as late, and
    what is overdue by more than `backlog_ns` is missed.

    Attributes:
        exact: whether a timerfd wakes it; otherwise a timer of the hub's, late by up to a millisecond.
        offset_ns: CLOCK_REALTIME minus CLOCK_MONOTONIC.
    """

    def __init__(self, *, offset_ns: int, backlog_ns: int, on_error: Callable[[Exception], None]) -> None:
        self.offset_ns = offset_ns
        self._backlog_ns = backlog_ns
        self._schedule: Schedule[Paced] = Schedule()
        self._on_error = on_error
        self._armed: int | None = None
        loop = gevent.get_hub().loop
        self._timerfd: TimerFd | None
        try:
            self._timerfd = TimerFd()
        except OSError:
            self._timerfd = None
            self._watcher: Any = None
        else:
            self._watcher = loop.io(self._timerfd.fd, _READ)
            self._watcher.start(self._tick)
        self.exact = self._timerfd is not None

    def add(self, paced: Paced, slots: Slots) -> None:
        """A connection joins with its slots."""
        self._schedule.add(paced, slots)
        self._arm()

    def stop(self) -> None:
        """Fire no more, and give everything back. What was due and has not been got to is missed."""
        now, offset = time.monotonic_ns(), self.offset_ns
        while overdue := self._schedule.take(now, _BATCH):
            for due, paced in overdue:
                paced.miss(due + offset)
        self._schedule.clear()
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
        if self._timerfd is not None:
            self._timerfd.close()
            self._timerfd = None

    def _arm(self) -> None:
        due = self._schedule.next_due_ns
        if due is None or due == self._armed:
            return
        self._armed = due
        if self._timerfd is not None:
            idle = due - time.monotonic_ns() > _IDLE_NS
            self._timerfd.arm(due - _LEAD_NS if idle else due)
        else:
            if self._watcher is not None:
                self._watcher.stop()
                self._watcher.close()
            delay_s = max(0.0, (due - time.monotonic_ns()) / NS_PER_S)
            self._watcher = gevent.get_hub().loop.timer(delay_s)
            self._watcher.start(self._tick)

    @staticmethod
    def _awaited(due_ns: int) -> int:
        """The instant of now, once `due_ns` has come, if it is only a spin away."""
        now = time.monotonic_ns()
        if due_ns - now <= _LEAD_NS:
            while now < due_ns:
                now = time.monotonic_ns()
        return now

    def _tick(self) -> None:
        if self._timerfd is not None:
            self._timerfd.clear()
        try:
            offset, now = self.offset_ns, self._awaited(self._armed or 0)
            stale = now - self._backlog_ns
            for due, paced in self._schedule.take(now, _BATCH):
                if due >= stale:
                    paced.fire(due + offset)
                else:
                    paced.miss(due + offset)
        except Exception as error:  # the callback's edge: gevent would print it and stop pacing
            self._on_error(error)
        self._armed = None
        if self._watcher is not None:
            self._arm()
