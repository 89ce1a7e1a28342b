"""Matching of received messages, and encoding of sent ones."""

from __future__ import annotations

from typing import Any

import pytest

from wsbench.users.message import Message, encode, matcher
from wsbench.websocket.frames import BINARY, TEXT


def message(payload: bytes) -> Message:
    return Message(payload, True, 1, 2)


@pytest.mark.parametrize(
    ("wanted", "payload", "matches"),
    [
        (None, b"anything", True),
        ({"id": 7}, b'{"id": 7, "result": 1}', True),
        ({"id": 7}, b'{"id": 8}', False),
        ({"id": 7}, b'{"other": 7}', False),
        ({"id": 7}, b"[7]", False),
        ({"id": 7}, b"no JSON", False),
        ({"id": 1}, b'{"id": true}', False),
        ({"id": None}, b"{}", False),
        ({"a": {"b": 1}}, b'{"a": {"b": 1, "c": 2}}', True),
        ({"a": {"b": 1}}, b'{"a": 1}', False),
        (lambda m: m.text.startswith("ok"), b"ok then", True),
        (lambda m: m.text.startswith("ok"), b"no", False),
    ],
)
def test_matching(wanted: Any, payload: bytes, matches: bool) -> None:
    assert matcher(wanted)(message(payload)) is matches


@pytest.mark.parametrize(
    ("sendable", "sent"),
    [
        ("ü", ("ü".encode(), TEXT)),
        (b"\x00", (b"\x00", BINARY)),
        ({"a": [1]}, (b'{"a":[1]}', TEXT)),
        ([1], (b"[1]", TEXT)),
    ],
)
def test_what_may_be_sent(sendable: Any, sent: tuple[bytes, int]) -> None:
    assert encode(sendable) == sent


def test_a_message_is_parsed_once_and_fails_once() -> None:
    failures: list[tuple[Message, str]] = []
    reply = message(b'{"a": 1}')
    assert reply.json() is reply.json() and reply.text == '{"a": 1}'
    reply.fail("nobody minds")
    reply._on_fail = lambda rejected, reason: failures.append((rejected, reason))
    reply.fail("wrong")
    reply.fail("wrong again")
    assert failures == [(reply, "wrong")]


def test_what_could_never_match_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="'price'"):
        matcher("price")  # type: ignore[arg-type]
