"""The table in C has the same messages and buckets as `measure`, checks every bound, and reads bytes cut in any way."""

from __future__ import annotations

import itertools
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import frames
from hypothesis import given
from hypothesis import strategies as st

from wsbench import native
from wsbench.measure.histogram import HIGHEST_KEY, bucket_key
from wsbench.measure.payloads import JsonMessages, padding
from wsbench.websocket.frames import BINARY, TEXT

pytestmark = pytest.mark.needs("native")

EVENTS = select.EPOLLIN | select.EPOLLET
HOUR_NS = 3600 * 10**9
NEVER_NS = 2**63 - 1
BROKEN = [
    {"size": 2**20 + 1},
    {"window": 2**16 + 1},
    {"first_byte": 256},
    {"size": -1},
    {"timeout_ns": -1},
    {"period": 0},
    {"places": 0},
    {"source": b"too little"},
    {"source": b"of another size", "padded": False},
    {"source": "text"},
]


def table(size: int = 128, window: int = 1, payload: bytes | None = None, **changed: Any) -> Any:
    noise, places, stride, period = padding(size)
    options = {"size": size, "first_byte": TEXT, "window": window, "timeout_ns": HOUR_NS, "source": noise}
    options |= {"padded": True, "places": places, "stride": stride, "period": period}
    if payload is not None:
        options |= {"size": len(payload), "source": payload, "padded": False}
    return native.Table(**{**options, **changed})


class Served:
    """A table with one connection, of which the test has the other end."""

    def __init__(self, size: int, window: int, first_byte: int = TEXT) -> None:
        self.size, self.window = size, window
        self.opcode = first_byte & 0x0F
        self.here, self.there = socket.socketpair()
        self.epoll = select.epoll()
        self.epoll.register(self.here, EVENTS)
        self.table = table(size, window, first_byte=first_byte)
        self.tally = self.table.open_tally()
        self.table.follow(self.tally, 0, NEVER_NS, True)
        self.messages = JsonMessages(7, size)
        now = time.time_ns()
        self.table.put(self.here.fileno(), 7, 1, [(now, now, self.tally)] * window)

    def echo(self, seq: int) -> bytes:
        return frames.encode(self.opcode, self.messages.build(seq))

    def poll(self) -> Any:
        return self.table.poll(self.epoll.fileno(), EVENTS, 64)

    def sent(self) -> list[bytes]:
        """Return the payloads of what the table has sent."""
        parser, heard = frames.FrameParser(), []
        self.there.setblocking(False)
        try:
            while data := self.there.recv(1 << 20):
                heard += parser.feed(data)
        except BlockingIOError:
            pass
        return [message.payload for message in heard]

    def buckets(self) -> list[dict[int, int]]:
        taken = self.table.take_buckets(self.tally)
        return [dict(zip(*(np.frombuffer(part, np.int64).tolist() for part in each), strict=True)) for each in taken]

    def close(self) -> None:
        self.epoll.close()
        self.here.close()
        self.there.close()


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served(128, 4)
    yield served
    served.close()


@given(
    connection_id=st.integers(0, 10**9),
    size=st.integers(48, 1100) | st.sampled_from([65_535, 65_536, 70_000]),
    seq=st.integers(1, 10**4) | st.integers(1, 10**10),
)
def test_messages_have_the_bytes_of_measure(connection_id: int, size: int, seq: int) -> None:
    assert table(size).payload(connection_id, seq) == JsonMessages(connection_id, size).build(seq)


def test_numbers_with_no_room_in_a_message_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        table(48).payload(2**64 - 1, 2**64 - 1)


@given(st.integers(0, HOUR_NS) | st.integers(0, 5000))
def test_buckets_are_those_of_measure(value_ns: int) -> None:
    assert native.bucket_key(value_ns) == bucket_key(value_ns)


