"""The diagnosis of every kind of response to the upgrade request."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import frames
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.protocol import OPEN

from wsbench.errors import HandshakeError, Side
from wsbench.websocket.connect_options import ConnectOptions
from wsbench.websocket.handshake import new_protocol
from wsbench.websocket.handshake_errors import diagnose

URL = "ws://server.test:8765/chat?room=1"
UPGRADE, CONNECTION = "Upgrade: websocket", "Connection: Upgrade"


def diagnosed(raw: bytes, **options: Any) -> HandshakeError:
    """Diagnose a canned response as the connect step does: a whole 101 goes through the protocol object."""
    connect = ConnectOptions(URL, **options)
    protocol, request = new_protocol(connect)
    protocol.send_request(request)
    protocol.data_to_send()
    raw = raw.replace(b"ACCEPT", frames.accept_key(protocol.key).encode())
    error = None
    if raw.startswith(b"HTTP/1.1 101 ") and b"\r\n\r\n" in raw:
        protocol.receive_data(raw)
        assert protocol.state is not OPEN
        error = protocol.handshake_exc
    return diagnose(error, raw, connect)


def http(status: str, *headers: str, body: bytes = b"", version: str = "HTTP/1.1") -> bytes:
    return frames.http_answer(status, *headers, body=body, version=version)


ACCEPT = "Sec-WebSocket-Accept: ACCEPT"
NGINX = "Server: nginx/1.22.1"
NGINX_404 = b"<html><body><center><h1>404 Not Found</h1></center><hr><center>nginx/1.22.1</center></body></html>"
HTML = b"<html>\n<h1>Welcome to nginx!</h1>"

ANSWERS: list[tuple[str, bytes, str, str, str]] = [
    # case                    answer                                            kind             text          remedy
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
        "Let the proxy use HTTP/1.1 and pass on the Upgrade",
    ),
    (
        "400 of nginx",
        http("400 Bad Request", body=b"The plain HTTP request was sent to HTTPS port"),
        "tls-expected",
        "400 Bad Request",
        "wss://",
    ),
    ("401", http("401 Unauthorized"), "unauthorized", "401 Unauthorized", "--header 'Authorization"),
    ("403", http("403 Forbidden", body=HTML), "forbidden", "without an Origin header, or the credentials", "--origin"),
    (
        "403 of uvicorn",
        http("403 ", "content-length: 0"),
        "forbidden",
        "it refuses a request without an Origin header, the path or the credentials",
        "check the path, then try --origin https://server.test or a --header",
    ),
    ("403 of daphne", http("403 X", "Server: daphne"), "forbidden", "the path or the credentials", "check the path"),
    ("403 of nginx, cut", http("403 Forbidden", NGINX), "forbidden", "it refuses a request without", "--origin"),
    ("404", http("404 Not Found"), "not-found", "for /chat?room=1", "Check the path"),
    ("426", http("426 Upgrade Required", UPGRADE), "no-upgrade", "426 Upgrade Required", "proxy"),
    ("429", http("429 Too Many Requests", UPGRADE), "rejected", "it limits the rate of connections", "Wait"),
    ("500", http("500 Internal Server Error"), "rejected", "500 Internal Server Error", "see its log"),
    ("502", http("502 Bad Gateway"), "unavailable", "502 Bad Gateway", "behind its proxy"),
    ("503", http("503 Service Unavailable"), "unavailable", "down or overloaded", "log of the server"),
    ("a status of its own", http("599 Whatever"), "rejected", "answered 599 to", "see its log"),
    (
        "426 to version 13",
        http("426 Upgrade Required", "Sec-WebSocket-Version: 8, 7"),
        "version",
        "supports 8, 7",
        "older",
    ),
    (
        "426 that names 13",
        http("426 Upgrade Required", "Sec-WebSocket-Version: 13", NGINX),
        "no-upgrade",
        "version 13, Upgrade, Connection): a proxy (nginx/1.22.1) dropped",
        "proxy_http_version 1.1",
    ),
    (
        "400 of gorilla behind nginx",
        http("400 Bad Request", "Sec-Websocket-Version: 13", NGINX, body=b"Bad Request\n"),
        "no-upgrade",
        "a proxy (nginx/1.22.1) dropped or changed its headers",
        "proxy_http_version 1.1",
    ),
    (
        "400 of a server that got HTTP/1.0",
        http("400 Bad Request", body=b"Unsupported HTTP version: b'HTTP/1.0'"),
        "no-upgrade",
        "a proxy passed the request on as HTTP/1.0",
        "proxy_http_version 1.1",
    ),
    ("505", http("505 Whatever", "Via: 1.1 Caddy"), "no-upgrade", "a proxy (1.1 Caddy) passed", "proxy_http_version"),
    (
        "400 that says why",
        http("400 Bad Request", "Content-Type: text/plain", body=b"room is missing"),
        "no-upgrade",
        "it refuses the request for the reason in its body, or a proxy dropped",
        "nginx",
    ),
    ("400 of no known kind", http("400 Bad Request"), "no-upgrade", "a plain HTTP server, or a proxy dropped", "nginx"),
    ("400 for the origin", http("400 Bad Request", body=b"bad origin"), "forbidden", "without an Origin", "--origin"),
    (
        "403 that names the origin",
        http("403 Forbidden", body=b"invalid Origin header: null"),
        "forbidden",
        "it refuses a request without an Origin header (",
        "--origin https://server.test",
    ),
    ("403 of gorilla", http("403 Forbidden", "Sec-Websocket-Version: 13"), "forbidden", "it refuses", "--origin"),
    ("404 behind nginx", http("404 Not Found", NGINX), "not-found", "path, or the proxy nginx/1.22.1 dropped", "path"),
    ("404 of uvicorn", http("404 X", "server: uvicorn"), "not-found", "no WebSocket library", "uvicorn[standard]"),
    ("103 and no more", http("103 Early Hints"), "handshake-cut", "interim response, and no other followed", "its log"),
    ("LF only", b"HTTP/1.1 404 X\nServer: nginx/1.22.1\n\nno", "not-found", "path, or the proxy nginx/1.22.1", "path"),
    (
        "101 with a space in a name",
        http("101 S", UPGRADE, CONNECTION, ACCEPT, "X A: 2"),
        "invalid-http",
        "answered 101, but in a head that is not valid HTTP (invalid",
        "the proxy before it",
    ),
    ("404 of nginx", http("404 Not Found", NGINX, body=NGINX_404), "not-found", "no such path (Server", "path"),
    (
        "500 behind nginx",
        http("500 X", NGINX),
        "rejected",
        "as some do when a proxy (nginx/1.22.1) drops",
        "log of the server behind the proxy",
    ),
    ("407", http("407 X"), "unauthorized", "a proxy wants authentication", "Proxy-Authorization"),
    (
        "the page of a TLS port",
        http("400 X", body=b"You're speaking plain HTTP to an SSL-enabled"),
        "tls-expected",
        "TLS",
        "wss",
    ),
    ("HTTP/2", b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + bytes(18), "not-http", "speaks HTTP/2 only", "HTTP/1.1"),
    ("101, no Upgrade", http("101 S", CONNECTION, ACCEPT), "no-upgrade", "no Upgrade header", "Connection headers"),
    ("101, no Connection", http("101 S", UPGRADE, ACCEPT), "no-upgrade", "no Connection header", "proxy"),
    ("101 to h2c", http("101 S", "Upgrade: h2c", CONNECTION, ACCEPT), "no-upgrade", "Upgrade: h2c", "proxy"),
    ("101, no Accept", http("101 S", UPGRADE, CONNECTION), "wrong-accept", "no valid Sec-WebSocket-Accept", "cache"),
    (
        "101, wrong Accept",
        http("101 S", UPGRADE, CONNECTION, "Sec-WebSocket-Accept: AAAA"),
        "wrong-accept",
        "a wrong Sec-WebSocket-Accept (AAAA)",
        "cache or proxy replays",
    ),
    (
        "101, an extension that was not offered",
        http("101 S", UPGRADE, CONNECTION, ACCEPT, "Sec-WebSocket-Extensions: permessage-deflate"),
        "negotiation",
        "granted an extension that was not offered (Sec-WebSocket-Extensions: permessage-deflate)",
        "--compression",
    ),
    (
        "101, a subprotocol that was not offered",
        http("101 S", UPGRADE, CONNECTION, ACCEPT, "Sec-WebSocket-Protocol: chat"),
        "negotiation",
        "granted a subprotocol that was not offered (Sec-WebSocket-Protocol: chat)",
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


@pytest.mark.parametrize(("raw", "kind", "text", "remedy"), [a[1:] for a in ANSWERS], ids=[a[0] for a in ANSWERS])
def test_every_answer_has_its_diagnosis(raw: bytes, kind: str, text: str, remedy: str) -> None:
    error = diagnosed(raw)
    assert error.kind == kind
    assert text.lower() in error.what.lower()
    assert remedy in error.remedy
    assert (error.step, error.side, error.exit_code) == ("upgrade", Side.TARGET, 3)
    assert error.what.startswith("server.test:8765 ")
    assert "\n" not in error.what


def test_a_server_may_grant_only_what_was_offered() -> None:
    answer = http("101 S", UPGRADE, CONNECTION, ACCEPT, "Sec-WebSocket-Protocol: v3")
    error = diagnosed(answer, subprotocols=("chat", "v2"))
    assert (error.kind, "v3" in error.what) == ("negotiation", True)
    answer = http(
        "101 S", UPGRADE, CONNECTION, ACCEPT, "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99"
    )
    assert diagnosed(answer, compression="on").kind == "negotiation"


@pytest.mark.parametrize(
    ("options", "raw", "text"),
    [
        (
            {"origin": "https://a.test"},
            http("403 Forbidden"),
            "refuses the origin https://a.test, the path or the cred",
        ),
        ({"headers": (("Origin", "null"),)}, http("403 Forbidden"), "refuses the origin null"),
        ({"headers": (("authorization", "Basic x"),)}, http("401 X"), "refuses the credentials (the header auth"),
        ({"headers": (("X-Api-Key", "x"),)}, http("401 X"), "it refuses the credentials (the header X-Api-Key)"),
        ({"headers": (("X-Team", "x"),)}, http("401 X"), "authentication is missing"),
    ],
)
def test_a_refusal_is_reported_with_what_was_sent(options: dict[str, Any], raw: bytes, text: str) -> None:
    assert text in diagnosed(raw, **options).what


def test_credentials_of_the_url_were_sent() -> None:
    connect = ConnectOptions("ws://me:pw@server.test/chat?room=1&access%5Ftoken=x&ticket=y", secret_names=("ticket",))
    error = diagnose(None, http("401 Unauthorized"), connect)
    assert "refuses the credentials (user and password of the URL, access_token in the query, ticket in" in error.what


@pytest.mark.parametrize(
    "body",
    [
        b"<html><head><title>400 No required SSL certificate was sent</title></head>",
        b"<title>400 The SSL certificate error</title>",
        b"client certificate required",
    ],
)
def test_a_server_that_wants_a_client_certificate(body: bytes) -> None:
    error = diagnose(None, http("400 Bad Request", NGINX, body=body), ConnectOptions("wss://server.test/"))
    assert (error.kind, error.side) == ("client-certificate", Side.TARGET)
    assert "it requires a client certificate" in error.what and "wsbench has no client certificate" in error.remedy


def test_a_server_that_hangs_up_after_the_tls_handshake_speaks_tls() -> None:
    error = diagnose(None, b"", ConnectOptions("wss://server.test/"))
    assert error.kind == "handshake-closed" and "or it requires a client certificate" in error.what
    assert "TLS" not in error.what


def test_a_window_that_zlib_cannot_use_is_not_the_servers_fault() -> None:
    granted = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=8"
    answer = http("101 S", UPGRADE, CONNECTION, ACCEPT, granted)
    for allowing in ("on", "client_max_window_bits=9"):
        error = diagnosed(answer, compression=allowing)
        assert (error.kind, error.side) == ("zlib-limit", Side.GENERATOR)
    for other in ("off", "server_no_context_takeover", "client_max_window_bits; server_max_window_bits=9"):
        error = diagnosed(answer, compression=other)
        assert (error.kind, error.side) == ("negotiation", Side.TARGET)


def test_credentials_of_the_url_and_the_answer_are_not_shown() -> None:
    connect = ConnectOptions("wss://me:hunter2@server.test/chat?token=s3cret&room=1")
    error = diagnose(None, http("302 Found", "Location: /login?token=s3cret"), connect)
    assert "s3cret" not in str(error) and "hunter2" not in str(error)
    assert "/chat?token=***&room=1" in error.what and "wss://server.test:443/login?token=***" in error.remedy


def test_an_error_keeps_the_answer() -> None:
    error = diagnosed(http("503 Service Unavailable", "Retry-After: 30", "Server: nginx", body=b"try later" * 100))
    assert error.status == 503
    assert ("Retry-After", "30") in error.headers
    assert error.body.startswith(b"try later")
    assert len(error.body) <= 200
    assert "Server: nginx" in error.what


@pytest.mark.parametrize("header", ["Sec-WebSocket-Protocol", "Upgrade", "Sec-WebSocket-Accept", "Location"])
def test_no_answer_steers_a_terminal(header: str) -> None:
    for status in ("101 S", "302 Found"):
        others = [line for line in (UPGRADE, CONNECTION, ACCEPT) if not line.startswith(header)]
        error = diagnosed(http(status, *others, f"{header}: a\x1b[31mred\x9b"))
        assert error.what.isprintable() and error.remedy.isprintable()


def test_an_answer_is_shown_short_and_printable() -> None:
    error = diagnosed(http("404 Not Found", body=b"\x1b[31mred\x00\xff " + b"long " * 1000))
    assert len(error.what) < 400
    assert error.what.isprintable()


@given(st.one_of(st.binary(max_size=100), st.binary(max_size=100).map(b"HTTP/1.1 ".__add__)))
@settings(max_examples=200)
def test_every_answer_has_some_diagnosis(raw: bytes) -> None:
    error = diagnose(None, raw, ConnectOptions(URL))
    assert error.kind and error.what.isprintable() and error.remedy
