"""The schedule of one process: the connections that keep to it, and the share of `--rate` of each.

The users of some classes keep to the schedule, those of others do not. In the ramp the share is that of all users which
the first will have, so that the load grows with the connections. After it, those that there are share the rate: all
together send it, however their number is edited.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable

import gevent

from wsbench.measure.schedule import Constant, Slots, slots
from wsbench.run.options import RunOptions
from wsbench.run.protocol import Sharing
from wsbench.worker.pacer import FireTogether, Paced, Pacer

_NEVER_AGAIN_NS = 10.0**18
_RESHARE_EACH_S = 20e-6
"""Time between two new shares, for each connection: to compute its new slots takes a fifth of it."""


class LoadSchedule:
    """The objects that one process paces.

    Attributes:
        users: the users of this process, by class.
        pacing: the classes that keep to the schedule.
    """

    def __init__(
        self,
        options: RunOptions,
        pacer: Pacer,
        *,
        worker: int,
        sharing: Sharing,
        on_error: Callable[[Exception], None],
    ) -> None:
        self.users: Counter[str] = Counter()
        self.pacing: set[str] = set()
        self._options = options
        self._pacer = pacer
        self._worker = worker
        self._sharing = sharing
        self._on_error = on_error
        self._sharers: dict[Paced, None] = {}
        self._waiting: set[Paced] = set()
        self._alone: set[Paced] = set()
        self._places = itertools.count()
        self._shares = 0
        self._times_shared = 0
        self._reshare_due = self._closed = False

    # -- users -----------------------------------------------------------------------------------------------------

    def user_came(self, kind: str) -> None:
        """Count a user of this class."""
        self.users[kind] += 1
        self._follow()

    def user_left(self, kind: str) -> None:
        """Count a user of this class no more."""
        self.users[kind] -= 1
        self._follow()

    def keeps(self, kind: str) -> None:
        """Record that users of this class keep to the schedule."""
        if kind not in self.pacing:
            self.pacing.add(kind)
            self._follow()

    def apply(self, sharing: Sharing) -> None:
        """Take what the master knows of the users of all processes."""
        self._sharing = sharing
        self._follow()

    # -- the objects that are paced --------------------------------------------------------------------------------

    def pace(self, paced: Paced) -> None:
        """Put an object on the schedule, once, with its share of the rate; it stays while it is not connected."""
        if paced in self._sharers or self._closed:
            return
        self._sharers[paced] = None
        self._follow()
        if self._reshare_due:
            self._waiting.add(paced)  # until then the others send the whole rate
        else:
            self._pacer.add(paced, self._slots(len(self._sharers) - 1, time.monotonic_ns()))

    def pace_alone(self, paced: Paced, rate: float) -> None:
        """Put an object on the schedule, with a rate that it shares with no other."""
        if self._closed:
            return
        self._alone.add(paced)
        users = self._options.users
        place = next(self._places) * self._options.processes + self._worker
        self._pacer.add(paced, self._slots_of(rate * users, users, place, time.monotonic_ns()))

    def wake(self, paced: Paced, instant_ns: int) -> None:
        """Put an object on the schedule for one instant of CLOCK_REALTIME, in ns; call `unpace` afterwards."""
        self._alone.add(paced)
        self._pacer.add(paced, Constant(_NEVER_AGAIN_NS, instant_ns - self._pacer.offset_ns))

    def unpace(self, paced: Paced) -> None:
        """Take an object off the schedule."""
        if paced in self._waiting:
            self._waiting.discard(paced)
        elif paced in self._sharers or paced in self._alone:
            self._pacer.remove(paced)
        self._sharers.pop(paced, None)
        self._alone.discard(paced)

    def fire_together(self, fire: FireTogether) -> None:
        """Let `fire` send the messages that are due at once."""
        self._pacer.fire_together = fire

    def close(self) -> None:
        """Change no share any more: the run drains."""
        self._closed = True

    # -- shares ----------------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        """Share the rate anew if the number of users that share it has changed."""
        if self._closed or self._reshare_due or not self._sharers or self._sharing_now() == self._shares:
            return
        if self._shares == 0:
            self._shares = self._sharing_now()
            return
        self._reshare_due = True
        gevent.spawn_later(len(self._sharers) * _RESHARE_EACH_S, self._reshare)

    def _sharing_now(self) -> int:
        """Return the number of users that share the rate, in all processes."""
        pacing, others = self.pacing.union(self._sharing.pacing), self._sharing.present
        if not others:
            return sum(self._sharing.expected.get(kind, 0) for kind in pacing) or self._options.users
        counts = [self.users, *(users for worker, users in others.items() if worker != self._worker)]
        return max(1, sum(users.get(kind, 0) for users in counts for kind in pacing))

    def _reshare(self) -> None:
        self._reshare_due = False
        self._waiting.clear()
        if self._closed:
            return
        try:
            self._shares = self._sharing_now()
            self._times_shared += 1
            begin_ns = self._pacer.begin_ns()
            self._pacer.replace({paced: self._slots(rank, begin_ns) for rank, paced in enumerate(self._sharers)})
        except Exception as error:
            self._on_error(error)

    def _slots(self, rank: int, begin_ns: int) -> Slots:
        assert self._options.rate is not None
        return self._slots_of(self._options.rate, self._shares, rank * self._options.processes + self._worker, begin_ns)

    def _slots_of(self, rate: float, connections: int, place: int, begin_ns: int) -> Slots:
        return slots(
            rate=rate,
            connections=connections,
            index=place,
            now_ns=begin_ns,
            arrivals=self._options.arrivals,
            seed=self._worker + 1009 * self._times_shared,
        )
