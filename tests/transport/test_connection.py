"""An open connection on gevent: nothing lost, nothing out of order, and the right error for every end."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import gevent
import pytest
from helpers import frames
from helpers.frames import Incoming
from helpers.peer import PATIENCE_S, Log, Pair, fill, over_tls, until
from helpers.plain_way import Answer
from helpers.process import start_server
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wsbench.errors import Side
from wsbench.targets.embedded import EmbeddedTarget
from wsbench.transport.connect import Connector
from wsbench.transport.connection import Connection
from wsbench.transport.poller import HubPoller
from wsbench.transport.traffic import Traffic
from wsbench.websocket.connect_options import ConnectOptions
from wsbench.websocket.frames import BINARY, TEXT, client_frame

MakePair = Callable[..., Pair]
FaultyEcho = Callable[..., Any]


@pytest.fixture(params=["ws", "wss"])
def security(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return a pair's options for plain text, or for TLS."""
    return over_tls() if request.param == "wss" else {}


# -- messages --------------------------------------------------------------------------------------------------------


def test_messages_both_ways(pair: MakePair, security: dict[str, Any]) -> None:
    both = pair(**security).start()
    both.send(b"text")
    both.send(b"\x00\xff", text=False)
    assert [both.peer.receive(), both.peer.receive()] == [
        Incoming(frames.TEXT, b"text"),
        Incoming(frames.BINARY, b"\x00\xff"),
    ]
    both.peer.message(b"reply")
    both.peer.message(b"\xff\x00" * 100_000, frames.BINARY)
    until(lambda: len(both.log.messages) == 2)
    assert both.log.messages == [(b"reply", True), (b"\xff\x00" * 100_000, False)]
    assert both.connection.is_open
    assert both.connection.plain


def test_without_epoll_the_hub_watches_each_socket(pair: MakePair, security: dict[str, Any]) -> None:
    both = pair(poller=HubPoller(), **security).start()
    both.peer.message(b"x" * 200_000)
    both.peer.message(b"and the end at once")
    both.peer.close()
    assert both.log.drop.kind == "closed-abruptly"
    assert [len(payload) for payload, _ in both.log.messages] == [200_000, 19]


@pytest.mark.parametrize("size", [1, 446, 447, 100_000])
def test_an_end_right_after_a_message_is_reported_after_it(pair: MakePair, security: dict[str, Any], size: int) -> None:
    """All bytes arrive before we read, so no new event reports the end."""
    both = pair(**security)
    both.peer.message(b"x" * size)
    both.peer.close()
    time.sleep(0.05)  # not gevent's: the connection must not read meanwhile
    both.start()
    assert both.log.drop.kind == "closed-abruptly"
    assert [len(payload) for payload, _ in both.log.messages] == [size]


def test_urgent_data_does_not_hide_what_comes_after_it(pair: MakePair) -> None:
    """A read ends at the mark of urgent data, short of what there is; the urgent byte is no part of the stream."""
    both = pair()
    first, second = framed(b"before", b"behind")
    both.peer.send(first)
    both.peer.send_urgent(b"!")
    both.peer.send(second)
    time.sleep(0.05)  # not gevent's: the connection must not read meanwhile
    both.start()
    until(lambda: len(both.log.messages) == 2)
    assert [payload for payload, _ in both.log.messages] == [b"before", b"behind"]


def test_frames_right_after_the_handshakes_response_are_not_lost(pair: MakePair, security: dict[str, Any]) -> None:
    early = frames.encode(frames.TEXT, b"welcome") + frames.encode(frames.BINARY, b"in two")[:4]
    both = pair(answer=lambda request: frames.upgrade_answer(request) + early, **security)
    assert both.log.messages == []
    both.start()
    both.peer.send(frames.encode(frames.BINARY, b"in two")[4:])
    until(lambda: len(both.log.messages) == 2)
    assert both.log.messages == [(b"welcome", True), (b"in two", False)]


