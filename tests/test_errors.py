"""Excerpts of payloads in messages for people: short, on one line, and valid UTF-8."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsbench.errors import escape, excerpt


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        (b"", ""),
        (b'{"a":"\\n"}', '{"a":"\\n"}'),
        ("grüße 名".encode(), "grüße 名"),
        (b"a\r\n\x1b[2J\x00\x7f", "a\\r\\n\\x1b[2J\\x00\\x7f"),
        ("\u202eabc\u2028".encode(), "\\u202eabc\\u2028"),
        (b"\xff\xfeok", "\\xff\\xfeok"),
    ],
)
def test_what_cannot_be_printed_is_escaped(payload: bytes, shown: str) -> None:
    assert excerpt(payload) == shown


@pytest.mark.parametrize(
    ("at", "shown"),
    [(0, "0123456789…"), (3, "0123456789…"), (10, "…789abcdefg…"), (19, "…abcdefghij"), (500, "…abcdefghij")],
)
def test_an_excerpt_is_around_an_offset(at: int, shown: str) -> None:
    assert excerpt(b"0123456789abcdefghij", 10, at) == shown


def test_no_character_is_cut() -> None:
    assert {excerpt("ü名😀".encode() * 9, 20, at).replace("…", "").strip("ü名😀") for at in range(81)} == {""}


@given(st.binary(max_size=300) | st.text().map(str.encode), st.integers(1, 100), st.integers(0, 400))
def test_any_excerpt_is_short_and_printable(payload: bytes, limit: int, at: int) -> None:
    shown = excerpt(payload, limit, at)
    assert shown.isprintable() and len(shown) <= 10 * limit + 42
    shown.encode()


@given(st.text(st.characters()))
def test_any_text_can_be_escaped(text: str) -> None:
    assert escape(text).isprintable() and escape(escape(text)) == escape(text)
    escape(text).encode()
