"""The pacer of a process: wakes at the due instants of an open loop, by a timerfd on the hub.

gevent's own timers use libev and epoll, whose resolution is a millisecond. A timerfd is a file descriptor that becomes
readable at an instant of CLOCK_MONOTONIC; the hub watches it like a socket and wakes some 50 µs late.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, Protocol

import gevent

from wsbench.measure.schedule import Schedule, Slots
from wsbench.units import NS_PER_S

_READ = 1
_CLOCK_MONOTONIC = 1
_TFD_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_TFD_TIMER_ABSTIME = 1
_NEVER_NS = 2**62
_BATCH = 64
"""Maximum of messages sent before replies are read."""
_LEAD_NS = 50_000
"""The timer is set this much early, and the pacer polls for the rest: about the time of a wake-up, with warm caches."""
_NEAR_NS = 70_000
"""For less than this the pacer polls: setting a timer that expires soon takes 10 to 20 µs of CPU on its own."""
_TURN_NS = 500_000
"""Maximum time of polling and sending; then the hub runs everything else once, for some 20 µs."""


class _TimerSpec(ctypes.Structure):
    _fields_ = [(name, ctypes.c_long) for name in ("interval_s", "interval_ns", "value_s", "value_ns")]


class TimerFd:
    """Calls back on the hub at an instant of CLOCK_MONOTONIC, and from then on in every iteration of the hub.

    It raises OSError where the platform has no timerfd.
    """

    def __init__(self, callback: Callable[[], None]) -> None:
        if sys.platform != "linux":
            raise OSError("timerfd needs Linux")
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = self._libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._spec = _TimerSpec(0, 0, 0, 0)
        self._reference = ctypes.byref(self._spec)
        self._watcher = gevent.get_hub().loop.io(self.fd, _READ)
        self._watcher.start(callback)

    def arm(self, instant_ns: int) -> None:
        """Call back at `instant_ns`; at once if it is past."""
        self._spec.value_s, self._spec.value_ns = divmod(max(instant_ns, 1), NS_PER_S)
        self._libc.timerfd_settime(self.fd, _TFD_TIMER_ABSTIME, self._reference, None)

    def close(self) -> None:
        """Stop calling back."""
        self._watcher.stop()
        self._watcher.close()
        os.close(self.fd)


class HubTimer:
    """The same with the hub's timer, where there is no timerfd: late by up to a millisecond."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._watcher: Any = None

    def arm(self, instant_ns: int) -> None:
        """Call back at `instant_ns`; at once if it is past."""
        self.close()
        self._watcher = gevent.get_hub().loop.timer(max(0.0, (instant_ns - time.monotonic_ns()) / NS_PER_S), 1e-9)
        self._watcher.start(self._callback)

    def close(self) -> None:
        """Stop calling back."""
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()


class Paced(Protocol):
    """An object that sends messages when they are due (ns of CLOCK_REALTIME); see `Pacer.has_waiters`."""

    has_waiters: bool

    def fire(self, due_ns: int) -> None:
        """Send a message that is due, now or shortly before."""

    def miss(self, due_ns: int, count: int) -> None:
        """Count messages that are not sent because they were due too long ago: in the interval of `due_ns`."""


FireTogether = Callable[[list[tuple[int, Paced]]], None]


def _fire_each(due: list[tuple[int, Paced]]) -> None:
    for due_ns, paced in due:
        paced.fire(due_ns)


