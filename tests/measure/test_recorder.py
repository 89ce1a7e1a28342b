"""Counting per interval: everything counts where its message was due, once, and adds up in any order."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsbench.measure.bucket_arrays import SparseBuckets
from wsbench.measure.delta import IntervalDelta
from wsbench.measure.histogram import Buckets, bucket_key, merged, record
from wsbench.measure.phases import INTERVAL_NS, Interval, Phase, PhasePlan
from wsbench.measure.recorder import Recorder
from wsbench.measure.series import TALLY_COUNTS
from wsbench.measure.tally import Tally
from wsbench.measure.totals import Totals

S = INTERVAL_NS
T = 1_000 * S
PLAN = PhasePlan(T, T + 2 * S, T + 5 * S)
INTERVALS = (T - S, T, T + S, T + 2 * S, T + 3 * S, T + 4 * S, T + 5 * S)


class Worker:
    """A process that sends and receives, as the echo drivers do, on the test's clock."""

    def __init__(self, *, closed_loop: bool = False, plan: PhasePlan = PLAN, now_ns: int = T - S) -> None:
        self.now_ns = now_ns
        self.sample = {"cpu_ns": 100, "wire_sent": 0}
        self.recorder = Recorder(plan, now_ns, closed_loop=closed_loop, sample=lambda: self.sample)

    def advance(self, duration_ns: int) -> Tally:
        self.now_ns += duration_ns
        return self.recorder.advance(self.now_ns)

    def send(self, late_ns: int = 0) -> Tally:
        """A message that was due `late_ns` ago."""
        tally = self.recorder.tally_at(self.now_ns - late_ns)
        tally.sent += 1
        record(tally.send_lag, late_ns)
        return tally

    def receive(self, tally: Tally, *, service_ns: int = 7_000, response_ns: int = 9_000) -> None:
        tally.received += 1
        record(tally.service, service_ns)
        record(tally.response, response_ns)
        record(tally.read_lag, 300)

    def take(self) -> dict[int, IntervalDelta]:
        """Return the gains by the interval's start, without zero counts and sampled ones."""
        taken = {delta.start_ns: delta for delta in self.recorder.collect()}
        for delta in taken.values():
            delta.counts = {name: count for name, count in delta.counts.items() if count and name in TALLY_COUNTS}
        return {start: delta for start, delta in taken.items() if delta.counts or delta.series}


class Elsewhere:
    """Counts kept elsewhere, of 3 messages sent and 2 received in a closed loop."""

    def __init__(self) -> None:
        self.counts = (3, 2, 1)
        self.taken = [SparseBuckets(np.array([300]), np.array([2])), SparseBuckets(np.array([7]), np.array([1]))]
        self.outside = [(1, -5)]
        self.closed = False

    def take_counts(self) -> tuple[int, int, int]:
        taken, self.counts = self.counts, (0, 0, 0)
        return taken

    def take_buckets(self) -> list[SparseBuckets]:
        taken, self.taken = self.taken, []
        return taken

    def take_outside(self) -> list[tuple[int, int]]:
        taken, self.outside = self.outside, []
        return taken

    def close(self) -> None:
        self.closed = True


def test_counts_that_are_kept_elsewhere_are_taken_over_and_released_when_nothing_is_in_flight() -> None:
    worker, counts = Worker(closed_loop=True), Elsewhere()
    tally = worker.recorder.current
    tally.external = counts
    worker.advance(S)
    (delta,) = worker.take().values()
    assert delta.counts == {"sent": 3, "received": 2, "user_stamped": 1}
    assert delta.series == {
        "read_lag": {300: 2},
        "service": {7: 1, -5: 1},
        "response": {7: 1, -5: 1},
        "send_lag": {0: 3},
    }
    assert not counts.closed
    counts.counts = (0, 1, 0)
    assert [delta.counts for delta in worker.take().values()] == [{"received": 1}]
    assert counts.closed