def test_a_close_right_after_the_handshakes_response_is_not_lost(pair: MakePair) -> None:
    close = frames.encode_close(1013, "full")
    both = pair(answer=lambda request: frames.upgrade_answer(request) + close).start()
    assert (both.log.drop.code, both.log.drop.reason) == (1013, "full")


def test_a_reply_in_fragments_with_a_ping_between(pair: MakePair, security: dict[str, Any]) -> None:
    both = pair(**security).start()
    both.peer.send(frames.encode(frames.TEXT, "grüß".encode()[:3], fin=False))
    both.peer.send(frames.encode(frames.PING, b"between"))
    both.peer.send(frames.encode(frames.CONTINUATION, "grüß".encode()[3:]))
    assert both.peer.receive() == Incoming(frames.PONG, b"between")
    until(lambda: both.log.messages)
    assert both.log.messages == [("grüß".encode(), True)]


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=40))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_a_stream_in_pieces_gives_the_same_messages(pair: MakePair, sizes: list[int]) -> None:
    both = pair().start()
    payloads = [bytes([65 + number]) * size for number, size in enumerate((0, 1, 100, 130, 3))]
    stream = b"".join(frames.encode(frames.TEXT, payload) for payload in payloads)
    for size in sizes:
        both.peer.send(stream[:size])
        stream = stream[size:]
        gevent.sleep(0)
    both.peer.send(stream)
    until(lambda: len(both.log.messages) == len(payloads))
    assert [payload for payload, _ in both.log.messages] == payloads
    both.stop()


def test_arrival_is_never_after_handling_and_by_the_kernels_clock(pair: MakePair) -> None:
    before = time.time_ns()
    both = pair().start()
    for _ in range(20):
        both.peer.message(b"x")
        gevent.sleep(0.001)
    until(lambda: len(both.log.messages) == 20)
    after = time.time_ns()
    assert all(before <= arrived <= handled <= after for arrived, handled in both.log.instants)


def test_bytes_on_the_wire_are_counted(pair: MakePair) -> None:
    both = pair().start()
    sent, received = both.traffic.sent, both.traffic.received
    assert sent > 100, "the handshake's"
    both.send(b"x" * 1000)
    both.peer.receive()
    both.peer.message(b"y" * 500)
    until(lambda: both.log.messages)
    assert (both.traffic.sent - sent, both.traffic.received - received) == (1008, 504)


# -- predicted replies -----------------------------------------------------------------------------------------------


def framed(*payloads: bytes) -> list[bytes]:
    return [frames.encode(frames.TEXT, payload) for payload in payloads]


def test_a_predicted_reply_is_not_parsed(pair: MakePair, security: dict[str, Any]) -> None:
    both = pair(**security).start()
    both.log.predictions.extend(framed(b"one", b"two"))
    both.peer.send(b"".join(framed(b"one", b"two")))
    until(lambda: not both.log.predictions)
    assert (both.log.messages, both.log.offered) == ([], [b"".join(framed(b"one", b"two"))])


def test_bytes_after_a_predicted_reply_are_parsed(pair: MakePair) -> None:
    both = pair().start()
    both.log.predictions.extend(framed(b"one", b"never"))
    both.peer.send(b"".join([*framed(b"one", b"other"), frames.encode(frames.PING, b"?"), *framed(b"more")]))
    assert both.peer.receive() == Incoming(frames.PONG, b"?")
    until(lambda: len(both.log.messages) == 2)
    assert both.log.messages == [(b"other", True), (b"more", True)]


def conversation(*replies: bytes) -> Answer:
    """Return a short way's answer: each expected reply is followed by "next"."""
    expected = deque(framed(*replies))

    def answer(data: bytes) -> bytes | None:
        if not expected or data != expected[0]:
            return None
        expected.popleft()
        return client_frame(b"next", TEXT)

    return answer


NEXT = Incoming(frames.TEXT, b"next")


def test_the_short_way_reads_answers_and_sends(pair: MakePair) -> None:
    both = pair()
    both.start(conversation(b"one", b"two"))
    sent, received = both.traffic.sent, both.traffic.received
    for reply in (b"one", b"two"):
        both.peer.message(reply)
        assert both.peer.receive() == NEXT
    assert (both.log.offered, both.log.messages) == ([], [])
    assert (both.traffic.sent - sent, both.traffic.received - received) == (20, 10)


