"""The estimate of the master's clock from a worker's exchanges with it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wsbench.worker.clocks import ClockOffsetEstimator

MS = 1_000_000


def test_the_quickest_exchange_counts() -> None:
    estimate = ClockOffsetEstimator("here")
    estimate.record_exchange(sent_ns=0, answered_ns=5_000 * MS + 40 * MS, received_ns=100 * MS, host="there")
    assert abs(estimate.offset_ns - 5_000 * MS) <= 50 * MS
    estimate.record_exchange(sent_ns=1_000 * MS, answered_ns=6_001 * MS, received_ns=1_002 * MS, host="there")
    assert (estimate.offset_ns, estimate.error_ns) == (5_000 * MS, 1 * MS)
    estimate.record_exchange(sent_ns=2_000 * MS, answered_ns=7_000 * MS, received_ns=2_080 * MS, host="there")
    assert estimate.offset_ns == 5_000 * MS, "a slower exchange knows less"


def test_one_machine_has_one_clock() -> None:
    estimate = ClockOffsetEstimator("here")
    estimate.record_exchange(sent_ns=0, answered_ns=70 * MS, received_ns=80 * MS, host="here")
    assert (estimate.offset_ns, estimate.error_ns) == (0, 0)


@given(
    offset=st.integers(-(10**12), 10**12),
    ways=st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=10),
)
def test_the_error_is_never_more_than_stated(offset: int, ways: list[tuple[int, int]]) -> None:
    estimate, now = ClockOffsetEstimator("here"), 10**15
    for there, back in ways:
        estimate.record_exchange(
            sent_ns=now, answered_ns=now + there + offset, received_ns=now + there + back, host="there"
        )
        now += 10**9
    assert estimate.error_ns is not None
    assert abs(estimate.offset_ns - offset) <= estimate.error_ns + 1
