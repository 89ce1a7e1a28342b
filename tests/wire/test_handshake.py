"""The opening handshake as bytes: what we ask for, and what is made of every answer."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from helpers import frames
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.protocol import OPEN

from wsbench.errors import HandshakeError, Side, UsageError
from wsbench.wire.handshake import ConnectOptions, Reply, diagnose, new_protocol, parse_header, parse_url, tls_error
from wsbench.wire.tls import client_context

URL = "ws://server.test:8765/chat?room=1"
UPGRADE, CONNECTION = "Upgrade: websocket", "Connection: Upgrade"


# -- URLs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "secure", "host", "port", "resource"),
    [
        ("ws://127.0.0.1:8765/echo", False, "127.0.0.1", 8765, "/echo"),
        ("wss://Example.com", True, "example.com", 443, "/"),
        ("ws://example.com/a/b?c=d&e", False, "example.com", 80, "/a/b?c=d&e"),
        ("WS://example.com:65535", False, "example.com", 65535, "/"),
        ("ws://[::1]:9/", False, "::1", 9, "/"),
        ("ws://user:secret@example.com/", False, "example.com", 80, "/"),
    ],
)
def test_urls(url: str, secure: bool, host: str, port: int, resource: str) -> None:
    uri = parse_url(url)
    assert (uri.secure, uri.host, uri.port, uri.resource_name) == (secure, host, port, resource)
    assert ConnectOptions(url).uri == uri


@pytest.mark.parametrize(
    ("url", "better"),
    [
        ("http://example.com/echo", "ws://example.com/echo"),
        ("https://example.com:8443/", "wss://example.com:8443/"),
        ("HTTP://example.com", "ws://example.com"),
    ],
)
def test_an_http_url_is_told_its_websocket_form(url: str, better: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_url(url)
    assert better in caught.value.remedy
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "127.0.0.1:8765",
        "ftp://example.com/",
        "ws:/example.com",
        "ws://",
        "ws:///echo",
        "ws://:8765/",
        "ws://example.com:0/",
        "ws://example.com:70000/",
        "ws://example.com:-1/",
        "ws://example.com:port/",
        "ws://example.com/#part",
        "ws://user@example.com/",
        "ws://[::1/",
    ],
)
def test_no_websocket_urls(url: str) -> None:
    with pytest.raises(UsageError, match="is not a WebSocket URL") as caught:
        parse_url(url)
    assert "ws://127.0.0.1:8765/echo" in caught.value.remedy
    with pytest.raises(UsageError):
        ConnectOptions(url)


@given(st.one_of(st.text(max_size=30), st.text(max_size=30).map("ws://".__add__)))
@settings(max_examples=200, deadline=None)
def test_whatever_is_given_is_a_url_or_a_usage_error(url: str) -> None:
    try:
        uri = parse_url(url)
    except UsageError:
        return
    assert uri.host
    assert 0 < uri.port < 65536


# -- the request -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("Authorization: Bearer x:y", ("Authorization", "Bearer x:y")),
        ("X-Empty:", ("X-Empty", "")),
        ("  X-Spaced  :  a b  ", ("X-Spaced", "a b")),
    ],
)
def test_headers(text: str, header: tuple[str, str]) -> None:
    assert parse_header(text) == header


@pytest.mark.parametrize("text", ["", "no colon", ": value", "two words: x", "Ünicode: x", "a\tb: c"])
def test_no_headers(text: str) -> None:
    with pytest.raises(ValueError, match="is not a header: use 'Name: value'"):
        parse_header(text)


@pytest.mark.parametrize("value", ["a\r\nInjected: b", "a\nb", "a\rb"])
def test_a_header_cannot_smuggle_in_another_one(value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        parse_header(f"X-Name: {value}")


def request_of(**options: Any) -> frames.Request:
    """What goes over the wire, read by code that is not websockets'."""
    protocol, request = new_protocol(ConnectOptions(options.pop("url", URL), **options))
    protocol.send_request(request)
    return frames.parse_request(b"".join(protocol.data_to_send()).removesuffix(b"\r\n\r\n"))


def test_a_plain_request_asks_for_a_websocket_and_nothing_else() -> None:
    request = request_of()
    assert (request.method, request.target) == ("GET", "/chat?room=1")
    assert frames.upgrade_answer(request).startswith(b"HTTP/1.1 101 ")
    names = {"host", "upgrade", "connection", "sec-websocket-key", "sec-websocket-version"}
    assert set(request.headers) - {"user-agent"} == names
    assert request.headers["host"] == "server.test:8765"


def test_keys_are_not_reused() -> None:
    assert request_of().headers["sec-websocket-key"] != request_of().headers["sec-websocket-key"]


