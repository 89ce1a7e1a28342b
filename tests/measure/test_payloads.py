"""Payloads, and replies that count as the same payload."""

from __future__ import annotations

import json
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsbench.measure.payloads import SMALLEST_JSON, FixedMessages, JsonMessages, Messages

# What a run can have: ids grow by 256 a connection, numbers by one a message.
IDS = st.integers(0, 10**9)
SEQS = st.one_of(st.integers(1, 10**12), st.integers(0, 12).map(lambda digits: 10**digits))
SIZES = st.one_of(st.integers(SMALLEST_JSON, 300), st.integers(SMALLEST_JSON, 70_000))
AROUND_TENS = [seq for digits in range(1, 8) for seq in (10**digits - 1, 10**digits, 10**digits + 1)]


def onwards(messages: Messages, seq: int, count: int) -> list[bytes]:
    return list(islice((head + rest for head, rests in messages.onwards(seq) for rest in rests), count))


@pytest.mark.parametrize("connection", [0, 7, 65_535, 7_200_001])
def test_every_size_is_exact_whatever_the_digits(connection: int) -> None:
    for size in range(SMALLEST_JSON, 400):
        messages = JsonMessages(connection, size)
        wrong = {seq: len(messages.build(seq)) for seq in (1, *AROUND_TENS) if len(messages.build(seq)) != size}
        assert not wrong, size


@given(connection=IDS, seq=SEQS, size=SIZES)
@settings(max_examples=150)
def test_a_message_is_json_with_its_id_and_number(connection: int, seq: int, size: int) -> None:
    messages = JsonMessages(connection, size)
    payload = messages.build(seq)
    document = json.loads(payload)
    assert len(payload) == size
    assert list(document) == ["id", "seq", "pad"]
    assert (document["id"], document["seq"]) == (connection, seq)
    assert messages.identify(payload) == seq
    assert messages.same(payload, seq)


@given(connection=IDS, seqs=st.lists(SEQS, min_size=1, max_size=20))
@settings(max_examples=100)
def test_a_message_is_built_alike_in_any_order_and_by_any_instance(connection: int, seqs: list[int]) -> None:
    messages = JsonMessages(connection, 128)
    assert [messages.build(seq) for seq in seqs] == [JsonMessages(connection, 128).build(seq) for seq in seqs]


@given(connection=IDS, seq=SEQS, size=SIZES)
@settings(max_examples=50, deadline=None)
def test_messages_onwards_are_those_built_one_by_one(connection: int, seq: int, size: int) -> None:
    messages = JsonMessages(connection, size)
    start = max(0, seq - 20)  # the number of digits may change on the way
    assert onwards(messages, start, 40) == [messages.build(start + place) for place in range(40)]


@given(seq=st.integers(10, 10**9), place=st.integers(0, 9), by=st.integers(1, 9))
def test_a_number_damaged_in_one_digit_does_not_make_another_message(seq: int, place: int, by: int) -> None:
    messages = JsonMessages(1, 128)
    digits = str(seq)
    place %= len(digits)
    damaged = digits[:place] + str((int(digits[place]) + by) % 10) + digits[place + 1 :]
    payload = messages.build(seq).replace(b":%b," % digits.encode(), b":%b," % damaged.encode())
    assert payload != messages.build(seq)
    assert payload != messages.build(int(damaged))


def test_a_message_is_the_output_of_a_json_encoder() -> None:
    payload = JsonMessages(7, 128).build(12)
    assert payload == json.dumps(json.loads(payload), separators=(",", ":")).encode()


def test_the_padding_of_neighbours_differs_and_is_not_constant() -> None:
    messages = JsonMessages(1, 128)
    pads = [json.loads(messages.build(seq))["pad"] for seq in range(10, 60)]
    assert len(set(pads)) == len(pads)
    assert all(len(set(pad)) > 20 for pad in pads)


@pytest.mark.parametrize("size", [SMALLEST_JSON - 1, 0, -1])
def test_too_small_for_id_and_number(size: int) -> None:
    with pytest.raises(ValueError, match=f"at least {SMALLEST_JSON} bytes, not {size}"):
        JsonMessages(1, size)


@pytest.mark.parametrize(
    ("payload", "seq"),
    [
        (b'{"id":5,"seq":3,"pad":"x"}', 3),
        (b'{ "pad": "x", "seq": 3, "id": 5, "more": [1] }', 3),
        (b'{"id":5,"seq":-3}', -3),
        (b'{"id":6,"seq":3,"pad":"x"}', None),
        (b'{"id":"5","seq":3,"pad":"x"}', None),
        (b'{"seq":3,"pad":"x"}', None),
        (b'{"id":5,"pad":"x"}', None),
        (b'{"id":5,"seq":"3"}', None),
        (b'{"id":5,"seq":true}', None),
        (b'{"id":5,"seq":null}', None),
        (b"[5,3]", None),
        (b"5", None),
        (b"hello", None),
        (b"", None),
        (b'{"id":5,"seq":3,"pad":"\xff"}', None),
        (b'{"id":5,"seq":3', None),
    ],
)
def test_the_number_of_the_message_in_a_reply(payload: bytes, seq: int | None) -> None:
    assert JsonMessages(5, 128).identify(payload) == seq


@given(seq=SEQS, size=st.integers(SMALLEST_JSON, 300), indent=st.sampled_from([None, 2]), backwards=st.booleans())
@settings(max_examples=50)
def test_json_in_other_bytes_is_the_same(seq: int, size: int, indent: int | None, backwards: bool) -> None:
    messages = JsonMessages(5, size)
    document = json.loads(messages.build(seq))
    if backwards:
        document = dict(reversed(document.items()))
    assert messages.same(json.dumps(document, indent=indent).encode(), seq)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"seq":3', b'"seq":4'),
        (b'"id":5', b'"id":6'),
        (b'"pad":"', b'"pad":"!'),
        (b"}", b',"more":1}'),
        (b'"pad"', b'"paf"'),
        (b"}", b""),
        (b'"pad":"', b'"pad":"\xff'),
    ],
)
def test_json_with_other_values_is_not_the_same(old: bytes, new: bytes) -> None:
    messages = JsonMessages(5, 128)
    payload = messages.build(3)
    changed = payload.replace(old, new, 1)
    assert changed != payload
    assert not messages.same(changed, 3)
    assert not messages.same(payload, 4)


def test_a_custom_payload_is_sent_unchanged() -> None:
    messages = FixedMessages(b"\x00\xffanything")
    assert [messages.build(seq) for seq in (1, 2, 10**9)] == [b"\x00\xffanything"] * 3
    assert messages.identify(b"\x00\xffanything") is None
    assert (messages.numbered, JsonMessages(1, 128).numbered) == (False, True)
    assert onwards(FixedMessages(b"own"), 5, 3) == [b"own"] * 3


@pytest.mark.parametrize(
    ("payload", "reply", "same"),
    [
        (b"\x00\xff", b"\x00\xff", True),
        (b"\x00\xff", b"\x00\xfe", False),
        (b"plain text", b"plain text", True),
        (b"plain text", b"plain", False),
        (b"plain text", b"{}", False),
        (b'{"a": 1, "b": [2]}', b'{"b":[2],"a":1}', True),
        (b'{"a": 1, "b": [2]}', b'{"b":[2],"a":2}', False),
        (b'{"a": 1}', b"", False),
    ],
)
def test_a_custom_payload_may_return_as_other_json(payload: bytes, reply: bytes, same: bool) -> None:
    assert FixedMessages(payload).same(reply, 1) is same
