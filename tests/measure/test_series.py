"""Series and counters that a scenario names: round trips, durations, groups."""

from __future__ import annotations

import random

import msgspec
import pytest

from wsbench.measure.delta import IntervalDelta, lost_of
from wsbench.measure.histogram import percentile
from wsbench.measure.phases import INTERVAL_NS, Interval, Phase
from wsbench.measure.quantity import Quantity
from wsbench.measure.series import check_name, decode_name, encode_name, file_stem
from wsbench.measure.tally import Tally
from wsbench.measure.totals import Totals
from wsbench.run.gate_parser import parse

S = INTERVAL_NS
SECOND = Interval(Phase.MEASURE, 10 * S, 11 * S)


def taken(tally: Tally) -> IntervalDelta:
    delta = tally.snapshot()(lambda: None)
    assert delta is not None
    return msgspec.msgpack.decode(msgspec.msgpack.encode(delta), type=IntervalDelta)


def round_trip(tally: Tally, name: str, *, due_ns: int, sent_ns: int, arrived_ns: int) -> None:
    named = tally.round_trips(name)
    tally.sent += 1
    named.sent(due_ns, sent_ns)
    tally.received += 1
    named.replied(due_ns, sent_ns, arrived_ns)


def test_a_named_round_trip_is_in_its_own_series_and_in_the_runs() -> None:
    tally = Tally(SECOND)
    round_trip(tally, "login", due_ns=100, sent_ns=100, arrived_ns=150)
    delta = taken(tally)
    assert delta.series == {"login": {50: 1}, "response": {50: 1}, "service": {50: 1}, "send_lag": {0: 1}}


def test_a_paced_round_trip_has_a_series_of_service_times() -> None:
    tally = Tally(SECOND, closed_loop=False)
    round_trip(tally, "order", due_ns=100, sent_ns=130, arrived_ns=150)
    for_open = taken(tally)
    assert for_open.series["order"] == for_open.series["response"] == {50: 1}
    assert for_open.series["order.service"] == for_open.series["service"] == {20: 1}
    assert for_open.series["send_lag"] == {30: 1}


def test_messages_of_the_echo_users_and_named_ones_add_up() -> None:
    tally = Tally(SECOND)
    tally.sent, tally.received, tally.service = 2, 2, {7: 2}
    round_trip(tally, "order", due_ns=100, sent_ns=130, arrived_ns=150)
    delta = taken(tally)
    assert delta.series["response"] == {7: 2, 50: 1} and delta.series["send_lag"] == {0: 2, 30: 1}


def test_an_interval_is_settled_when_all_requests_are_answered() -> None:
    tally = Tally(SECOND)
    tally.sent, tally.one_way = 3, 2
    assert not tally.settled
    tally.received, tally.pushed = 5, 5
    assert not tally.settled
    tally.received += 1
    assert tally.settled


def test_a_delta_is_not_returned_twice() -> None:
    tally = Tally(SECOND)
    round_trip(tally, "login", due_ns=1, sent_ns=1, arrived_ns=3)
    tally.value("away", 9)
    tally.count("heard", 2)
    tally.grouped("fanout", 1, 5)
    tally.unanswered("ping")
    tally.round_trips("login").lost += 1
    taken(tally)
    assert tally.snapshot()(lambda: None) is None


def test_totals_know_the_names_the_losses_and_the_counters() -> None:
    totals = Totals()
    for phase in (Phase.WARMUP, Phase.MEASURE):
        tally = Tally(Interval(phase, 10 * S, 11 * S))
        tally.value("away", 9)
        tally.round_trips("login").lost += 2
        tally.unanswered("ping")
        tally.count("heard", 3)
        totals.add([taken(tally)])
    assert totals.names() == ["away", "login", "ping"]
    assert [lost_of(name, totals.counts()) for name in ("login", "ping", "away")] == [4, 2, 0]
    assert lost_of("login", totals.counts(Phase.MEASURE)) == 2
    assert totals.counters() == {"heard": 6}


def test_parts_of_a_group_are_in_their_order() -> None:
    tally = Tally(SECOND)
    for name in ("delivery.last", "delivery", "delivery.median", "delivery.first", "delivering", "first", "z.first"):
        tally.value(name, 1)
    totals = Totals()
    totals.add([taken(tally)])
    in_order = ["delivering", "delivery", "delivery.first", "delivery.median", "delivery.last", "first", "z.first"]
    assert totals.names() == in_order


def groups_of(workers: int, receivers: int, messages: int) -> list[IntervalDelta]:
    """Message `m` reaches receiver `r` after 1000 * m + r ns."""
    tallies = [Tally(SECOND) for _ in range(workers)]
    for message in range(messages):
        for receiver in range(receivers):
            tallies[receiver % workers].grouped("fanout", message, 1000 * message + receiver)
    return [taken(tally) for tally in tallies]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_group_has_a_first_a_median_and_a_last(workers: int) -> None:
    deltas = groups_of(workers, receivers=9, messages=2)
    random.Random(workers).shuffle(deltas)
    totals = Totals()
    totals.add(deltas)
    assert totals.names() == []
    totals.settle_groups(11 * S)
    found = {part: totals.series(f"fanout.{part}", Phase.MEASURE) for part in ("first", "median", "last")}
    assert found == {"first": {0: 1, 1000: 1}, "median": {4: 1, 1004: 1}, "last": {8: 1, 1008: 1}}
    assert percentile(found["last"], 100) == 1008


def test_groups_are_settled_once_and_not_too_early() -> None:
    early, late = groups_of(2, receivers=4, messages=1)
    totals = Totals()
    totals.add([early])
    totals.settle_groups(10 * S)
    assert totals.names() == []
    totals.settle_groups(11 * S)
    totals.add([late])
    totals.settle_groups(12 * S)
    assert totals.series("fanout.last") == {2: 1}


NAMES = [
    "a",
    "say.hello",
    "GET_x-1+2",
    "GET /api",
    "/v1.0/p99",
    ".hidden",
    "-rf",
    "..",
    "a,b",
    'ä"%41',
    "GET /a.errors",
]


@pytest.mark.parametrize("name", [*NAMES, "x" * 200, "😀" * 200])
def test_names(name: str) -> None:
    assert check_name(name) == name
    assert parse(f"{Quantity(None, name, 'p99')} > 1s").quantity == Quantity(None, name, "p99")
    tag, stem = encode_name(name), file_stem(name)
    assert decode_name(tag) == name and not set(tag) & set(", \n/") and tag[0] not in ".-"
    assert len(stem.encode()) <= 200 and "/" not in stem


def test_long_names_have_files_of_their_own() -> None:
    assert len({file_stem("ä" * 150 + end) for end in ("a", "b", "ä", "")}) == 4


@pytest.mark.parametrize(
    "name", ["", "a\nb", "a\u2028b", "a\x00", "\ud800", "x" * 201, "response", "tls", "a.errors", "measure.x", "http"]
)
def test_no_names(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        check_name(name)
