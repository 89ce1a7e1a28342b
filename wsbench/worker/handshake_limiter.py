"""Limit of simultaneous handshakes, and a signal that others queue for one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import gevent
from gevent.lock import BoundedSemaphore


class QueuedTime(NamedTuple):
    """A time in which handshakes queued, and the CPU that the process used in it."""

    wall_ns: int = 0
    cpu_ns: int = 0


class HandshakeLimiter:
    """Lets at most `at_a_time` handshakes run at once, and reports when others queue.

    More would stall the pacer and overflow the server's listen queue. But a server that is busy with messages takes
    seconds for a handshake: the queue would then make a ramp of thousands last for minutes.

    Args:
        on_contention: called with True when handshakes queue, and with False when the queue is empty or no handshake
            has completed for `patience_s` (our messages are then not what slows the server).
        cpu_ns: returns the CPU that the process has used.
    """

    def __init__(
        self,
        at_a_time: int,
        on_contention: Callable[[bool], object],
        *,
        patience_s: float = 1.0,
        cpu_ns: Callable[[], int] = time.process_time_ns,
    ) -> None:
        self._slots = BoundedSemaphore(at_a_time)
        self._on_contention = on_contention
        self._patience_s = patience_s
        self._queued = 0
        self._cpu_ns = cpu_ns
        self._time = self._began = QueuedTime()
        self._succeeded = 0
        self._contended = False
        self._watch: gevent.Greenlet | None = None

    @property
    def queued(self) -> QueuedTime:
        """Time so far in which handshakes queued."""
        if not self._queued:
            return self._time
        wall_ns, cpu_ns = (now - began for now, began in zip(self._now(), self._began, strict=True))
        return QueuedTime(self._time.wall_ns + wall_ns, self._time.cpu_ns + cpu_ns)

    def _now(self) -> QueuedTime:
        return QueuedTime(time.monotonic_ns(), self._cpu_ns())

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a slot for one handshake; block until one is free."""
        if self._slots.locked():
            self._queue()
        else:
            self._slots.acquire()
        try:
            yield
            self._succeeded += 1
        finally:
            self._slots.release()

    def _queue(self) -> None:
        self._queued += 1
        if self._queued == 1:
            self._began = self._now()
            self._set_contended(True)
            self._watch = gevent.spawn(self._watch_progress)
        try:
            self._slots.acquire()
        finally:
            if self._queued == 1 and self._watch is not None:
                self._time = self.queued
                self._watch.kill(block=False)  # the next queue gets the full patience again
                self._set_contended(False)
            self._queued -= 1

    def _watch_progress(self) -> None:
        while True:
            before = self._succeeded
            gevent.sleep(self._patience_s)
            self._set_contended(self._succeeded > before)

    def _set_contended(self, contended: bool) -> None:
        if contended is not self._contended:
            self._contended = contended
            self._on_contention(contended)
