"""A closed loop of one message in flight, in the general path and in the native one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import gevent
import pytest
from helpers.conversation import Conversation, echo
from helpers.peer import fill, until

from wsbench.measure.series import MESSAGE_COUNTS
from wsbench.websocket.frames import BINARY, client_frame
from wsbench.worker.echo.closed_loop import ClosedLoop
from wsbench.worker.echo.native_loops import NativeClosedLoop

KINDS = [ClosedLoop, pytest.param(NativeClosedLoop, marks=pytest.mark.needs("native"))]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", ["48", "1024", "1025", "20000"])
def test_counts_and_messages_are_right_for_all_sizes(kind: type[ClosedLoop], size: str) -> None:
    """Long messages are built one by one, and the first ones do not arrive in one read."""
    conversation = Conversation(kind, payload_size=size)
    for how in ["echo"] * 12 + ["damaged", "echo", "with a ping before it"] + ["echo"] * 7:
        conversation.answer(conversation.hear(), how)
    conversation.end()
    assert conversation.sent == [conversation.driver._messages.build(seq) for seq in range(1, 24)]
    assert conversation.counts == {**dict.fromkeys(MESSAGE_COUNTS, 0), "sent": 23, "received": 23, "corrupted": 1}


@pytest.fixture(params=KINDS)
def conversation(request: pytest.FixtureRequest) -> Iterator[Conversation]:
    conversation = Conversation(request.param)
    yield conversation
    assert not conversation.driver.outstanding


def test_numbers_continue_where_the_beginning_of_messages_changes(conversation: Conversation) -> None:
    for _ in range(230):
        conversation.answer(conversation.hear(), "echo")
    conversation.end()
    assert conversation.sent == [conversation.driver._messages.build(seq) for seq in range(1, 232)]
    assert conversation.counts["sent"] == conversation.counts["received"] == 231


def test_the_message_in_flight_on_a_broken_connection_is_lost(conversation: Conversation) -> None:
    conversation.answer(conversation.hear(), "echo")
    conversation.hear()
    assert conversation.driver.outstanding == 1
    conversation.reset()
    until(conversation.dropped.is_set)
    conversation.give_up()
    assert (conversation.counts["sent"], conversation.counts["received"], conversation.counts["lost"]) == (2, 1, 1)


def test_bytes_that_a_full_socket_did_not_take_are_sent_once(conversation: Conversation) -> None:
    message = conversation.hear()
    connection = conversation.driver.connection
    assert connection is not None
    between = b"x" * 8_000_000
    rest = fill(connection._socket._sock, client_frame(between, BINARY))
    conversation.answer(message, "echo")
    until(lambda: connection.full)
    connection._unsent.appendleft(rest)
    assert conversation.hear().payload == between
    until(lambda: not connection.full)
    for _ in range(3):
        conversation.answer(conversation.hear(), "echo")
    conversation.end()
    assert conversation.counts["sent"] == conversation.counts["received"] == len(conversation.sent) - 1 == 5


def test_a_retired_driver_sends_no_more_messages(conversation: Conversation) -> None:
    conversation.answer(conversation.hear(), "echo")
    message = conversation.hear()
    conversation.driver.retire()
    conversation.answer(message, "echo")
    until(lambda: not conversation.driver.outstanding)
    conversation.end()
    assert (conversation.counts["sent"], conversation.counts["received"]) == (2, 2)


@pytest.mark.parametrize("kind", KINDS)
def test_a_reply_after_the_timeout_is_late_even_before_the_next_sweep(kind: type[ClosedLoop]) -> None:
    conversation = Conversation(kind, timeout="100ms")
    message = conversation.hear()
    answering = threading.Timer(0.2, conversation.peer.send_beneath_tls, (echo(message),))
    answering.start()
    time.sleep(0.4)  # without a sweep, and without a read
    answering.join()
    conversation.end()
    assert (conversation.counts["lost"], conversation.counts["late"]) == (1, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_an_overdue_reply_is_late_and_the_loop_goes_on(kind: type[ClosedLoop]) -> None:
    conversation = Conversation(kind, timeout="100ms")
    first = conversation.hear()
    second = conversation.hear()  # sent when the first was given up
    conversation.answer(first, "echo")
    conversation.answer(second, "echo")
    conversation.end()
    assert (conversation.counts["lost"], conversation.counts["late"]) == (1, 1)
    assert conversation.counts["sent"] == conversation.counts["received"] + 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_lost_reply_delays_a_closed_loop_by_little_more_than_the_timeout(kind: type[ClosedLoop]) -> None:
    conversation = Conversation(kind, timeout="200ms")
    much_later = gevent.spawn_later(1, lambda: None)
    for _ in range(3):
        conversation.hear()  # and do not answer
    assert not much_later.ready()
    conversation.end()
    assert conversation.counts["lost"] >= 2