@pytest.mark.parametrize("value_ns", [-1, -(2**63), 2**63 - 1, HOUR_NS + HOUR_NS // 1000])
def test_values_that_no_histogram_holds_have_no_bucket(value_ns: int) -> None:
    assert native.bucket_key(value_ns) == -1
    assert not 0 <= bucket_key(value_ns) <= HIGHEST_KEY


@given(
    size=st.integers(48, 300) | st.sampled_from([1024, 65_536, 100_000]),
    window=st.integers(1, 6),
    binary=st.booleans(),
    cuts=st.lists(st.floats(0, 1), max_size=5),
)
def test_replies_cut_anywhere_are_counted_and_answered(size: int, window: int, binary: bool, cuts: list[float]) -> None:
    served = Served(size, window, BINARY if binary else TEXT)
    try:
        data = b"".join(served.echo(seq) for seq in range(1, window + 1))
        places = sorted({0, *(int(cut * len(data)) for cut in cuts), len(data)})
        heard: list[bytes] = []
        served.there.setblocking(True)
        for begin, end in itertools.pairwise(places):
            for at in range(begin, end, 50_000):  # a socket has no room for more
                served.there.setblocking(True)
                served.there.sendall(data[at : min(at + 50_000, end)])
                ready, _, _, others, leftovers = served.poll()
                assert (ready, others, leftovers) == (1, [], [])
                heard += served.sent()
        assert heard == [served.messages.build(seq) for seq in range(window + 1, 2 * window + 1)]
        assert served.table.take_counts(served.tally) == (window, window, window)
        assert served.table.take(served.here.fileno())[0] == window + 1
    finally:
        served.close()


@given(place=st.integers(0, 4 * 124 - 1), change=st.integers(1, 255), cut=st.integers(1, 4 * 124 - 1))
def test_a_damaged_reply_is_handed_over_with_all_that_follows(place: int, change: int, cut: int) -> None:
    """Every byte is compared, and every byte is either counted or handed over."""
    served = Served(122, 4)  # 124 bytes with the header
    try:
        data = bytearray(b"".join(served.echo(seq) for seq in range(1, 5)))
        data[place] ^= change
        given, leftovers = 0, []
        for piece in (data[:cut], data[cut:]):
            if not leftovers:
                served.there.setblocking(True)
                served.there.sendall(piece)
                given += len(piece)
                leftovers = served.poll()[4]
        whole = place // 124
        assert [leftover[4] for leftover in leftovers] == [bytes(data[whole * 124 : given])]
        assert served.table.take_counts(served.tally)[1] == whole
        oldest, flights, matched = served.table.take(served.here.fileno())
        assert (oldest, len(flights), matched) == (whole + 1, 4, b"")
    finally:
        served.close()


def test_distributions_have_a_value_for_each_reply(served: Served) -> None:
    served.there.sendall(served.echo(1) + served.echo(2))
    served.poll()
    counts = served.buckets()
    assert [sum(each.values()) for each in counts] == [2, 2]
    assert counts[0] == {0: 2}  # no kernel timestamp on such a socket: it arrived when it was handled
    assert served.table.take_buckets(served.tally) == []


def test_values_that_no_histogram_holds_are_handed_over_one_by_one() -> None:
    served = Served(128, 0)
    fd, later_ns = served.here.fileno(), time.time_ns() + HOUR_NS
    try:
        served.table.take(fd)
        served.table.put(fd, 7, 1, [(later_ns, later_ns, served.tally)] * 100)
        served.there.sendall(b"".join(served.echo(seq) for seq in range(1, 101)))
        (leftover,) = served.poll()[4]
        counted = served.table.take_counts(served.tally)[1]
        assert leftover[4] == b"".join(served.echo(seq) for seq in range(counted + 1, 101))
        outside = served.table.take_outside(served.tally)
        assert [place for place, _ in outside] == [1, 2] * counted  # service and response are negative
        assert 60 <= len(outside) <= 64
        assert all(-HOUR_NS < value_ns < 0 for _, value_ns in outside)
        assert served.table.take_outside(served.tally) == []
        assert served.buckets() == [{0: counted}, {}, {}, {0: counted}]
    finally:
        served.close()


def test_nothing_is_counted_or_sent_after_the_interval(served: Served) -> None:
    served.table.follow(served.tally, 0, time.time_ns(), True)
    served.there.sendall(served.echo(1))
    (leftover,) = served.poll()[4]
    assert leftover[4] == b""
    assert served.table.take_counts(served.tally) == (0, 1, 1)
    assert served.sent() == []
    assert served.table.in_flight(served.here.fileno()) == 3


def test_a_paused_table_hands_over_everything(served: Served) -> None:
    served.there.sendall(served.echo(1)[:30])
    assert served.poll()[4] == []
    served.table.follow(served.tally, 0, NEVER_NS, False)
    served.there.sendall(served.echo(1)[30:] + served.echo(2))
    (leftover,) = served.poll()[4]
    assert leftover[4] == served.echo(1) + served.echo(2)
    assert served.table.take_counts(served.tally)[1] == 0


def test_an_overdue_reply_is_handed_over(served: Served) -> None:
    fd = served.here.fileno()
    served.table.take(fd)
    long_ago = time.time_ns() - HOUR_NS - 1
    served.table.put(fd, 7, 1, [(long_ago, long_ago, served.tally)])
    served.there.sendall(served.echo(1))
    (leftover,) = served.poll()[4]
    assert leftover[4] == served.echo(1)


def test_bytes_that_nobody_awaits_are_handed_over(served: Served) -> None:
    fd = served.here.fileno()
    served.table.take(fd)
    served.table.put(fd, 7, 1, [])
    served.there.sendall(b"?")
    (leftover,) = served.poll()[4]
    assert leftover[4] == b"?"


def test_what_a_full_socket_does_not_take_is_handed_over() -> None:
    served = Served(100_000, 1)
    fd = served.here.fileno()
    served.here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    try:
        echoed = served.echo(1)
        leftovers: list[Any] = []
        for at in range(0, len(echoed), 50_000):
            served.there.sendall(echoed[at : at + 50_000])
            leftovers += served.poll()[4]
        ((_, unsent, send_error, read_error, rest, _, _),) = leftovers
        assert 0 < len(unsent) <= 100_014
        assert (read_error, rest) == (0, b"")
        assert send_error in (0, 11)
        assert served.table.take_counts(served.tally)[:2] == (1, 1)
        served.there.sendall(b"?")
        assert served.poll()[3] == [(fd, select.EPOLLIN)], "a part of a frame is followed by nothing but its rest"
    finally:
        served.close()


def test_more_bytes_than_one_read_takes_are_reported_again() -> None:
    served = Served(1000, 100)
    try:
        served.there.sendall(b"".join(served.echo(seq) for seq in range(1, 101)))
        polls = [served.poll() for _ in range(3)]
        assert [ready for ready, *_ in polls] == [1, 1, 0]
        assert [received for _, received, *_ in polls] == [65_536, 100 * 1004 - 65_536, 0]
        assert served.table.take_counts(served.tally)[:2] == (100, 100)
    finally:
        served.close()


def test_the_end_of_the_stream_is_left_to_the_connection(served: Served) -> None:
    served.there.shutdown(socket.SHUT_WR)
    assert served.poll()[3:] == ([(served.here.fileno(), select.EPOLLIN)], [])


def test_messages_that_are_due_are_sent_together() -> None:
    served = Served(128, 0)
    fd = served.here.fileno()
    try:
        served.table.follow(served.tally, 1000, NEVER_NS, True)
        sent, unsent, leftovers = served.table.fire([(1000, fd), (999, fd), (2000, fd), (3000, 999), (3000, -1)])
        assert sent == 2 * (128 + 8)
        assert (unsent, leftovers) == ([1, 3, 4], [])
        assert served.sent() == [served.messages.build(1), served.messages.build(2)]
        assert served.table.oldest_due_ns(fd) == 1000
        oldest, flights, _ = served.table.take(fd)
        assert (oldest, [due for due, _, _ in flights]) == (1, [1000, 2000])
    finally:
        served.close()


def test_an_open_loop_has_room_for_many_messages_in_flight() -> None:
    served = Served(48, 0)
    fd, now = served.here.fileno(), time.time_ns()
    try:
        for seq in range(1, 3001):
            assert served.table.fire([(now + seq, fd)])[1:] == ([], [])
            if seq % 100 == 0:
                served.sent()
        served.there.setblocking(True)
        for begin in range(1, 3001, 500):
            served.there.sendall(b"".join(served.echo(seq) for seq in range(begin, begin + 500)))
            assert served.poll()[4] == []
        assert served.table.take_counts(served.tally)[:2] == (3000, 3000)
        assert served.table.in_flight(fd) == 0
        assert len(served.table.take_buckets(served.tally)) == 4
    finally:
        served.close()


@pytest.mark.parametrize("changed", BROKEN, ids=str)
def test_tables_that_cannot_be_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError, OverflowError)):
        created = table(**changed)
        created.payload(-1, 1)