def test_what_the_short_way_does_not_know_goes_the_long_way_and_then_it_is_open_again(pair: MakePair) -> None:
    both = pair()
    both.start(conversation(b"one", b"two", b"three"))
    one, two, three = framed(b"one", b"two", b"three")
    both.peer.send(one + frames.encode(frames.PING, b"?"))  # not the reply alone
    assert both.peer.receive() == Incoming(frames.PONG, b"?")
    assert both.log.messages == [(b"one", True)]
    both.peer.send(one[:2])
    until(lambda: both.log.offered[-1] == one[:2])
    both.peer.send(one[2:])  # a frame's end, even if it looked like a reply, is no reply
    until(lambda: len(both.log.messages) == 2)
    for reply in (one, two):
        both.peer.send(reply)
        assert both.peer.receive() == NEXT
    both.peer.send(frames.encode(frames.TEXT, b"th", fin=False))
    until(lambda: both.log.offered[-1] != three)
    both.peer.send(three)  # between fragments: a protocol violation, not the reply
    assert both.log.drop.kind == "protocol-error"


def test_a_reply_that_came_in_two_leaves_the_short_way_open(pair: MakePair) -> None:
    both = pair()
    both.start(conversation(b"two"))
    one, two = framed(b"one", b"two")
    both.log.predictions.append(one)
    both.peer.send(one[:3])
    until(lambda: both.log.offered == [one[:3]])
    both.peer.send(one[3:])
    until(lambda: not both.log.predictions)
    both.peer.send(two)
    assert both.peer.receive() == NEXT


def test_the_short_way_is_closed_with_tls(pair: MakePair, security: dict[str, Any]) -> None:
    offered: list[bytes] = []
    both = pair(**security)
    both.start(offered.append)
    both.peer.message(b"one")
    until(lambda: both.log.messages)
    assert both.log.messages == [(b"one", True)]
    assert offered == ([] if security else framed(b"one"))


def test_the_short_way_is_closed_once_a_close_is_under_way(pair: MakePair) -> None:
    both = pair()
    both.start(conversation(b"one"))
    closing = gevent.spawn(both.connection.close)
    assert both.peer.receive().opcode == frames.CLOSE
    both.peer.message(b"one")
    both.peer.send(frames.encode_close(1000, ""))
    both.peer.end()
    closing.get(timeout=PATIENCE_S)
    assert both.log.messages == [(b"one", True)]


def test_what_the_short_way_cannot_send_at_once_waits_in_order(pair: MakePair) -> None:
    both = pair(narrow=True)
    big = client_frame(b"x" * 5_000_000, TEXT)
    both.start(lambda data: big if data == framed(b"one")[0] else None)
    both.peer.message(b"one")
    until(lambda: both.connection.full)
    both.send(b"behind")
    both.peer.message(b"one")  # while the socket is full it goes the long way
    until(lambda: both.log.messages == [(b"one", True)])
    assert both.peer.receive() == Incoming(frames.TEXT, b"x" * 5_000_000)
    assert both.peer.receive() == Incoming(frames.TEXT, b"behind")
    until(lambda: both.log.drains)
    both.peer.message(b"one")
    assert both.peer.receive() == Incoming(frames.TEXT, b"x" * 5_000_000)


def test_what_the_socket_refuses_on_the_short_way_waits(pair: MakePair) -> None:
    both = pair(narrow=True)
    both.start(conversation(b"one", b"two"))
    rest = fill(both.handshake.socket._sock, client_frame(b"x" * 5_000_000, TEXT))
    both.peer.message(b"one")
    until(lambda: both.connection.full)
    both.connection._unsent.appendleft(rest)
    assert both.peer.receive() == Incoming(frames.TEXT, b"x" * 5_000_000)
    assert both.peer.receive() == NEXT
    until(lambda: both.log.drains)
    both.peer.message(b"two")
    assert both.peer.receive() == NEXT
    assert not both.log.messages


