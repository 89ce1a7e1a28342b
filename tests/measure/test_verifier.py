"""The status of every reply, against a model of the server's behaviour."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsbench.measure.payloads import SMALLEST_JSON, FixedMessages, JsonMessages, Messages
from wsbench.measure.phases import Interval, Phase
from wsbench.measure.tally import Tally
from wsbench.measure.verifier import EchoVerifier, ReplyStatus

RECEIVED, REORDERED, CORRUPTED = ReplyStatus.RECEIVED, ReplyStatus.REORDERED, ReplyStatus.CORRUPTED
DUPLICATED, LATE, UNEXPECTED = ReplyStatus.DUPLICATED, ReplyStatus.LATE, ReplyStatus.UNEXPECTED
TALLY = Tally(Interval(Phase.MEASURE, 0, 1))
OTHER = bytes(range(256))


class Client:
    """One connection's side: sends messages, and matches every reply.

    A plain connection expects the frame's header before the payload, any other one the payload alone.
    """

    def __init__(self, messages: Messages | None = None, *, text: bool = True, header: bytes = b"") -> None:
        self.messages = messages or JsonMessages(5, 128)
        self.verifier = EchoVerifier(self.messages, text=text)
        self._text, self._header = text, header

    def send(self, due_ns: int = 0) -> bytes:
        self.verifier.last_seq += 1
        payload = self.messages.build(self.verifier.last_seq)
        self.verifier.pending.append((self._header + payload, due_ns, due_ns, self.verifier.last_seq, TALLY))
        return payload

    def receive(self, payload: bytes, *, text: bool | None = None) -> tuple[ReplyStatus, int | None]:
        """The status, and the number of the message that is settled by it."""
        status, entry = self.verifier.match(payload, self._text if text is None else text)
        return status, entry and entry[3]

    def receive_all(self, *payloads: bytes) -> list[tuple[ReplyStatus, int | None]]:
        return [self.receive(payload) for payload in payloads]

    def expire(self, due_before_ns: int) -> list[int]:
        return sorted(entry[3] for entry in self.verifier.expire(due_before_ns))


@pytest.fixture(params=[b"", b"\x81\x7e\x00\x80"], ids=["payload-expected", "frame-expected"])
def client(request: pytest.FixtureRequest) -> Client:
    return Client(header=request.param)


def test_replies_in_order(client: Client) -> None:
    sent = [client.send() for _ in range(12)]
    assert client.receive_all(*sent) == [(RECEIVED, seq) for seq in range(1, 13)]
    assert client.verifier.outstanding == 0


def test_a_swapped_pair_is_one_reordered_message(client: Client) -> None:
    one, two, three = (client.send() for _ in range(3))
    assert client.receive_all(two, one, three) == [(RECEIVED, 2), (REORDERED, 1), (RECEIVED, 3)]
    assert client.verifier.outstanding == 0


def test_one_message_that_all_others_overtake_is_one_reordered_message(client: Client) -> None:
    first, *others = (client.send() for _ in range(5))
    assert client.receive_all(*others, first) == [*((RECEIVED, seq) for seq in range(2, 6)), (REORDERED, 1)]


def test_replies_in_reverse_are_all_reordered_but_the_first(client: Client) -> None:
    sent = [client.send() for _ in range(4)]
    assert client.receive_all(*reversed(sent)) == [(RECEIVED, 4), (REORDERED, 3), (REORDERED, 2), (REORDERED, 1)]


def test_a_dropped_reply_is_a_loss_and_nothing_else(client: Client) -> None:
    sent = [client.send(due_ns=seq) for seq in range(1, 6)]
    del sent[1]
    assert client.receive_all(*sent) == [(RECEIVED, 1), (RECEIVED, 3), (RECEIVED, 4), (RECEIVED, 5)]
    assert client.verifier.outstanding == 1
    assert client.expire(100) == [2]
    assert client.verifier.outstanding == 0


def test_a_reply_that_comes_twice(client: Client) -> None:
    one, two = client.send(), client.send()
    assert client.receive_all(one, one, two, two, one) == [
        (RECEIVED, 1),
        (DUPLICATED, None),
        (RECEIVED, 2),
        (DUPLICATED, None),
        (DUPLICATED, None),
    ]


def test_a_wrong_reply_is_compared_with_its_message_or_with_the_oldest_that_waits(client: Client) -> None:
    assert client.verifier.awaited(None) is None
    one, two, three = (client.send() for _ in range(3))
    status, entry = client.verifier.match(two[:-3], True)
    assert status is CORRUPTED and client.verifier.awaited(entry) == (two, True)
    assert client.verifier.awaited(None) == (three, True)
    client.receive(three)
    assert client.verifier.awaited(None) == (one, True), "overtaken"


@pytest.mark.parametrize("size", [SMALLEST_JSON, 64, 128, 300])
@pytest.mark.parametrize("flipped_bit", [0x01, 0x04])
def test_any_flipped_bit_is_a_corruption_of_that_very_message(size: int, flipped_bit: int) -> None:
    for at in range(size):
        client = Client(JsonMessages(5, size))
        sent = [client.send() for _ in range(12)]
        damaged = bytearray(sent[2])
        damaged[at] ^= flipped_bit
        received = client.receive_all(sent[0], sent[1], bytes(damaged), *sent[3:])
        assert received[2] == (CORRUPTED, 3), at
        assert [status for status, _ in received].count(RECEIVED) == 11, at
        assert client.verifier.outstanding == 0, at


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"id":5', b'"id":6'),
        (b'"seq":12', b'"seq":13'),
        (b'"seq":12', b'"seq":11'),
        (b'"seq":12', b'"seq":92'),
        (b'"pad":"', b'"pad":"!'),
        (b'"pad":"', b'"pad":"\xff'),
        (b'"}', b'","more":1}'),
        (b'"seq"', b'"sq"'),
        (b'"pad":"', b'"pad":"!!'),
    ],
)
def test_damage_done_to_a_message_while_its_neighbours_are_in_flight(client: Client, old: bytes, new: bytes) -> None:
    sent = [client.send() for _ in range(20)]
    client.receive_all(*sent[:10])
    damaged = sent[11].replace(old, new, 1)
    assert damaged != sent[11]
    assert client.receive_all(sent[10], damaged, sent[12]) == [(RECEIVED, 11), (CORRUPTED, 12), (RECEIVED, 13)]


def test_a_byte_left_out_or_put_in_anywhere_is_a_corruption_of_that_very_message() -> None:
    for at in range(128):
        for size, put_in in ((1, b""), (0, b"!")):
            client = Client()
            sent = [client.send() for _ in range(12)]
            damaged = sent[2][:at] + put_in + sent[2][at + size :]
            received = client.receive_all(sent[0], sent[1], damaged, *sent[3:])
            assert received[2] == (CORRUPTED, 3), (at, put_in)
            assert client.verifier.outstanding == 0, (at, put_in)


@pytest.mark.parametrize("left", [8, 20, 64, 127])
def test_a_reply_cut_short_is_a_corruption(client: Client, left: int) -> None:
    one, two, three = (client.send() for _ in range(3))
    received = client.receive_all(one, two[:left], three)
    assert received == [(RECEIVED, 1), (CORRUPTED, 2), (RECEIVED, 3)]


@pytest.mark.parametrize(
    ("damaged", "status"), [(30, (CORRUPTED, 1)), (34, (UNEXPECTED, None)), (80, (UNEXPECTED, None))]
)
def test_a_reply_that_is_hardly_like_a_message_answers_none(client: Client, damaged: int, status: object) -> None:
    sent = client.send()
    assert client.receive(sent[:-damaged] + b"~" * damaged) == status


def test_a_corrupted_reply_that_was_overtaken_is_corrupted_alone(client: Client) -> None:
    one, two = client.send(), client.send()
    damaged = one.replace(b'"pad":"', b'"pad":"!', 1)
    assert client.receive_all(two, damaged) == [(RECEIVED, 2), (CORRUPTED, 1)]
    assert client.verifier.outstanding == 0


def test_a_corrupted_reply_that_overtakes_leaves_the_other_one_reordered(client: Client) -> None:
    one, two = client.send(), client.send()
    damaged = two.replace(b'"pad":"', b'"pad":"!', 1)
    assert client.receive_all(damaged, one) == [(CORRUPTED, 2), (REORDERED, 1)]


def test_json_in_other_bytes_is_received(client: Client) -> None:
    one, two, three = (client.send() for _ in range(3))
    other = {sent: json.dumps(dict(reversed(json.loads(sent).items()))).encode() for sent in (one, two, three)}
    received = client.receive_all(other[one], other[three], other[two], other[two])
    assert received == [(RECEIVED, 1), (RECEIVED, 3), (REORDERED, 2), (DUPLICATED, None)]


@pytest.mark.parametrize("greeting", [b"welcome", b"", b'{"type":"hello"}', b'{"id":9,"seq":1,"pad":""}', OTHER])
def test_a_greeting_answers_nothing(client: Client, greeting: bytes) -> None:
    assert client.receive(greeting) == (UNEXPECTED, None)
    sent = client.send()
    assert client.receive_all(greeting, sent) == [(UNEXPECTED, None), (RECEIVED, 1)]


def test_a_reply_to_a_message_that_was_never_sent(client: Client) -> None:
    client.send()
    assert client.receive(client.messages.build(2)) == (UNEXPECTED, None)
    assert client.receive(client.messages.build(0)) == (UNEXPECTED, None)


def test_messages_are_given_up_by_when_they_were_due(client: Client) -> None:
    for due_ns in (10, 20, 30):
        client.send(due_ns)
    assert client.expire(10) == []
    assert client.expire(21) == [1, 2]
    assert client.expire(21) == []
    assert client.verifier.outstanding == 1


def test_an_overtaken_message_is_given_up_too(client: Client) -> None:
    client.send(10)
    two, three = client.send(20), client.send(30)
    assert client.receive(two) == (RECEIVED, 2)
    assert client.expire(10) == []
    assert client.expire(15) == [1]
    assert client.receive(three) == (RECEIVED, 3)


def test_a_reply_after_the_message_was_given_up_is_late_once(client: Client) -> None:
    one, two = client.send(10), client.send(20)
    assert client.expire(15) == [1]
    assert client.receive_all(one, one, two) == [(LATE, None), (DUPLICATED, None), (RECEIVED, 2)]


def test_abandoning_returns_all_messages_that_await_a_reply(client: Client) -> None:
    sent = [client.send() for _ in range(4)]
    client.receive_all(sent[0], sent[2])
    assert sorted(entry[3] for entry in client.verifier.abandon()) == [2, 4]
    assert client.verifier.outstanding == 0
    assert client.verifier.abandon() == []
    assert client.receive_all(sent[1], sent[1], sent[3]) == [(LATE, None), (DUPLICATED, None), (LATE, None)]


def test_messages_of_the_last_connection_cannot_be_late_on_the_next(client: Client) -> None:
    one = client.send(10)
    client.verifier.abandon()
    client.verifier.reconnected()
    assert client.receive(one) == (DUPLICATED, None)
    assert client.receive(client.send()) == (RECEIVED, 2)


@pytest.mark.parametrize("text", [True, False])
def test_text_answered_in_binary_is_a_corruption_and_the_reverse(text: bool) -> None:
    client = Client(text=text)
    one, two, three = (client.send() for _ in range(3))
    assert client.receive(one) == (RECEIVED, 1)
    assert client.receive(two, text=not text) == (CORRUPTED, 2)
    assert client.receive(three) == (RECEIVED, 3)
    assert client.receive(b"something else", text=not text) == (UNEXPECTED, None)


FIXED = [b"the same every time, long enough", b'{"the": "same", "every": ["time"]}', OTHER]


@pytest.mark.parametrize("payload", FIXED)
def test_a_custom_payload_in_order(payload: bytes) -> None:
    client = Client(FixedMessages(payload), header=b"\x81\x20")
    for _ in range(3):
        client.send()
    assert client.receive_all(payload, payload) == [(RECEIVED, 1), (RECEIVED, 2)]
    assert client.receive(payload[:-1] + b"~") == (CORRUPTED, 3)


@pytest.mark.parametrize("payload", FIXED)
def test_a_custom_payload_too_often_or_too_late(payload: bytes) -> None:
    client = Client(FixedMessages(payload))
    assert client.receive(payload) == (UNEXPECTED, None)
    client.send(10)
    assert client.receive_all(payload, payload) == [(RECEIVED, 1), (DUPLICATED, None)]
    client.send(20)
    client.send(20)
    assert client.expire(30) == [2, 3]
    assert client.receive_all(payload, payload, payload) == [(LATE, None), (LATE, None), (DUPLICATED, None)]
    assert client.receive(b"welcome") == (UNEXPECTED, None)


def test_custom_json_in_other_bytes_is_received() -> None:
    client = Client(FixedMessages(b'{"a": 1, "b": 2}'))
    client.send()
    assert client.receive_all(b'{"b":2,"a":1}', b'{"b":2,"a":1}') == [(RECEIVED, 1), (DUPLICATED, None)]


@pytest.mark.parametrize(
    ("sent", "received", "status"),
    [
        (b'{"admin":true,"n":1}', b'{"n":1.0, "admin":true}', RECEIVED),
        (b'{"admin":true,"n":1}', b'{"admin":1,"n":1}', CORRUPTED),
        (b'{"admin":[{"is":0}]}', b'{"admin":[{"is":false}]}', CORRUPTED),
        (b"[" * 1000 + b"true" + b"]" * 1000, b"[" * 1000 + b" true" + b"]" * 1000, CORRUPTED),
    ],
    ids=["same", "number-for-boolean", "boolean-for-number", "too-deep"],
)
def test_a_boolean_is_no_number(sent: bytes, received: bytes, status: ReplyStatus) -> None:
    client = Client(FixedMessages(sent))
    client.send()
    assert client.receive(received)[0] is status


# What a server may do next; the number chooses the message it does it to, among those it can be done to.
ACTIONS = st.tuples(
    st.sampled_from(
        ["send", "send", "send", "reply", "reply", "reply-any", "corrupt", "drop", "again", "expire", "abandon"]
    ),
    st.integers(0, 1000),
)


class Truth:
    """A server that records its faults, and the status that each must get (RFC 4737 for reordering)."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.counts: Counter[str] = Counter()
        self.received: list[int] = []  # in order, by the first reply that came in time
        self._sent: dict[int, bytes] = {}
        self._unanswered: list[int] = []
        self._given_up: list[int] = []  # lost to the client, but the server has not dropped them
        self._answered: list[int] = []
        self._highest = 0

    def act(self, action: str, number: int, window: int) -> None:
        if action == "send":
            if self.client.verifier.outstanding < window:
                payload = self.client.send()
                self._sent[self.client.verifier.last_seq] = payload
                self._unanswered.append(self.client.verifier.last_seq)
        elif action == "again":
            if self._answered:
                self._expect(self._answered[number % len(self._answered)], DUPLICATED)
        elif action == "expire":
            self._give_up(self.client.expire(1))
        elif action == "abandon":
            self._give_up(sorted(entry[3] for entry in self.client.verifier.abandon()))
        elif action == "drop":
            if self._unanswered:
                self._unanswered.pop(number % len(self._unanswered))
        elif candidates := self._given_up + self._unanswered:
            self._reply(candidates[0 if action == "reply" else number % len(candidates)], damaged=action == "corrupt")

    def _give_up(self, seqs: list[int]) -> None:
        self.counts["lost"] += len(seqs)
        self._given_up += [seq for seq in seqs if seq in self._unanswered]
        self._unanswered = [seq for seq in self._unanswered if seq not in seqs]

    def _reply(self, seq: int, *, damaged: bool) -> None:
        if seq in self._given_up:
            self._given_up.remove(seq)
            self._answered.append(seq)
            self._expect(seq, LATE)
            return
        self._unanswered.remove(seq)
        self._answered.append(seq)
        status = CORRUPTED if damaged else REORDERED if seq < self._highest else RECEIVED
        self._highest = max(seq, self._highest)
        self._expect(seq, status)

    def _expect(self, seq: int, status: ReplyStatus) -> None:
        payload = self._sent[seq]
        if status is CORRUPTED:
            payload = payload[:-5] + b"~" + payload[-4:]
        self.counts[status.value] += 1
        settled = None if status in (DUPLICATED, LATE) else seq
        assert self.client.receive(payload) == (status, settled)


@given(
    window=st.integers(1, 8),
    size=st.sampled_from([64, 128, 1000]),
    actions=st.lists(ACTIONS, min_size=40, max_size=120),
)
@settings(max_examples=200)
def test_every_fault_of_a_server_gets_its_status(window: int, size: int, actions: list[tuple[str, int]]) -> None:
    truth = Truth(Client(JsonMessages(5, size)))
    for action, number in actions:
        truth.act(action, number, window)
    truth.act("abandon", 0, window)
    counts = truth.counts
    settled = counts["received"] + counts["reordered"] + counts["corrupted"]
    assert truth.client.verifier.last_seq == settled + counts["lost"]
    assert truth.client.verifier.outstanding == 0
