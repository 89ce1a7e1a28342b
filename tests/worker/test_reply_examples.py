"""Examples of wrong replies: the first of each kind, short, and without credentials."""

from __future__ import annotations

import re

import pytest

from wsbench.measure.payloads import JsonMessages
from wsbench.measure.reply_difference import Payload
from wsbench.results.run_result import ReplyExample
from wsbench.worker.reply_examples import ReplyExamples

SECRET = "geheim-und-lang"


def hide(text: str) -> str:
    return text.replace(SECRET, "***")


SENT = Payload(b'{"id":0,"seq":1,"pad":"..."}', True)


def test_the_first_reply_of_a_kind_is_shown_beside_the_expected_message() -> None:
    examples = ReplyExamples(hide)
    assert examples.lacks("corrupted") and examples.lacks("unexpected")
    examples.keep("corrupted", SENT, Payload(b"You said: " + SENT.data, True))
    assert not examples.lacks("corrupted") and examples.lacks("unexpected")
    examples.keep("unexpected", None, Payload(b"welcome\xff\n", False))
    said = "10 bytes before the message: 'You said: '"
    assert examples.first == [
        ReplyExample("corrupted", SENT.data.decode(), f"You said: {SENT.data.decode()}", said, 0),
        ReplyExample("unexpected", None, "welcome\\xff\\n", "no message awaited a reply"),
    ]


def test_both_are_shown_around_the_first_byte_that_differs() -> None:
    sent = JsonMessages(0, 5000).build(1)
    examples = ReplyExamples(hide)
    examples.keep("corrupted", Payload(sent, True), Payload(sent[:3000] + b"!!" + sent[3002:], True))
    [example] = examples.first
    assert example.at == 3000
    assert example.expected is not None and sent[2990:3010].decode() in example.expected
    assert f"{sent[2990:3000].decode()}!!{sent[3002:3010].decode()}" in example.received
    assert all(len(text) < 200 and text[0] == text[-1] == "…" for text in (example.expected, example.received))


def test_a_rejected_reply_has_the_scenarios_reason_and_is_the_first_of_its_name() -> None:
    examples = ReplyExamples(hide)
    for number in range(3):
        for name in ("order", "quote"):
            examples.keep_rejected(name, b'{"n":%d}' % number, f"bad\n{number}" + "!" * 1000)
    assert [(each.kind, each.name, each.expected, each.received, each.at) for each in examples.first] == [
        ("rejected", name, None, '{"n":0}', None) for name in ("order", "quote")
    ]
    assert all(each.difference.startswith("bad\\n0!!") and len(each.difference) < 250 for each in examples.first)


def test_many_names_leave_few_examples() -> None:
    examples = ReplyExamples(hide)
    for number in range(1000):
        examples.keep_rejected(f"request-{number}", b"no", "no")
    assert 1 < len(examples.first) <= 20


@pytest.mark.parametrize("at", [0, 30, 158, 165, 4000])
def test_secrets_are_hidden_wherever_they_are_cut(at: int) -> None:
    examples = ReplyExamples(hide)
    reply = b"." * at + SECRET.encode() + b"." * 4000
    sent = b"." * at + SECRET[:6].encode() + b"." * 4000
    examples.keep("corrupted", Payload(sent, True), Payload(reply, False))
    examples.keep("unexpected", None, Payload(reply, True))
    examples.keep_rejected("order", reply, f"got {reply!r}")
    for example in examples.first:
        parts = example.received.split("heim"), example.difference.split("heim-")
        assert all(len(each) == 1 for each in parts), example


def test_a_difference_that_is_hidden_is_no_difference_to_be_shown() -> None:
    examples = ReplyExamples(lambda text: re.sub(r"\d+", "***", text))
    examples.keep("corrupted", Payload(b"token 1", True), Payload(b"token 2", True))
    assert examples.first == [
        ReplyExample("corrupted", "token ***", "token ***", "the difference is in a value that is hidden", 6)
    ]


def test_the_offset_is_that_of_the_whole_reply() -> None:
    examples = ReplyExamples(hide)
    examples.keep("corrupted", *(Payload(f"{SECRET} and {end}".encode(), True) for end in "ab"))
    assert examples.first == [
        ReplyExample("corrupted", "*** and a", "*** and b", "byte 8 is 'b' instead of 'a'", len(SECRET) + 5)
    ]


def test_a_reply_that_is_not_utf_8_is_kept() -> None:
    examples = ReplyExamples(hide)
    examples.keep("corrupted", Payload(b"\xff\0ab", False), Payload(b"\xff\0a\xfe", False))
    assert examples.first == [
        ReplyExample("corrupted", "\\xff\\x00ab", "\\xff\\x00a\\xfe", "byte 3 is '\\xfe' instead of 'b'", 3)
    ]
