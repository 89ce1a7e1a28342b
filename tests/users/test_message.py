"""Matching of received messages, and encoding of sent ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from wsbench.users.message import Match, Message, encode, match_identity, matcher
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


def by_closure(part: bytes) -> Match:
    return lambda m: part in m.payload


def by_default(part: bytes) -> Match:
    return lambda m, part=part: part in m.payload  # type: ignore[misc]


def by_recursion(part: bytes) -> Match:
    def holds(document: Any) -> bool:
        return any(map(holds, document)) if isinstance(document, list) else document == part.decode()

    return lambda m: holds(m.json())


def wrapping(accepts: Callable[[Message], bool]) -> Callable[[Message], bool]:
    return lambda m: bool(accepts(m))


@pytest.mark.parametrize("make", [by_closure, by_default, by_recursion, lambda part: {"id": part}])
def test_a_match_is_the_same_with_the_same_values(make: Callable[[bytes], Match]) -> None:
    of_1 = matcher(make(b"1"))
    assert match_identity(of_1) == match_identity(matcher(make(b"1")))
    assert match_identity(of_1) != match_identity(matcher(make(b"2")))
    assert match_identity(wrapping(of_1)) == match_identity(wrapping(matcher(make(b"1"))))
    assert match_identity(wrapping(of_1)) != match_identity(wrapping(matcher(make(b"2"))))


def test_callables_of_one_type_are_the_same_match() -> None:
    assert match_identity(partial(by_closure, b"1")) == match_identity(partial(by_closure, b"1"))


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