def test_a_connection_that_breaks_on_the_short_way_is_lost(pair: MakePair) -> None:
    both = pair()
    both.start(conversation(b"one"))
    both.handshake.socket._sock.shutdown(socket.SHUT_WR)
    both.peer.message(b"one")
    assert both.log.drop.kind == "reset"


def test_a_fault_on_the_short_way_fails_its_connection_alone(pair: MakePair) -> None:
    both, other = pair(), pair()
    expected = framed(b"one", b"two")

    def answer(data: bytes) -> bytes:
        return {expected[0]: client_frame(b"next", TEXT)}[data]

    both.start(answer)
    other.start(answer)
    both.peer.message(b"two")
    assert (both.log.drop.kind, both.log.drop.side) == ("internal", Side.GENERATOR)
    other.peer.message(b"one")
    assert other.peer.receive() == NEXT


def test_nothing_is_predicted_within_a_frame_or_a_fragmented_message(pair: MakePair) -> None:
    both = pair().start()
    one, two = framed(b"one", b"two")
    both.peer.send(one[:3])
    until(lambda: both.log.offered == [one[:3]])
    both.peer.send(one[3:])  # joined with the first part, and offered as a whole
    until(lambda: both.log.offered[1:] == [one])
    both.peer.send(frames.encode(frames.TEXT, b"a", fin=False))
    until(lambda: len(both.log.offered) == 3)
    both.peer.send(frames.encode(frames.CONTINUATION, b"b"))
    until(lambda: (b"ab", True) in both.log.messages)
    both.peer.send(two)
    until(lambda: (b"two", True) in both.log.messages)
    assert [each for each in both.log.offered[3:] if each != two] in ([], [frames.encode(frames.CONTINUATION, b"b")])


def test_nothing_is_offered_for_prediction_when_messages_are_compressed(deflating_target: EmbeddedTarget) -> None:
    log, traffic = Log(), Traffic()
    handshake = Connector(
        ConnectOptions(deflating_target.url, compression="on"), context=None, traffic=traffic
    ).connect()
    connection = Connection(handshake, log, traffic)
    connection.start()
    assert handshake.negotiated.compression is not None
    assert handshake.negotiated.compression.startswith("permessage-deflate")
    assert not connection.plain
    payload = json.dumps({"again": ["and again"] * 500}).encode()
    before = traffic.sent
    for text in (True, False):
        connection.write(connection.frame(payload, TEXT if text else BINARY))
    until(lambda: len(log.messages) == 2)
    assert log.messages == [(payload, True), (payload, False)]
    assert log.offered == []
    assert traffic.sent - before < len(payload)
    connection.close()
    assert connection.close_code == 1000


# -- a socket that is full -------------------------------------------------------------------------------------------


def test_bytes_that_a_slow_server_does_not_accept_wait_in_order(pair: MakePair, security: dict[str, Any]) -> None:
    both = pair(narrow=True, **security)
    both.start()
    connection, before = both.connection, both.traffic.sent
    payloads = [struct.pack("!I", number) * 2500 for number in range(500)]  # 5 MB
    full_after = None
    for number, payload in enumerate(payloads, 1):
        connection.write(connection.frame(payload, BINARY))
        if connection.full and full_after is None:
            full_after = number
    assert full_after is not None
    assert full_after < 100
    for _ in range(5):
        gevent.sleep(0.01)
    assert (connection.full, both.log.drains) == (True, 0)
    assert [both.peer.receive().payload for _ in payloads] == payloads
    until(lambda: both.log.drains)
    assert (connection.full, both.log.drains) == (False, 1)
    wire = sum(len(payload) + 8 for payload in payloads)
    sent = both.traffic.sent - before
    assert sent == wire if not security else wire < sent < 1.02 * wire
    both.send(b"and on it goes")
    assert both.peer.receive().payload == b"and on it goes"