def test_unknown_tallies_and_connections_are_refused(served: Served) -> None:
    fd = served.here.fileno()
    one = served.table
    for call in (
        lambda: one.take_counts(1),
        lambda: one.take_buckets(4_000_000_000),
        lambda: one.take_outside(1),
        lambda: one.close_tally(1),
        lambda: one.follow(1, 0, 0, True),
        lambda: one.take(fd + 1),
        lambda: one.take(-1),
        lambda: one.in_flight(2**31 - 1),
        lambda: one.oldest_due_ns(-5),
        lambda: one.put(-1, 1, 1, []),
        lambda: one.put(2**31 - 1, 1, 1, []),
        lambda: one.put(fd, 1, 1, []),
        lambda: one.put(fd + 1, 1, 1, [(0, 0, 99)]),
        lambda: one.put(fd + 1, 1, 1, [5]),
        lambda: one.put(fd + 1, 1, 1, [(-1, 0, 0)]),
        lambda: one.put(fd + 1, 1, 1, [(0, 2**63 - 1, 0)]),
        lambda: one.fire([(-1, fd)]),
        lambda: one.put(fd + 1, 1, 1, [(0, 0, 0)] * (native.LARGEST_WINDOW + 1)),
        lambda: one.poll(served.epoll.fileno(), EVENTS, 0),
        lambda: one.poll(served.epoll.fileno(), EVENTS, 65),
        lambda: one.fire([5]),
    ):
        with pytest.raises(ValueError):
            call()
    with pytest.raises(OSError, match="Bad file descriptor"):
        one.poll(-1, EVENTS, 1)
    assert one.in_flight(fd) == 4


def test_a_tally_with_messages_in_flight_stays(served: Served) -> None:
    with pytest.raises(ValueError, match="in flight"):
        served.table.close_tally(served.tally)
    served.table.take(served.here.fileno())
    served.table.close_tally(served.tally)
    assert served.table.open_tally() == served.tally


def test_the_files_of_the_extension_are_in_the_package() -> None:
    files = {path.name for path in Path(native.__file__).parent.glob("*.[ch]")}
    assert files == {"echo_core.c", "echo_core.h", "messages.c", "messages.h", "module.c"}
