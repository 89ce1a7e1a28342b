"""An HTTP answer, read leniently."""

from __future__ import annotations

import pytest

from wsbench.wire.reply import Reply


@pytest.mark.parametrize(
    ("raw", "status", "headers", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nA: b\r\nC:d\r\n\r\nbody", 200, (("A", "b"), ("C", "d")), b"body"),
        (b"HTTP/1.1 200\r\n\r\n", 200, (), b""),
        (b"HTTP/1.1 200 OK\r\nno colon\r\nA: b", 200, (("A", "b"),), b""),
        (b"HTTP/1.1 abc OK\r\n\r\n", None, (), b"HTTP/1.1 abc OK\r\n\r\n"),
        (b"HTTP/1.1", None, (), b"HTTP/1.1"),
        (b"", None, (), b""),
    ],
)
def test_answers_are_read_leniently(
    raw: bytes, status: int | None, headers: tuple[tuple[str, str], ...], body: bytes
) -> None:
    assert Reply.parse(raw) == Reply(status, headers, body)


def test_headers_of_an_answer_are_found_in_any_case() -> None:
    reply = Reply.parse(b"HTTP/1.1 302 Found\r\nLOCATION: /first\r\nlocation: /second\r\n\r\n")
    assert reply.header("Location".lower()) == "/first"
    assert reply.header("server") is None