def test_who_sends_when_drained_may_fill_the_socket_again(pair: MakePair) -> None:
    both = pair(narrow=True)
    both.start()
    left = [bytes([number]) * 200_000 for number in range(5)]
    expected = list(left)

    def refill() -> None:
        while left and not both.connection.full:
            both.send(left.pop(0), text=False)

    both.log.on_drained = refill
    refill()
    assert len(left) == 4, "the first one is more than the socket takes"
    assert [both.peer.receive().payload for _ in range(5)] == expected
    until(lambda: both.log.drains == 5)


def test_a_pong_does_not_land_inside_a_message_that_is_still_leaving(pair: MakePair) -> None:
    both = pair(narrow=True)
    both.start()
    both.send(b"x" * 1_000_000)
    assert both.connection.full
    both.peer.send(frames.encode(frames.PING, b"now?") + frames.encode(frames.TEXT, b"reply"))
    until(lambda: both.log.messages)
    assert both.peer.receive().payload == b"x" * 1_000_000
    assert both.peer.receive() == Incoming(frames.PONG, b"now?")


def test_who_pings_and_does_not_read_gets_the_last_pong_alone(pair: MakePair, security: dict[str, Any]) -> None:
    both = pair(narrow=True, **security)
    both.start()
    both.send(b"x" * 1_000_000)
    for number in range(1000):
        both.peer.send(frames.encode(frames.PING, b"%d" % number))
    both.peer.message(b"behind the pings")
    until(lambda: both.log.messages)
    both.send(b"the next one")
    received = [both.peer.receive() for _ in range(3)]
    assert [each.payload for each in received] == [b"x" * 1_000_000, b"the next one", b"999"]
    until(lambda: both.log.drains)
    both.peer.send(frames.encode(frames.PING, b"as before"))
    assert both.peer.receive() == Incoming(frames.PONG, b"as before")


@pytest.mark.parametrize(
    "small_frames",
    [
        frames.encode(frames.PING, b"?") * 2001,
        frames.encode(frames.PONG, b"") * 2001,
        frames.encode(frames.TEXT, b"", fin=False) + frames.encode(frames.CONTINUATION, b"", fin=False) * 2000,
        frames.encode(frames.TEXT, b"a", fin=False) + frames.encode(frames.CONTINUATION, b"b", fin=False) * 2000,
    ],
    ids=["pings", "pongs", "empty fragments", "tiny fragments"],
)
def test_a_flood_of_frames_that_make_no_message_ends_the_connection(pair: MakePair, small_frames: bytes) -> None:
    both = pair().start()
    both.peer.send(frames.encode(frames.TEXT, b"before") + small_frames)
    drop = both.log.drop
    assert (drop.kind, drop.code, drop.side) == ("flood", 1008, Side.TARGET)
    assert drop.what == "the server flooded the connection: 2001 short frames in a row, and no message"
    assert both.log.messages == [(b"before", True)]


def test_many_pings_among_messages_are_no_flood(pair: MakePair) -> None:
    both = pair().start()
    pings, (reply,) = frames.encode(frames.PING, b"") * 1000, framed(b"a reply")
    in_parts = frames.encode(frames.TEXT, b"a ", fin=False) + frames.encode(frames.CONTINUATION, b"reply")
    for number in range(20):
        both.peer.send(pings + (in_parts if number % 2 else reply))
    until(lambda: len(both.log.messages) == 20)
    for _ in range(5):
        both.log.predictions.append(reply)
        both.peer.send(reply + pings)
        until(lambda: not both.log.predictions)
    both.send(b"still there?")
    both.peer.send(frames.encode(frames.PING, b"the last one"))
    while both.peer.receive().payload != b"the last one":
        pass
    assert both.connection.is_open
    assert both.log.drops == []


# -- ends ------------------------------------------------------------------------------------------------------------


def test_the_server_closes(pair: MakePair, security: dict[str, Any]) -> None:
    both = pair(**security).start()
    both.peer.message(b"last words")
    both.peer.send(frames.encode_close(1011, "out of order"))
    drop = both.log.drop
    assert (drop.code, drop.reason, drop.kind, drop.side) == (1011, "out of order", "closed", Side.TARGET)
    assert "1011" in drop.what and "out of order" in drop.what
    assert both.log.messages == [(b"last words", True)]
    assert both.peer.receive() == Incoming(frames.CLOSE, (1011).to_bytes(2) + b"out of order")
    assert both.peer.at_eof()
    assert (both.connection.is_open, both.connection.plain, both.connection.close_code) == (False, False, 1011)