def test_changes_of_the_interval_and_of_the_pause_are_announced() -> None:
    worker = Worker()
    recorder, seen = worker.recorder, []
    recorder.on_change = lambda: seen.append((recorder.boundary_ns, recorder.closed_loops_active))
    worker.advance(S)
    recorder.pause_closed_loops(True)
    recorder.set_plan(PhasePlan(T, T + S // 2, T + 5 * S), worker.now_ns)
    assert seen == [(T + S, True), (T + S, False), (T + S // 2, False)]


def total(deltas: Iterable[IntervalDelta]) -> Totals:
    totals = Totals()
    totals.add(deltas)
    return totals


def flat(totals: Totals) -> list[tuple[str, int, dict[str, int], dict[str, Buckets]]]:
    return [
        (each.phase, each.start_ns, {k: v for k, v in each.counts.items() if v}, each.series)
        for each in totals.intervals()
    ]


# -- where something counts ----------------------------------------------------------------------------------------


def test_a_reply_counts_in_the_interval_in_which_its_message_was_due() -> None:
    worker = Worker(now_ns=T + 2 * S)
    tally = worker.send()
    assert worker.take()[T + 2 * S].counts == {"sent": 1}
    worker.advance(2 * S)
    worker.receive(tally, service_ns=2 * S, response_ns=2 * S)
    taken = worker.take()
    assert list(taken) == [T + 2 * S]
    assert (taken[T + 2 * S].phase, taken[T + 2 * S].counts) == ("measure", {"received": 1})
    assert taken[T + 2 * S].series["service"] == {bucket_key(2 * S): 1}


def test_a_message_due_in_the_warm_up_but_answered_while_measuring_is_the_warm_ups() -> None:
    worker = Worker(now_ns=T + 2 * S - 1)
    tally = worker.send()
    worker.advance(1)
    worker.receive(tally)
    totals = total(worker.recorder.collect())
    assert totals.counts(Phase.WARMUP)["received"] == 1
    assert totals.counts(Phase.MEASURE)["received"] == 0
    assert totals.series("service", Phase.MEASURE) == {}


def test_a_message_sent_late_counts_where_it_was_due() -> None:
    worker = Worker(now_ns=T + 3 * S)
    worker.take()
    worker.advance(int(1.2 * S))
    tally = worker.send(late_ns=int(0.5 * S))
    assert tally.interval.start_ns == T + 3 * S
    assert worker.send(late_ns=0) is worker.recorder.current
    assert {start: delta.counts for start, delta in worker.take().items()} == {
        T + 3 * S: {"sent": 1},
        T + 4 * S: {"sent": 1},
    }


def test_an_interval_is_the_same_tally_until_it_ends() -> None:
    worker = Worker(now_ns=T + 2 * S)
    tally = worker.recorder.current
    assert worker.recorder.boundary_ns == T + 3 * S
    assert worker.advance(S - 1) is tally
    assert worker.advance(1) is not tally
    assert worker.recorder.current.interval == Interval(Phase.MEASURE, T + 3 * S, T + 4 * S)
    assert worker.recorder.boundary_ns == T + 4 * S


def test_nothing_is_sent_in_the_drain_phase() -> None:
    worker = Worker(now_ns=T + 5 * S - 1)
    assert worker.recorder.sending
    worker.advance(1)
    assert not worker.recorder.sending
    assert not Worker(now_ns=T + 6 * S).recorder.sending


def test_closed_loops_are_active_while_messages_are_sent_and_they_are_not_paused() -> None:
    worker = Worker(now_ns=T + 4 * S)
    seen = []
    for hold in (True, False, True):
        worker.recorder.pause_closed_loops(hold)
        seen.append((worker.recorder.paused, worker.recorder.closed_loops_active))
    worker.advance(S // 2)
    seen.append((worker.recorder.paused, worker.recorder.closed_loops_active))
    worker.recorder.pause_closed_loops(False)
    worker.advance(S)
    seen.append((worker.recorder.sending, worker.recorder.closed_loops_active))
    assert seen == [(True, False), (False, True), (True, False), (True, False), (False, False)]


def test_a_new_plan_moves_the_phases_from_now_on() -> None:
    worker = Worker(plan=PhasePlan(), now_ns=T)
    worker.send()
    assert worker.recorder.current.interval.phase is Phase.RAMP
    worker.recorder.set_plan(PhasePlan(T, T + S // 2, T + 9 * S), T + S // 2)
    assert worker.recorder.plan == PhasePlan(T, T + S // 2, T + 9 * S)
    assert worker.recorder.current.interval == Interval(Phase.MEASURE, T + S // 2, T + S // 2 + S)
    worker.recorder.set_plan(worker.recorder.plan.ended_at(T + S), T + S)
    assert not worker.recorder.sending
    assert [delta.phase for delta in worker.take().values()] == ["ramp"]


# -- what is kept, and until when ----------------------------------------------------------------------------------


def test_an_interval_is_kept_until_everything_in_it_is_settled() -> None:
    worker = Worker(now_ns=T + 2 * S)
    one, two = worker.send(), worker.send()
    assert one is two
    for _ in range(3):
        worker.advance(S)
        worker.take()
        assert worker.recorder.tally_at(T + 2 * S) is one
    worker.receive(one)
    worker.take()
    assert worker.recorder.tally_at(T + 2 * S) is one
    one.lost += 1
    assert worker.take()[T + 2 * S].counts == {"lost": 1}
    assert worker.recorder.tally_at(T + 2 * S) is not one


def test_gains_of_a_forgotten_interval_are_still_counted() -> None:
    worker = Worker(now_ns=T + 2 * S)
    worker.advance(S)
    worker.take()
    worker.recorder.tally_at(T + 2 * S).missed += 1
    worker.recorder.tally_at(T + 2 * S + 1).missed += 1
    assert worker.take()[T + 2 * S].counts == {"missed": 2}


def test_the_current_interval_is_never_forgotten() -> None:
    worker = Worker(now_ns=T)
    tally = worker.recorder.current
    worker.take()
    worker.take()
    assert worker.recorder.tally_at(T) is tally
    tally.missed += 1
    assert worker.take()[T].counts == {"missed": 1}


def test_a_tally_that_gained_nothing_has_no_delta() -> None:
    tally = Tally(Interval(Phase.MEASURE, 0, S), closed_loop=False)
    assert tally.snapshot()(lambda: None) is None
    tally.sent += 1
    assert tally.snapshot()(lambda: None) == IntervalDelta("measure", 0, {"sent": 1}, {})
    assert tally.snapshot()(lambda: None) is None


LAGS = st.one_of(st.just(0), st.integers(0, 2**42))
TIMES = st.tuples(st.integers(0, 2**42), st.integers(0, 2**42), LAGS)


@given(times=st.lists(TIMES, max_size=40), closed_loop=st.booleans())
@settings(max_examples=100, deadline=None)
def test_a_reply_counts_in_the_series_of_its_loop(times: list[tuple[int, int, int]], closed_loop: bool) -> None:
    tally = Tally(Interval(Phase.MEASURE, 0, S), size=128, closed_loop=closed_loop)
    service: Buckets = {}
    response: Buckets = {}
    send_lag: Buckets = {}
    read_lag: Buckets = {}
    for late, took, lag in times:
        tally.count_sent(128)
        tally.count_reply(128, T, T + late, T + late + took, T + late + took + lag)
        record(service, took)
        record(response, took if closed_loop else late + took)
        record(send_lag, 0 if closed_loop else late)
        record(read_lag, lag)
    assert tally.settled
    delta = tally.snapshot()(lambda: None)
    if not times:
        assert delta is None
        return
    assert delta is not None
    unstamped = sum(1 for *_, lag in times if not lag)
    counts = {"sent": len(times), "received": len(times), "payload_sent": 128 * len(times)}
    counts |= {"payload_received": 128 * len(times)} | ({"user_stamped": unstamped} if unstamped else {})
    assert delta.counts == counts
    assert delta.series == {"service": service, "response": response, "send_lag": send_lag, "read_lag": read_lag}
    assert tally.snapshot()(lambda: None) is None


def test_counts_that_arrive_while_it_yields_belong_to_the_next_call() -> None:
    worker = Worker(now_ns=T)
    first, yields = worker.recorder.current, 0
    first.sent = 10
    first.external = counts = Elsewhere()  # whose distributions are merged in steps
    counts.counts, counts.outside, counts.taken = (0, 0, 0), [], [SparseBuckets.of({}) for _ in range(4)]

    def reply(tally: Tally, count: int = 1) -> None:
        for _ in range(count):
            tally.count_reply(0, T, T, T + 7, T + 9)

    def yield_control() -> None:
        nonlocal yields
        yields += 1
        if yields == 1:  # what was under way comes in, and the next interval begins
            worker.receive(first)
            reply(first, 5)
            worker.advance(S).sent += 3
            reply(worker.recorder.current, 3)

    reply(first, 4)
    taken = [*worker.recorder.collect(yield_control), *worker.recorder.collect(yield_control)]
    assert yields > 1
    assert [(delta.start_ns, delta.counts.get("received", 0)) for delta in taken] == [(T, 4), (T, 6), (T + S, 3)]
    assert [sum(delta.series["service"].values()) for delta in taken] == [4, 6, 3]


# -- what the deltas hold ------------------------------------------------------------------------------------------


def test_an_open_loop_records_four_series() -> None:
    worker = Worker(now_ns=T + 2 * S + 5_000)
    worker.receive(worker.send(late_ns=5_000), service_ns=7_000, response_ns=12_000)
    assert worker.take()[T + 2 * S].series == {
        "response": {bucket_key(12_000): 1},
        "service": {bucket_key(7_000): 1},
        "send_lag": {bucket_key(5_000): 1},
        "read_lag": {300: 1},
    }


def test_in_a_closed_loop_response_is_service_and_nothing_is_sent_late() -> None:
    tally = Tally(Interval(Phase.MEASURE, 0, S))
    tally.sent, tally.received = 3, 2
    record(tally.service, 7_000, 2)
    record(tally.read_lag, 300, 2)
    delta = tally.snapshot()(lambda: None)
    assert delta is not None
    assert delta.series == {
        "response": {bucket_key(7_000): 2},
        "service": {bucket_key(7_000): 2},
        "send_lag": {0: 3},
        "read_lag": {300: 2},
    }
    delta.series["response"][1] = 5
    assert 1 not in delta.series["service"], "two series that are one dict would be merged twice"


def test_all_counts_of_a_tally_are_in_its_delta() -> None:
    tally = Tally(Interval(Phase.MEASURE, 0, S))
    for number, name in enumerate(TALLY_COUNTS, 1):
        setattr(tally, name, number)
    delta = tally.snapshot()(lambda: None)
    assert delta is not None
    assert delta.counts == {name: number for number, name in enumerate(TALLY_COUNTS, 1)}


def test_durations_of_opened_connections_count_by_when_they_opened() -> None:
    worker = Worker(now_ns=T - S)
    worker.recorder.connected({"connect": 900, "tcp": 400, "upgrade": 500})
    worker.recorder.connected({"connect": 900, "tcp": 300, "tls": 100, "upgrade": 500})
    assert worker.take()[T - S].series == {
        "connect": {900: 2},
        "tcp": {400: 1, 300: 1},
        "tls": {100: 1},
        "upgrade": {500: 2},
    }
    worker.advance(S)
    worker.recorder.connected({"connect": 1})
    assert worker.take()[T].series == {"connect": {1: 1}}


def test_running_totals_of_the_process_are_shared_out_by_interval() -> None:
    worker = Worker(now_ns=T)
    worker.sample = {"cpu_ns": 130, "wire_sent": 5}
    first = worker.recorder.collect()
    worker.sample = {"cpu_ns": 150, "wire_sent": 5}
    worker.advance(S)
    worker.sample = {"cpu_ns": 151, "wire_sent": 9}
    totals = total([*first, *worker.recorder.collect()])
    shares = [(each.start_ns, each.counts["cpu_ns"], each.counts["wire_sent"]) for each in totals.intervals()]
    assert shares == [(T, 50, 5), (T + S, 1, 4)]


def test_replied_counts_replies_by_when_they_were_handled() -> None:
    worker = Worker(now_ns=T + 2 * S)
    tally = worker.send()
    first = worker.recorder.collect()
    worker.advance(S)
    worker.receive(tally)
    worker.receive(worker.send())
    second = worker.recorder.collect()
    worker.advance(S)
    third = worker.recorder.collect()
    by_interval = {each.start_ns: each.counts["replied"] for each in total([*first, *second, *third]).intervals()}
    assert by_interval == {T + 2 * S: 0, T + 3 * S: 2, T + 4 * S: 0}


# -- adding up -----------------------------------------------------------------------------------------------------

# (what, which one, how much): of a worker that lives through all phases
STEPS = st.lists(
    st.tuples(st.sampled_from(["send", "send", "reply", "reply", "lose", "advance", "take"]), st.integers(0, 10**9)),
    min_size=20,
    max_size=80,
)


class Truth:
    """Messages sent and received by all workers, by the interval in which they were due."""

    def __init__(self) -> None:
        self.counts: dict[tuple[int, str], int] = {}
        self.service: dict[int, Buckets] = {}

    def count(self, tally: Tally, name: str) -> None:
        key = (tally.interval.start_ns, name)
        self.counts[key] = self.counts.get(key, 0) + 1


def live(steps: list[tuple[str, int]], truth: Truth, *, closed_loop: bool) -> list[IntervalDelta]:
    """Return the deltas of a worker that does all that."""
    worker = Worker(closed_loop=closed_loop)
    under_way: list[Tally] = []
    deltas: list[IntervalDelta] = []
    for what, number in steps:
        if what == "send":
            tally = worker.send(late_ns=number % (S // 2) if number % 3 == 0 else 0)
            truth.count(tally, "sent")
            under_way.append(tally)
        elif what == "advance":
            worker.advance(number % (2 * S))
        elif what == "take":
            deltas += worker.recorder.collect()
        elif under_way:
            tally = under_way.pop(number % len(under_way))
            if what == "lose":
                tally.lost += 1
                truth.count(tally, "lost")
            else:
                worker.receive(tally, service_ns=number, response_ns=number + 5)
                truth.count(tally, "received")
                record(truth.service.setdefault(tally.interval.start_ns, {}), number)
    return [*deltas, *worker.recorder.collect()]


@given(workers=st.lists(STEPS, min_size=1, max_size=3), closed_loop=st.booleans(), seed=st.integers(0, 2**32))
@settings(max_examples=80)
def test_deltas_add_up_to_what_happened_in_any_order_and_grouping(
    workers: list[list[tuple[str, int]]], closed_loop: bool, seed: int
) -> None:
    truth = Truth()
    deltas = [delta for steps in workers for delta in live(steps, truth, closed_loop=closed_loop)]
    expected = flat(total(_copies(deltas)))

    counted = {
        (start, name): n for _, start, counts, _ in expected for name, n in counts.items() if name in TALLY_COUNTS
    }
    assert counted == truth.counts
    assert {start: series["service"] for _, start, _, series in expected if "service" in series} == truth.service
    assert sum(counts.get("replied", 0) for _, _, counts, _ in expected) == sum(
        n for (_, name), n in truth.counts.items() if name == "received"
    )

    source = random.Random(seed)
    shuffled = _copies(deltas)
    source.shuffle(shuffled)
    assert flat(total(shuffled)) == expected

    # two masters that each add up a part, and a third one that adds up theirs
    cut = source.randrange(len(shuffled) + 1)
    parts = [total(_copies(shuffled[:cut])), total(_copies(shuffled[cut:]))]
    assert flat(total(interval for part in parts for interval in part.intervals())) == expected


def _copies(deltas: Iterable[IntervalDelta]) -> list[IntervalDelta]:
    """Return deltas as decoded from a report: no two share a dict."""
    return [msgspec.msgpack.decode(msgspec.msgpack.encode(delta), type=IntervalDelta) for delta in deltas]


def test_adding_leaves_the_added_delta_unchanged() -> None:
    delta = IntervalDelta("measure", T, {"sent": 1}, {"service": {5: 1}})
    totals = total([delta, delta])
    assert totals.counts()["sent"] == 2
    assert delta == IntervalDelta("measure", T, {"sent": 1}, {"service": {5: 1}})
    totals.series("service")[5] = 99
    assert totals.series("service") == {5: 2}


TOTALS = total(
    IntervalDelta(phase, start, {"sent": n, "cpu_ns": 7}, {"service": {n: 1}})
    for n, (phase, start) in enumerate(
        [("measure", T + 2 * S), ("ramp", T - S), ("measure", T + 3 * S), ("warmup", T)], 1
    )
)


@pytest.mark.parametrize(
    ("phase", "sent", "starts", "service"),
    [
        (None, 10, [T - S, T, T + 2 * S, T + 3 * S], {1: 1, 2: 1, 3: 1, 4: 1}),
        (Phase.RAMP, 2, [T - S], {2: 1}),
        (Phase.MEASURE, 4, [T + 2 * S, T + 3 * S], {1: 1, 3: 1}),
        (Phase.DRAIN, 0, [], {}),
    ],
)
def test_totals_of_one_phase_or_of_all(phase: Phase | None, sent: int, starts: list[int], service: Buckets) -> None:
    assert TOTALS.counts(phase)["sent"] == sent
    assert TOTALS.counts(phase).get("cpu_ns", 0) == 7 * len(starts)
    assert [each.start_ns for each in TOTALS.intervals(phase)] == starts
    assert TOTALS.series("service", phase) == service
    assert TOTALS.series("response", phase) == {}


def test_totals_name_every_count_even_when_there_is_none() -> None:
    assert Totals().counts() == dict.fromkeys(TALLY_COUNTS, 0)


def test_series_of_intervals_add_up_to_the_series_of_the_phase() -> None:
    parts: list[Any] = [each.series["service"] for each in TOTALS.intervals(Phase.MEASURE)]
    assert merged(parts) == TOTALS.series("service", Phase.MEASURE)


def test_adding_to_totals_leaves_the_deltas_unchanged() -> None:
    few, many = {1: 1, 2: 2}, {key: key for key in range(100)}
    for first, second in ((few, many), (many, few)):
        deltas = [IntervalDelta("measure", 0, {"sent": 1}, {"service": dict(b)}) for b in (first, second)]
        total = Totals()
        total.add(deltas)
        total.add(deltas)
        assert total.series("service") == merged([few, few, many, many])
        assert [delta.series["service"] for delta in deltas] == [first, second]
