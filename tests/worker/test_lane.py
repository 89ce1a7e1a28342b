"""A connection on the lane sends the same messages and has the same counts as without the lane."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator

import gevent
import pytest
from helpers.conversation import ANSWERS, Conversation, echo
from helpers.peer import fill, until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wsbench.measure.series import MESSAGE_COUNTS
from wsbench.websocket.frames import BINARY, client_frame
from wsbench.worker.echo.closed_loop import ClosedLoop
from wsbench.worker.echo.one_in_flight import OneInFlight


def outcome(kind: type[ClosedLoop], answers: list[str]) -> tuple[list[bytes], Counter[str]]:
    conversation = Conversation(kind)
    for how in answers:
        conversation.answer(conversation.hear(), how)
    conversation.end()
    return conversation.sent, conversation.counts


@given(answers=st.lists(st.sampled_from(["echo", *ANSWERS]), min_size=1, max_size=12))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_counts_and_messages_are_the_same_for_all_answers(answers: list[str]) -> None:
    assert outcome(OneInFlight, answers) == outcome(ClosedLoop, answers)


@pytest.mark.parametrize("size", ["48", "1024", "1025", "20000"])
def test_counts_and_messages_are_right_for_all_sizes(size: str) -> None:
    """Long messages are built one by one, and the first ones do not arrive in one read."""
    conversation = Conversation(OneInFlight, payload_size=size)
    for how in ["echo"] * 12 + ["damaged", "echo", "with a ping before it"] + ["echo"] * 7:
        conversation.answer(conversation.hear(), how)
    conversation.end()
    assert conversation.sent == [conversation.driver._messages.build(seq) for seq in range(1, 24)]
    assert conversation.counts == {**dict.fromkeys(MESSAGE_COUNTS, 0), "sent": 23, "received": 23, "corrupted": 1}


@pytest.fixture
def conversation() -> Iterator[Conversation]:
    conversation = Conversation(OneInFlight)
    yield conversation
    assert not conversation.driver.outstanding


def test_numbers_continue_where_the_beginning_of_messages_changes(conversation: Conversation) -> None:
    for _ in range(230):
        conversation.answer(conversation.hear(), "echo")
    conversation.end()
    assert conversation.sent == [conversation.driver._messages.build(seq) for seq in range(1, 232)]
    assert conversation.counts["sent"] == conversation.counts["received"] == 231


def test_a_plain_reply_is_answered_without_the_driver(
    conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []
    message = conversation.hear()
    with monkeypatch.context() as watched:
        watched.setattr(OneInFlight, "predicted", lambda _, data, *_more: len(asked.append(data) or data))
        for _ in range(5):
            conversation.answer(message, "echo")
            message = conversation.hear()
    assert not asked
    conversation.answer(message, "echo")
    conversation.end()
    assert conversation.counts["received"] == 7


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
    assert connection is not None and connection.on_short_way
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


@pytest.mark.parametrize("kind", [OneInFlight, ClosedLoop])
def test_a_reply_after_the_timeout_is_late_even_before_the_next_sweep(kind: type[ClosedLoop]) -> None:
    conversation = Conversation(kind, timeout="100ms")
    message = conversation.hear()
    answering = threading.Timer(0.2, conversation.peer.send_beneath_tls, (echo(message),))
    answering.start()
    time.sleep(0.4)  # without a sweep, and without a read
    answering.join()
    conversation.end()
    assert (conversation.counts["lost"], conversation.counts["late"]) == (1, 1)


def test_an_overdue_reply_is_late_and_the_loop_goes_on() -> None:
    conversation = Conversation(OneInFlight, timeout="100ms")
    first = conversation.hear()
    second = conversation.hear()  # sent when the first was given up
    conversation.answer(first, "echo")
    conversation.answer(second, "echo")
    conversation.end()
    assert (conversation.counts["lost"], conversation.counts["late"]) == (1, 1)
    assert conversation.counts["sent"] == conversation.counts["received"] + 1


@pytest.mark.parametrize("kind", [ClosedLoop, OneInFlight])
def test_a_lost_reply_delays_a_closed_loop_by_little_more_than_the_timeout(kind: type[ClosedLoop]) -> None:
    conversation = Conversation(kind, timeout="200ms")
    much_later = gevent.spawn_later(1, lambda: None)
    for _ in range(3):
        conversation.hear()  # and do not answer
    assert not much_later.ready()
    conversation.end()
    assert conversation.counts["lost"] >= 2