def test_the_server_closes_without_a_code(pair: MakePair) -> None:
    both = pair().start()
    both.peer.send(frames.encode(frames.CLOSE, b""))
    assert (both.log.drop.code, both.log.drop.kind) == (1005, "closed")


def test_we_close(pair: MakePair, security: dict[str, Any]) -> None:
    both = pair(**security).start()
    closing = gevent.spawn(both.connection.close, 1000, "bye", timeout_s=20)
    assert both.peer.receive() == Incoming(frames.CLOSE, (1000).to_bytes(2) + b"bye")
    assert not both.connection.is_open
    both.peer.send(frames.encode(frames.TEXT, b"sent before your close came") + frames.encode_close(1000, "bye"))
    until(lambda: both.log.messages)  # and with it the close, which came in the same segment
    for _ in range(5):
        gevent.sleep(0.001)
    assert not closing.dead, "the server is to end TCP first"
    both.peer.close()
    closing.get(timeout=10)
    assert (both.connection.close_code, both.connection.unanswered) == (1000, None)
    assert both.log.messages == [(b"sent before your close came", True)]
    assert both.log.drops == []


def test_a_server_that_does_not_answer_our_close_does_not_hold_us_up(pair: MakePair) -> None:
    both = pair().start()
    both.connection.close(timeout_s=0.05)
    assert both.connection.close_code == 1006
    assert both.log.drops == []
    assert both.connection.unanswered is not None
    assert (both.connection.unanswered.kind, both.connection.unanswered.side) == ("close-unanswered", Side.TARGET)
    assert both.peer.receive().opcode == frames.CLOSE
    assert both.peer.at_eof()


def test_closing_what_has_ended_keeps_the_code_it_ended_with(pair: MakePair) -> None:
    both = pair().start()
    both.peer.send(frames.encode_close(1001))
    assert both.log.drop.code == 1001
    both.connection.close()
    both.connection.close()
    assert both.connection.close_code == 1001


def test_a_close_frame_is_sent_after_the_buffered_bytes(pair: MakePair) -> None:
    both = pair(narrow=True)
    both.start()
    both.send(b"x" * 1_000_000)
    closing = gevent.spawn(both.connection.close, timeout_s=20)
    assert both.peer.receive().payload == b"x" * 1_000_000
    assert both.peer.receive() == Incoming(frames.CLOSE, (1000).to_bytes(2))
    both.peer.send(frames.encode_close(1000))
    both.peer.close()
    closing.get(timeout=20)
    assert both.connection.close_code == 1000


def test_tcp_ends_without_a_close_frame(pair: MakePair, security: dict[str, Any]) -> None:
    both = pair(**security).start()
    both.peer.send(frames.encode(frames.TEXT, b"half of it")[:5])
    both.peer.close()
    drop = both.log.drop
    assert (drop.code, drop.kind, drop.side) == (1006, "closed-abruptly", Side.TARGET)
    assert both.log.messages == []


def test_tcp_is_reset(pair: MakePair) -> None:
    both = pair().start()
    both.send(b"is anybody there?")
    both.peer.receive()
    both.peer.reset()
    drop = both.log.drop
    assert (drop.code, drop.kind) == (1006, "reset")
    assert "Connection reset by peer" in drop.what
    both.send(b"nobody")
    assert len(both.log.drops) == 1


