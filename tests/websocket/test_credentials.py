"""Credentials are hidden in output, and other values are not."""

from __future__ import annotations

import pytest

from wsbench.websocket.credentials import hide_header, hide_in_target, hide_in_url


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("Authorization", "Bearer abc.def", "Bearer ***"),
        ("authorization", "abcdef", "***"),
        ("Proxy-Authorization", "Basic eDp5", "Basic ***"),
        ("Cookie", "a=b; session=c", "***"),
        ("Set-Cookie", "a=b", "***"),
        ("X-Api-Key", "abc", "***"),
        ("X-Auth-Token", "abc", "***"),
        ("X-Auth-Token", "", ""),
        ("WWW-Authenticate", 'Basic realm="x"', 'Basic realm="x"'),
        ("Sec-WebSocket-Key", "abc==", "abc=="),
        ("Location", "https://a.test/?token=abc&room=1", "https://a.test/?token=***&room=1"),
        ("Origin", "https://a.test", "https://a.test"),
        ("Host", "auth.example", "auth.example"),
    ],
)
def test_headers(name: str, value: str, shown: str) -> None:
    assert hide_header(name, value) == shown


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/chat?room=1", "/chat?room=1"),
        ("/chat?access_token=abc&room=1", "/chat?access_token=***&room=1"),
        ("/chat?room=1;key=abc", "/chat?room=1;key=***"),
        ("/chat?keyboard=qwerty&token=", "/chat?keyboard=qwerty&token="),
        ("GET /x?sig=a%20b HTTP/1.1", "GET /x?sig=*** HTTP/1.1"),
    ],
)
def test_targets(target: str, shown: str) -> None:
    assert hide_in_target(target) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ws://me:pass@a.test:80/x?jwt=abc", "ws://me:***@a.test:80/x?jwt=***"),
        ("ws://[::1]:9/", "ws://[::1]:9/"),
        ("wss://a.test", "wss://a.test"),
    ],
)
def test_urls(url: str, shown: str) -> None:
    assert hide_in_url(url) == shown