def test_everything_that_is_asked_for_is_in_the_request() -> None:
    request = request_of(
        url="wss://user:secret@server.test/",
        headers=(("X-One", "1"), ("Cookie", "a=b")),
        subprotocols=("chat", "v2"),
        origin="https://example.com",
        compression="client_max_window_bits=12; server_no_context_takeover",
    )
    assert request.headers["host"] == "server.test"
    assert request.headers["x-one"] == "1"
    assert request.headers["cookie"] == "a=b"
    assert request.headers["sec-websocket-protocol"] == "chat, v2"
    assert request.headers["origin"] == "https://example.com"
    assert request.headers["authorization"] == "Basic dXNlcjpzZWNyZXQ="
    offer = request.headers["sec-websocket-extensions"]
    assert sorted(part.strip() for part in offer.split(";")) == [
        "client_max_window_bits=12",
        "permessage-deflate",
        "server_no_context_takeover",
    ]


@pytest.mark.parametrize(("name", "value"), [("Host", "other.test"), ("host", "other.test"), ("ORIGIN", "null")])
def test_a_header_of_ones_own_replaces_ours(name: str, value: str) -> None:
    protocol, request = new_protocol(ConnectOptions(URL, headers=((name, value),), origin="https://example.com"))
    assert request.headers.get_all(name) == [value]
    assert protocol.uri.host == "server.test"


def test_any_other_header_may_be_repeated() -> None:
    _, request = new_protocol(ConnectOptions(URL, headers=(("Cookie", "a=1"), ("Cookie", "b=2"))))
    assert request.headers.get_all("Cookie") == ["a=1", "b=2"]


def test_the_longest_message_is_what_the_options_say() -> None:
    protocol, _ = new_protocol(ConnectOptions(URL, max_size=1234))
    assert protocol.max_message_size == 1234


# -- answers ---------------------------------------------------------------------------------------------------------


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
    ("302 in place", http("302 Found", "Location: /moved"), "redirected", "location: /moved", "points to: /moved"),
    ("302 to nowhere", http("302 Found"), "no-upgrade", "302 Found", "nginx"),
    (
        "400 of a back end",
        http("400 Bad Request", body=b"missing Upgrade header\n"),
        "no-upgrade",
        "body 'missing Upgrade header'",
        "A proxy that dropped the Upgrade",
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
    ("429", http("429 Too Many Requests", UPGRADE), "rejected", "429 Too Many Requests", "see its log"),
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
        "granted what was not asked for (Sec-WebSocket-Extensions: permessage-deflate)",
        "--compression",
    ),
    (
        "101, a subprotocol nobody asked for",
        http("101 S", UPGRADE, CONNECTION, ACCEPT, "Sec-WebSocket-Protocol: chat"),
        "negotiation",
        "granted what was not asked for (Sec-WebSocket-Protocol: chat)",
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


@given(st.one_of(st.binary(max_size=100), st.binary(max_size=100).map(b"HTTP/1.1 ".__add__)))
@settings(max_examples=200, deadline=None)
def test_every_answer_has_some_diagnosis(raw: bytes) -> None:
    error = diagnose(None, raw, ConnectOptions(URL))
    assert error.kind and error.what.isprintable() and error.remedy


# -- TLS -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "kind", "remedy"),
    [
        ("WRONG_VERSION_NUMBER", "no-tls", "ws:// instead of wss://"),
        ("HTTP_REQUEST", "no-tls", "ws:// instead of wss://"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "tls", ""),
    ],
)
def test_why_tls_did_not_come_about(reason: str, kind: str, remedy: str) -> None:
    cause = ssl.SSLError(1, f"[SSL: {reason}] something")
    cause.reason = reason
    error = tls_error(cause, ConnectOptions("wss://server.test/"))
    assert (error.kind, error.step, error.side) == (kind, "tls", Side.TARGET)
    assert remedy in error.remedy
    assert error.what == f"no TLS with server.test:443: {reason.replace('_', ' ').lower()}"


def test_a_ca_file_that_cannot_be_used(tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("no certificate")
    with pytest.raises(UsageError, match="it holds no PEM certificate"):
        client_context(ca_file=str(nonsense), insecure=False)
    with pytest.raises(UsageError, match=r"--ca /nonexistent/ca\.pem: there is no such file"):
        client_context(ca_file="/nonexistent/ca.pem", insecure=False)


def test_certificates_are_checked_unless_that_is_switched_off() -> None:
    checking, trusting = (client_context(ca_file=None, insecure=insecure) for insecure in (False, True))
    assert (checking.verify_mode, checking.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert (trusting.verify_mode, trusting.check_hostname) == (ssl.CERT_NONE, False)
