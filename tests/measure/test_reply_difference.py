"""The difference between a wrong reply and the expected message, in words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsbench.measure.payloads import JsonMessages
from wsbench.measure.reply_difference import Payload, describe, first_difference

MESSAGE = JsonMessages(7, 128).build(1)
NEXT = JsonMessages(7, 128).build(2)
MEMBERS: dict[str, Any] = json.loads(MESSAGE)
TEXT = MESSAGE.decode()


def difference(expected: bytes, received: bytes) -> str:
    return describe(Payload(expected, True), Payload(received, True))


def _json(members: object, **options: Any) -> bytes:
    return json.dumps(members, **options).encode()


WRONG: dict[str, tuple[bytes, str, int]] = {
    "prefix": (b"You said: " + MESSAGE, "10 bytes before the message: 'You said: '", 0),
    "suffix": (MESSAGE + b" ok", "3 bytes after the message: ' ok'", 128),
    "both": (b"<" + MESSAGE + b">", "1 byte before the message: '<', and 1 byte after it: '>'", 0),
    "stringify": (
        _json({name: str(value) for name, value in MEMBERS.items()}),
        'member id is a string, "7" instead of 7; member seq is a string, "1" instead of 1',
        6,
    ),
    "bom": (b"\xef\xbb\xbf" + MESSAGE, "a byte order mark before the message", 0),
    "nan": (MESSAGE[:-1] + b',"x":NaN}', "one member more: x; NaN is no JSON", 127),
    "added": (MESSAGE[:-1] + b',"server_ts":1700000000.5}', "one member more: server_ts", 127),
    "several-added": (_json(MEMBERS | dict.fromkeys("abcd")), "4 members more: a, b, c, …", 6),
    "left-out": (_json({"id": 7, "seq": 1}), "one member missing: pad", 6),
    "wrap": (b'{"type":"echo","data":' + MESSAGE + b"}", "the message wrapped in an object, at data", 2),
    "wrap-deep": (_json({"a": [{"b": MEMBERS}]}), "the message wrapped in an object, at a[0].b", 2),
    "wrap-string": (_json({"data": TEXT}), "the message as a string wrapped in an object, at data", 2),
    "wrap-array": (_json([MEMBERS]), "the message wrapped in an array, at [0]", 0),
    "string": (_json(TEXT), "the message as a JSON string", 0),
    "empty": (b"", "an empty message", 0),
    "newline": (MESSAGE + b"\n", "a line break after the message", 128),
    "nul": (MESSAGE + b"\0", "a NUL byte after the message", 128),
    "floatify": (_json(MEMBERS | {"id": 7.0}), "member id is 7.0 instead of 7", 6),
    "reorder-keys": (_json(dict(reversed(MEMBERS.items())), indent=2), "the same members in another order", 1),
    "spaces": (_json(MEMBERS), "the same JSON with other spaces or escapes", 6),
    "batch": (MESSAGE + b"\n" + NEXT, "2 messages in one", 128),
    "batch-ended": (NEXT + b"\n" + MESSAGE + b"\n", "2 messages in one", 14),
    "batch-joined": (MESSAGE + NEXT + NEXT, "3 messages in one", 128),
    "batch-array": (_json([MEMBERS, json.loads(NEXT)]), "2 messages in one array", 0),
    "cut": (MESSAGE[:60], "cut off: the first 60 bytes of 128", 60),
    "end-only": (MESSAGE[8:], "the first 8 bytes are missing: '{\"id\":7,'", 0),
    "seq": (MESSAGE.replace(b'"seq":1', b'"seq":2'), "member seq is 2 instead of 1", 14),
    "true": (MESSAGE.replace(b'"seq":1', b'"seq":true'), "member seq is true instead of 1", 14),
    "null": (b"null", 'the message is null instead of {"id": 7, "seq": 1, "pad": "1xOa03sGWRo…', 0),
    "list": (_json(MEMBERS | {"seq": [1]}), "member seq is an array, [1] instead of 1", 6),
    "other-object": (b'{"error":"no","code":4}', "other members: error, code instead of id, seq, pad", 2),
    "other-text": (b"Bad request", "another message: 'Bad request'", 0),
    "flipped": (MESSAGE[:30] + b"!" + MESSAGE[31:], "member pad differs from character 7 on: ", 30),
    "not-utf-8": (MESSAGE[:30] + b"\xff" + MESSAGE[31:], "byte 30 is '\\xff' instead of 'G'", 30),
    "broken": (MESSAGE[:30] + MESSAGE[31:-1], "differs from byte 30 on: ", 30),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_difference_is_named(name: str) -> None:
    received, words, at = WRONG[name]
    found = difference(MESSAGE, received)
    assert found == words if not words.endswith(": ") else found.startswith(words)
    assert first_difference(MESSAGE, received) == at


@pytest.mark.parametrize(
    ("expected", "received", "words"),
    [
        (b"hello", b'{"echo":"hello"}', "the message wrapped in an object, at echo"),
        (b"hello", b"hello world", "6 bytes after the message: ' world'"),
        (b"hello", b"hello\r\nhello", "2 messages in one"),
        (b"hello", b"help!", "differs from byte 3 on: 'p!' instead of 'lo'"),
        (b"hello there", b"hello thmere", "1 byte more at byte 8: 'm'"),
        (b"hello there", b"hellothere", "1 byte missing at byte 5: ' '"),
        (b"", b"x", "1 byte instead of an empty message: 'x'"),
        ("grüße".encode(), "grüße".encode("latin-1"), "differs from byte 2 on: '\\xfc\\xdf' instead of 'üß'"),
        (b'{"a":{"b":[1,{"c":null}]}}', b'{"a":{"b":[1,{"c":5}]}}', "member a.b[1].c is 5 instead of null"),
        (b'{"a":[1,2]}', b'{"a":[1]}', "member a has 1 elements instead of 2"),
        (b'{"a":0}', b'{"a":false}', "member a is false instead of 0"),
        (b"\0\1\2\3", b"\0\1\7\3", "byte 2 is '\\x07' instead of '\\x02'"),
    ],
)
def test_a_custom_message_is_compared_like_any_other(expected: bytes, received: bytes, words: str) -> None:
    assert difference(expected, received) == words


def test_the_type_of_the_message_is_named_alone_or_before_the_difference() -> None:
    text, binary = Payload(MESSAGE, True), Payload(MESSAGE, False)
    assert describe(text, binary) == "a binary message instead of a text"
    assert describe(binary, text) == "a text message instead of a binary"
    both = describe(text, Payload(MESSAGE + b"\n", False))
    assert both == "a binary message instead of a text, and a line break after the message"
    assert describe(text, text) == "no difference" and first_difference(MESSAGE, MESSAGE) is None


def test_large_messages_are_compared_by_bytes() -> None:
    large = JsonMessages(7, 1 << 20).build(1)
    found = difference(large, large[:-9] + b"!" + large[-8:])
    assert found == f"byte {len(large) - 9} is '!' instead of '{chr(large[-9])}'"


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
)
PAYLOADS = (
    st.binary()
    | st.text().map(lambda text: text.encode(errors="surrogatepass"))
    | DOCUMENTS.map(lambda document: json.dumps(document, ensure_ascii=True).encode())
    | st.sampled_from(
        [b"[" * 100_000, b"[" * 500 + b"]" * 500, b"9" * 10_000, b'"\\ud800"', b'{"\\udfff":1e999}', MESSAGE]
    )
)


@given(st.builds(Payload, PAYLOADS, st.booleans()), st.builds(Payload, PAYLOADS, st.booleans()))
def test_any_difference_is_one_short_printable_line(expected: Payload, received: Payload) -> None:
    words = describe(expected, received)
    assert 0 < len(words) <= 400 and words.isprintable()
    words.encode()
    assert (words == "no difference") is (expected == received)


@given(PAYLOADS, st.integers(0, 100), PAYLOADS)
def test_a_changed_part_of_a_message(expected: bytes, place: int, inserted: bytes) -> None:
    received = expected[:place] + inserted + expected[place + 1 :]
    assert difference(expected, received).isprintable()
    at = first_difference(expected, received)
    assert at is None if expected == received else at is not None and at >= min(place, len(expected))
    if at is not None:
        assert expected[:at] == received[:at] and expected[at : at + 1] != received[at : at + 1]
