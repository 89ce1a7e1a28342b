"""Estimate of the offset between the master's and a worker's clock (Cristian's), from reports and acknowledgements."""

from __future__ import annotations

from wsbench.units import NS_PER_S

_STALE_NS = 60 * NS_PER_S


class ClockOffsetEstimator:
    """Estimates the offset from the quickest exchange so far: the error is at most half of its duration.

    Attributes:
        offset_ns: the master's clock minus ours.
        error_ns: bound of the estimate's error; None before the first exchange.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self.offset_ns = 0
        self.error_ns: int | None = None

    def record_exchange(self, *, sent_ns: int, answered_ns: int, received_ns: int, host: str) -> None:
        """Use an exchange with the master on `host`: sent and received on our clock, answered on the master's."""
        took = received_ns - sent_ns
        if host == self._host:
            # One machine has one clock: any estimate would be worse.
            self.offset_ns, self.error_ns = 0, 0
        elif 0 <= took < _STALE_NS and (self.error_ns is None or took // 2 < self.error_ns):
            self.offset_ns = answered_ns - (sent_ns + received_ns) // 2
            self.error_ns = took // 2
