"""What is made of every answer to the upgrade request."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import frames
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.protocol import OPEN

from wsbench.errors import HandshakeError, Side
from wsbench.wire.diagnosis import diagnose
from wsbench.wire.handshake import ConnectOptions, new_protocol

URL = "ws://server.test:8765/chat?room=1"
UPGRADE, CONNECTION = "Upgrade: websocket", "Connection: Upgrade"


def diagnosed(raw: bytes, **options: Any) -> HandshakeError:
    """The diagnosis of a canned answer, by the way of `wire.opening`: a whole 101 goes through the protocol object."""
    asked = ConnectOptions(URL, **options)
    protocol, request = new_protocol(asked)
    protocol.send_request(request)
    protocol.data_to_send()
    raw = raw.replace(b"ACCEPT", frames.accept_key(protocol.key).encode())
    error = None
    if raw.startswith(b"HTTP/1.1 101 ") and b"\r\n\r\n" in raw:
        protocol.receive_data(raw)
        assert protocol.state is not OPEN
        error = protocol.handshake_exc
    return diagnose(error, raw, asked)


def http(status: str, *headers: str, body: bytes = b"", version: str = "HTTP/1.1") -> bytes:
    return frames.http_answer(status, *headers, body=body, version=version)


ACCEPT = "Sec-WebSocket-Accept: ACCEPT"
HTML = b"<html>\n<h1>Welcome to nginx!</h1>"

ANSWERS: list[tuple[str, bytes, str, str, str]] = [
    # case                    answer                                            kind             told          remedy
    ("200", http("200 OK", body=HTML), "no-upgrade", "answered 200 OK", "proxy_set_header Upgrade"),
    ("301", http("301 Moved", "Location: https://a.test/x"), "redirected", "301 Moved Permanently", "wss://a.test/x"),
    ("302", http("302 Found", "Location: http://a.test/x"), "redirected", "302 Found", "points to: ws://a.test/x"),
    (
        "302 in place",
        http("302 Found", "Location: /moved"),
        "redirected",
        "location: /moved",
        "points to: ws://server.test:8765/moved",
    ),
    ("302 to nowhere", http("302 Found"), "no-upgrade", "302 Found", "nginx"),
    (
        "400 of a back end",
        http("400 Bad Request", body=b"missing Upgrade header\n"),
        "no-upgrade",
        "body 'missing Upgrade header'",
        "Have the proxy speak HTTP/1.1 and pass both headers on",
    ),
    (
        "400 of nginx",
        http("400 Bad Request", body=b"The plain HTTP request was sent to HTTPS port"),
        "tls-expected",
        "400 Bad Request",
        "wss://",
    ),
    ("401", http("401 Unauthorized"), "unauthorized", "401 Unauthorized", "--header 'Authorization"),
    ("403", http("403 Forbidden"), "forbidden", "403 Forbidden", "--origin"),
    ("404", http("404 Not Found"), "not-found", "for /chat?room=1", "Check the path"),
    ("426", http("426 Upgrade Required", UPGRADE), "no-upgrade", "426 Upgrade Required", "proxy"),
    ("429", http("429 Too Many Requests", UPGRADE), "rejected", "it limits how often one may connect", "Wait"),
    ("500", http("500 Internal Server Error"), "rejected", "500 Internal Server Error", "see its log"),
    ("502", http("502 Bad Gateway"), "unavailable", "502 Bad Gateway", "behind its proxy"),
    ("503", http("503 Service Unavailable"), "unavailable", "503 Service Unavailable", "overloaded"),
    ("a status of its own", http("599 Whatever"), "rejected", "answered 599 to", "see its log"),
    ("101, no Upgrade", http("101 S", CONNECTION, ACCEPT), "no-upgrade", "no Upgrade header", "Connection headers"),
    ("101, no Connection", http("101 S", UPGRADE, ACCEPT), "no-upgrade", "no Connection header", "proxy"),
    ("101 to h2c", http("101 S", "Upgrade: h2c", CONNECTION, ACCEPT), "no-upgrade", "Upgrade: h2c", "proxy"),
    ("101, no Accept", http("101 S", UPGRADE, CONNECTION), "wrong-accept", "no valid Sec-WebSocket-Accept", "cache"),
    (
        "101, wrong Accept",
        http("101 S", UPGRADE, CONNECTION, "Sec-WebSocket-Accept: AAAA"),
        "wrong-accept",
        "a wrong Sec-WebSocket-Accept (AAAA)",
        "cache or proxy that replays",
    ),
    (
        "101, an extension nobody asked for",
        http("101 S", UPGRADE, CONNECTION, ACCEPT, "Sec-WebSocket-Extensions: permessage-deflate"),
        "negotiation",
        "granted an extension that was not asked for (Sec-WebSocket-Extensions: permessage-deflate)",
        "--compression",
    ),
    (
        "101, a subprotocol nobody asked for",
        http("101 S", UPGRADE, CONNECTION, ACCEPT, "Sec-WebSocket-Protocol: chat"),
        "negotiation",
        "granted a subprotocol that was not asked for (Sec-WebSocket-Protocol: chat)",
        "--subprotocol",
    ),
    ("HTTP/1.0", http("101 S", UPGRADE, CONNECTION, ACCEPT, version="HTTP/1.0"), "http-1.0", "HTTP/1.0", "nginx"),
    ("only the start of HTTP/1.0", b"HTTP/1.0", "http-1.0", "HTTP/1.0", "proxy_http_version 1.1"),
    ("HTTP/1.0 404", http("404 Not Found", version="HTTP/1.0"), "not-found", "404 Not Found", "path"),
    ("a TLS alert", b"\x15\x03\x01\x00\x02\x02\x46", "tls-expected", "speaks TLS", "Use wss:// instead of ws://."),
    ("a TLS handshake", b"\x16\x03\x03\x00\x7a\x02", "tls-expected", "speaks TLS", "wss://"),
    ("garbage", bytes(range(128, 256)) + b"SSH", "not-http", "but with '····", "Is this a WebSocket server?"),
    ("another protocol", b"SSH-2.0-OpenSSH_9.2\r\n", "not-http", "'SSH-2.0-OpenSSH_9.2··'", "WebSocket server"),
    ("nothing", b"", "handshake-closed", "closed the connection without answering", "the right scheme"),
    ("a 101 cut short", b"HTTP/1.1 101 Switching Protocols\r\nUpgr", "handshake-cut", "after 38 bytes", "its log"),
    ("hardly a start", b"HTTP/1.1 40", "handshake-cut", "after 11 bytes", "its log"),
    ("a head without end", b"HTTP/1.1 101 S\r\n" + b"A: b\r\n" * 11_000, "handshake-cut", "not end its headers", "log"),
    ("a 404 cut short", b"HTTP/1.1 404 Not Found\r\nServ", "not-found", "404 Not Found", "Check the path"),
]


@pytest.mark.parametrize(("raw", "kind", "told", "remedy"), [a[1:] for a in ANSWERS], ids=[a[0] for a in ANSWERS])
def test_every_answer_has_its_diagnosis(raw: bytes, kind: str, told: str, remedy: str) -> None:
    error = diagnosed(raw)
    assert error.kind == kind
    assert told.lower() in error.what.lower()
    assert remedy in error.remedy
    assert (error.step, error.side, error.exit_code) == ("upgrade", Side.TARGET, 3)
    assert error.what.startswith("server.test:8765 ")
    assert "\n" not in error.what


def test_what_was_granted_must_be_of_what_was_asked() -> None:
    answer = http("101 S", UPGRADE, CONNECTION, ACCEPT, "Sec-WebSocket-Protocol: v3")
    error = diagnosed(answer, subprotocols=("chat", "v2"))
    assert (error.kind, "v3" in error.what) == ("negotiation", True)
    answer = http(
        "101 S", UPGRADE, CONNECTION, ACCEPT, "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99"
    )
    assert diagnosed(answer, compression="on").kind == "negotiation"


def test_an_error_keeps_the_answer() -> None:
    error = diagnosed(http("503 Service Unavailable", "Retry-After: 30", "Server: nginx", body=b"try later" * 100))
    assert error.status == 503
    assert ("Retry-After", "30") in error.headers
    assert error.body.startswith(b"try later")
    assert len(error.body) <= 200
    assert "Server: nginx" in error.what


def test_an_answer_is_shown_short_and_printable() -> None:
    error = diagnosed(http("404 Not Found", body=b"\x1b[31mred\x00\xff " + b"long " * 1000))
    assert len(error.what) < 400
    assert error.what.isprintable()


@given(st.one_of(st.binary(max_size=100), st.binary(max_size=100).map(b"HTTP/1.1 ".__add__)))
@settings(max_examples=200, deadline=None)
def test_every_answer_has_some_diagnosis(raw: bytes) -> None:
    error = diagnose(None, raw, ConnectOptions(URL))
    assert error.kind and error.what.isprintable() and error.remedy
