"""The addresses of one server: looked up, remembered while they answer, and tried in a useful order."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence

from gevent.lock import BoundedSemaphore

from wsbench.transport.resolver import Address, look_up
from wsbench.websocket.connect_errors import unknown_host

_LOOK_UP_EVERY_S = 1.0
_AVOIDED_S = 10.0


class ServerAddresses:
    """The addresses of one server, which all connections of a process to it share.

    A load test must not measure, or flood, the name server. So a name is looked up once, and again only after an
    address that answered has failed, or while none answers; at most once a second.

    Attributes:
        known: all addresses, as found by the last lookup.

    Args:
        use: 'first' (an address that answers keeps all connections) or 'all' (they are used in turn).
        turn: the place of the first connection's address with 'all', so that processes begin with different ones.
        clock: in seconds.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        use: str = "first",
        turn: int = 0,
        look_up: Callable[[str, int], Sequence[Address]] = look_up,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host, self._port = host, port
        self._use = use
        self._turns = itertools.count(turn)
        self._look_up = look_up
        self._clock = clock
        self._lock = BoundedSemaphore()
        self.known: Sequence[Address] = ()
        self._error: Exception | None = None
        self._looked_up_s = -math.inf
        self._stale = True
        self._answering: set[Address] = set()
        self._failed_s: dict[Address, float] = {}

    def resolve(self) -> Sequence[Address]:
        """Return all addresses, after a lookup if one is due; raise ConnectError if the name has none.

        One connection looks the name up. The others wait for it only if no address is known yet.
        """
        if self._due and not (self.known and self._lock.locked()):
            with self._lock:
                if self._due:
                    self._renew()
        if not self.known:
            assert self._error is not None
            raise unknown_host(self._host, self._error) from self._error
        return self.known

    @property
    def _due(self) -> bool:
        return self._stale and self._clock() - self._looked_up_s >= _LOOK_UP_EVERY_S

    def _renew(self) -> None:
        try:
            self.known = self._look_up(self._host, self._port)
            self._stale = False
        except (OSError, UnicodeError) as error:  # addresses that are known may answer again
            self._error = error
        self._looked_up_s = self._clock()

    def order(self, family: int | None = None) -> list[Address]:
        """Return the addresses (of a family) in the order in which the next connection is to try them.

        With 'first', those that answer come first; with 'all', each other connection begins with another address. Those
        that failed in the last 10 s come last.
        """
        now_s = self._clock()
        self._failed_s = {each: at for each, at in self._failed_s.items() if now_s - at < _AVOIDED_S}
        known = [each for each in self.known if family in (None, each[0])]
        usable = [each for each in known if each not in self._failed_s]
        if self._use == "first":
            usable.sort(key=self.answers, reverse=True)
        elif usable:
            begin = next(self._turns) % len(usable)
            usable = usable[begin:] + usable[:begin]
        return usable + [each for each in known if each in self._failed_s]

    def answers(self, address: Address) -> bool:
        """Return whether the last connection to an address was accepted."""
        return address in self._answering

    def accepted(self, address: Address) -> None:
        """Record that an address accepted a connection."""
        self._answering.add(address)
        self._failed_s.pop(address, None)

    def failed(self, address: Address) -> None:
        """Record that an address refused a connection, or did not answer in time."""
        self._stale |= self.answers(address) or not self._answering - {address}
        self._answering.discard(address)
        self._failed_s[address] = self._clock()
