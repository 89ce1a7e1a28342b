"""The upgrade request, as bytes."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Any

import pytest
from helpers import frames

from wsbench.errors import UsageError
from wsbench.websocket.connect_options import ConnectOptions, parse_header, parse_origin, parse_subprotocol
from wsbench.websocket.handshake import new_protocol
from wsbench.websocket.tls import client_context

URL = "ws://server.test:8765/chat?room=1"
UPGRADE, CONNECTION = "Upgrade: websocket", "Connection: Upgrade"


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


NOT_IN_A_HEADER = {
    "a\r\nInjected: b": "U+000D",
    "a\nb": "U+000A",
    "a\n": "U+000A",
    "a\0b": "U+0000",
    "a\x1bb": "U+001B",
    "a\x7fb": "U+007F",
    "a\x85b": "U+0085",
    "5 €": "'€' (U+20AC)",
    "名": "U+540D",
    "\udcff": "U+DCFF",
}


@pytest.mark.parametrize("value", NOT_IN_A_HEADER)
def test_a_character_that_no_header_can_hold_is_named(value: str) -> None:
    said = re.escape(NOT_IN_A_HEADER[value])
    with pytest.raises(ValueError, match=f"X-Name.*{said}"):
        parse_header(f"X-Name: {value}")
    with pytest.raises(ValueError, match=said):
        parse_origin(value)
    with pytest.raises(UsageError, match=f"X-Name.*{said}"):
        ConnectOptions(URL, headers=(("X-Name", value),))
    with pytest.raises(UsageError, match=said):
        ConnectOptions(URL, origin=value)


@pytest.mark.parametrize("value", ["naïve café", "a\tb", "a\xa0ÿ", "!~"])
def test_latin_1_reaches_the_server(value: str) -> None:
    assert request_of(headers=(parse_header(f"X-Name: {value}"),)).headers["x-name"] == value


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a,b", "',' (U+002C) in it; give each its own --subprotocol"),
        ("a b", "' '"),
        ("é", "'é'"),
        ("a\n", "U+000A"),
        ("", "empty"),
    ],
)
def test_no_subprotocols(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"is not a subprotocol: .*{re.escape(said)}"):
        parse_subprotocol(name)
    with pytest.raises(UsageError, match="is not a subprotocol"):
        ConnectOptions(URL, subprotocols=(name,))


def test_a_subprotocol_is_offered_once() -> None:
    with pytest.raises(UsageError, match="the subprotocol 'chat' is given twice"):
        ConnectOptions(URL, subprotocols=("chat", "v2", "chat"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Sec-WebSocket-Protocol", "--subprotocol"),
        ("sec-websocket-extensions", "--compression"),
        ("Sec-WebSocket-Version", "wsbench sends what the handshake needs"),
        ("Sec-WebSocket-Key", "wsbench sends"),
        ("Sec-WebSocket-Accept", "wsbench sends"),
        ("UPGRADE", "wsbench sends"),
        ("Connection", "wsbench sends"),
        ("Content-Length", "has no body"),
        ("Transfer-Encoding", "has no body"),
    ],
)
def test_a_header_of_the_handshake_is_refused_by_name(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"the header {name} is part of the handshake.*{said}"):
        parse_header(f"{name}: x")
    with pytest.raises(UsageError, match=name):
        ConnectOptions(URL, headers=((name, "x"),))


def test_a_url_with_other_letters_is_sent_encoded() -> None:
    request = request_of(url="ws://jürgen:geheim€@bücher.test/straße?q=€")
    assert request.target == "/stra%C3%9Fe?q=%E2%82%AC"
    assert request.headers["host"] == "xn--bcher-kva.test"


def request_of(**options: Any) -> frames.Request:
    """Return the request on the wire, parsed by code that is not websockets'."""
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


def test_the_interface_of_an_address_is_in_no_request() -> None:
    assert request_of(url="ws://[fe80::1%25eth0]:9/").headers["host"] == "[fe80::1]:9"


def test_keys_are_not_reused() -> None:
    assert request_of().headers["sec-websocket-key"] != request_of().headers["sec-websocket-key"]


def test_every_option_is_in_the_request() -> None:
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


# -- TLS -------------------------------------------------------------------------------------------------------------


def test_a_ca_file_that_cannot_be_used(tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("no certificate")
    with pytest.raises(UsageError, match="it holds no PEM certificate"):
        client_context(ca_file=str(nonsense), insecure=False)
    with pytest.raises(UsageError, match=r"--ca /nonexistent/ca\.pem: No such file or directory"):
        client_context(ca_file="/nonexistent/ca.pem", insecure=False)


def test_certificates_are_checked_unless_that_is_switched_off() -> None:
    checking, trusting = (client_context(ca_file=None, insecure=insecure) for insecure in (False, True))
    assert (checking.verify_mode, checking.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert (trusting.verify_mode, trusting.check_hostname) == (ssl.CERT_NONE, False)
