"""How far the master's clock is ahead of a worker's: Cristian's estimate, from reports and their acknowledgements."""

from __future__ import annotations

from wsbench.units import NS_PER_S

_STALE_NS = 60 * NS_PER_S


class ClockOffsetEstimator:
    """The offset from the exchange that took the least time so far: the error is at most half of that time.

    Attributes:
        offset_ns: the master's clock minus ours.
        error_ns: bound of the estimate's error; None before the first exchange.
    """

    def __init__(self, own_host: str) -> None:
        self._own_host = own_host
        self.offset_ns = 0
        self.error_ns: int | None = None

    def record_exchange(self, *, sent_ns: int, answered_ns: int, received_ns: int, host: str) -> None:
        """We sent at `sent_ns`, the master noted `answered_ns` on its clock, we had that at `received_ns`."""
        took = received_ns - sent_ns
        if host == self._own_host:
            # One machine has one clock: an estimate could only make that worse.
            self.offset_ns, self.error_ns = 0, 0
        elif 0 <= took < _STALE_NS and (self.error_ns is None or took // 2 < self.error_ns):
            self.offset_ns = answered_ns - (sent_ns + received_ns) // 2
            self.error_ns = took // 2