@pytest.mark.parametrize("read_size", [65_536, 150], ids=["in one read", "in several reads"])
def test_a_reset_among_replies_loses_none_and_is_reported_once_and_last(pair: MakePair, read_size: int) -> None:
    """The replies and the reset arrive before we read: the answer to the first reply fails."""
    both = pair(read_size=read_size)
    both.log.on_message = lambda: both.send(b"next")
    replies = [bytes([number]) * 100 for number in (1, 2, 3)]
    both.peer.send(b"".join(framed(*replies)))
    both.peer.reset()
    time.sleep(0.05)  # not gevent's: the connection must not read meanwhile
    both.start()
    assert (both.log.drop.code, both.log.drop.kind) == (1006, "reset")
    gevent.sleep(0.01)
    assert both.log.after_drop == []
    assert [payload for payload, _ in both.log.messages] == replies


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"\x81\x82abcdhi", 1002),
        (b"\x83\x02hi", 1002),
        (b"\xc1\x02hi", 1002),
        (b"\x80\x02hi", 1002),
        (b"\x81\x02\xff\xff", 1007),
        (b"\x82\x7f" + (2**50).to_bytes(8), 1009),
    ],
    ids=["masked", "unknown opcode", "reserved bit", "continuation of nothing", "not UTF-8", "too long"],
)
def test_the_server_breaks_the_protocol(pair: MakePair, sent: bytes, code: int) -> None:
    both = pair().start()
    both.peer.send(frames.encode(frames.TEXT, b"fine") + sent)
    drop = both.log.drop
    assert (drop.code, drop.kind, drop.side) == (code, "protocol-error", Side.TARGET)
    assert drop.what.startswith("the server broke the protocol: ")
    assert both.log.messages == [(b"fine", True)]
    close = both.peer.receive()
    assert (close.opcode, close.payload[:2]) == (frames.CLOSE, code.to_bytes(2))


def test_a_fault_of_ours_fails_the_connection_and_is_said_to_be_ours(pair: MakePair) -> None:
    both = pair().start()

    def fail() -> None:
        raise KeyError("a bug")

    both.log.on_message = fail
    both.peer.message(b"anything")
    drop = both.log.drop
    assert (drop.kind, drop.side) == ("internal", Side.GENERATOR)
    assert "KeyError: 'a bug'" in drop.what
    assert isinstance(drop.__cause__, KeyError)


def test_broken_tls(pair: MakePair) -> None:
    both = pair(**over_tls()).start()
    both.peer.send_beneath_tls(b"\x17\x03\x03\x00\x20" + bytes(32))
    assert (both.log.drop.code, both.log.drop.kind) == (1006, "tls")


# -- against a server that is another process ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def faulty_echo_url() -> Any:
    server, url = start_server("helpers.faulty_echo")
    try:
        yield url
    finally:
        server.stop()


def opened_to(url: str, **faults: object) -> tuple[Connection, Log]:
    log, traffic = Log(), Traffic()
    handshake = Connector(ConnectOptions(f"{url}?{urlencode(faults)}"), context=None, traffic=traffic).connect()
    connection = Connection(handshake, log, traffic)
    connection.start()
    return connection, log


PAYLOADS = [json.dumps({"seq": number, "pad": "grüß" * number}).encode() for number in range(1, 41)]


@pytest.mark.parametrize("fault", [{}, {"fragment": 1}, {"split": 3}, {"fragment": 2, "split": 3}])
def test_echoes_whole_fragmented_and_split(faulty_echo_url: str, fault: dict[str, object]) -> None:
    connection, log = opened_to(faulty_echo_url, **fault)
    for payload in PAYLOADS:
        connection.write(connection.frame(payload, TEXT))
    until(lambda: len(log.messages) == len(PAYLOADS))
    assert log.messages == [(payload, True) for payload in PAYLOADS]
    connection.close()
    assert connection.close_code == 1000


@pytest.mark.parametrize(
    ("fault", "code", "kind"), [({"close_after": 5}, 1011, "closed"), ({"rst_after": 5}, 1006, "reset")]
)
def test_a_server_that_ends_it_after_five(faulty_echo_url: str, fault: dict[str, object], code: int, kind: str) -> None:
    connection, log = opened_to(faulty_echo_url, **fault)
    for payload in PAYLOADS[:5]:
        connection.write(connection.frame(payload, TEXT))
    assert (log.drop.code, log.drop.kind) == (code, kind)
    assert log.messages[:5] == [(payload, True) for payload in PAYLOADS[: len(log.messages)]]
    connection.close()