class Pacer:
    """Fires each connection when a message of it is due.

    Due instants are on CLOCK_MONOTONIC; `offset_ns` converts them to CLOCK_REALTIME, and the engine keeps it current.
    They never move: an overdue message is sent at once and counted as late. When one is overdue by more than
    `backlog_ns`, all that are overdue are missed. Missed ones are counted by their number, not one by one, so a rate
    beyond all means does not stop the hub.

    While the next message is due soon, the pacer polls: it reads replies and checks the clock. In between, the hub runs
    without sleeping, because an expired timerfd stays readable until it is set again. So a wake-up costs one system
    call, and messages that are due at once cost only their own.

    Attributes:
        exact: whether a timerfd wakes it; otherwise the hub's timer does.
        has_waiters: greenlets wait for due instants or replies: the hub runs them after each.
        fire_together: sends many messages that are due (ns of CLOCK_REALTIME) in one call.
        polled_ns: time spent polling without result so far, which the process could have used otherwise.
    """

    def __init__(
        self,
        *,
        offset_ns: int,
        backlog_ns: int,
        on_error: Callable[[Exception], None],
        interval_end: Callable[[int], int] = lambda due_ns: due_ns + NS_PER_S,
        read: Callable[[], bool] | None = None,
    ) -> None:
        """Prepare to pace.

        Args:
            interval_end: returns the end of an instant's interval, of CLOCK_REALTIME.
            read: reads the replies that have arrived and returns whether there were any; without it, the hub reads.
        """
        self.offset_ns = offset_ns
        self.has_waiters = False
        self._backlog_ns = backlog_ns
        self._schedule: Schedule[Paced] = Schedule()
        self._on_error = on_error
        self._interval_end = interval_end
        self._read = read
        self._next: int | None = None
        self._expired = False
        self.fire_together: FireTogether = _fire_each
        self.polled_ns = 0
        self._timer: TimerFd | HubTimer
        try:
            self._timer = TimerFd(self._tick)
        except OSError:
            self._timer = HubTimer(self._tick)
        self.exact = isinstance(self._timer, TimerFd)

    def add(self, paced: Paced, slots: Slots) -> None:
        """Add a connection with its slots."""
        self.has_waiters |= paced.has_waiters
        self._schedule.add(paced, slots)
        due = self._schedule.next_due_ns
        if due != self._next:
            self._next = due
            if not self._expired:
                self._set_timer()

    def remove(self, paced: Paced) -> None:
        """Remove a connection, which must have been added once."""
        self._schedule.remove(paced)

    def begin_ns(self) -> int:
        """Return the first instant of CLOCK_MONOTONIC for which nothing has been fired."""
        now = time.monotonic_ns()
        return now if self._next is None else min(now, self._next)

    def replace(self, slots: Mapping[Paced, Slots]) -> None:
        """Give connections other slots in place of all that they have."""
        self.has_waiters |= any(paced.has_waiters for paced in slots)
        self._schedule.replace(slots)
        self._next = self._schedule.next_due_ns
        if not self._expired:
            self._set_timer()

    def is_behind(self, instant_ns: int) -> bool:
        """Return whether a message due before an instant (CLOCK_REALTIME) has not been sent."""
        return self._next is not None and self._next + self.offset_ns < instant_ns

    def stop(self) -> None:
        """Stop firing and release the timer. Messages that are due and unsent are missed."""
        for due_ns, paced, count in self._overdue(time.monotonic_ns()):
            paced.miss(due_ns, count)
        self._schedule.clear()
        self._timer.close()

    def _tick(self) -> None:
        self._expired = True
        began = time.monotonic_ns()
        end = began + _TURN_NS
        while began < end:
            fired = self._fire(began)
            if self._next is None or self._next - time.monotonic_ns() >= _NEAR_NS:
                self._set_timer()
                return
            if self._read is None or (fired and self.has_waiters):
                return
            came = self._read()
            now = time.monotonic_ns()
            if not fired and not came:
                self.polled_ns += now - began
            elif self.has_waiters:
                return
            began = now

    def _fire(self, now: int) -> bool:
        """Send the messages that are due; return whether there were any."""
        if self._next is None or now < self._next:
            return False
        try:
            if self._next < now - self._backlog_ns:
                # All that are overdue: else it would stay so late, though it keeps up with the rate again.
                for due_ns, paced, count in islice(self._overdue(now), _BATCH):
                    paced.miss(due_ns, count)
            else:
                offset = self.offset_ns
                self.fire_together([(due + offset, paced) for due, paced in self._schedule.take(now, _BATCH)])
        except Exception as error:  # in a hub callback: gevent would print it and stop pacing
            self._on_error(error)
        self._next = self._schedule.next_due_ns
        return True

    def _overdue(self, until_ns: int) -> Iterator[tuple[int, Paced, int]]:
        """Skip slots before `until_ns`: yield the first of some (of CLOCK_REALTIME), their connection, their number."""
        offset, interval_end = self.offset_ns, self._interval_end
        for due, paced, count in self._schedule.skip(until_ns, lambda due: interval_end(due + offset) - offset):
            yield due + offset, paced, count

    def _set_timer(self) -> None:
        self._timer.arm(_NEVER_NS if self._next is None else self._next - _LEAD_NS)
        self._expired = False
