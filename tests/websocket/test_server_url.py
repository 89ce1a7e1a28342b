"""URLs of WebSocket servers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsbench.errors import UsageError
from wsbench.websocket.connect_options import ConnectOptions
from wsbench.websocket.server_url import parse_url, with_path


@pytest.mark.parametrize(
    ("url", "secure", "host", "port", "resource"),
    [
        ("ws://127.0.0.1:8765/echo", False, "127.0.0.1", 8765, "/echo"),
        ("wss://Example.com", True, "example.com", 443, "/"),
        ("ws://example.com/a/b?c=d&e", False, "example.com", 80, "/a/b?c=d&e"),
        ("wss://example.com?c=d", True, "example.com", 443, "/?c=d"),
        ("WS://example.com:65535", False, "example.com", 65535, "/"),
        ("ws://[::1]:9/", False, "::1", 9, "/"),
        ("ws://user:secret@example.com/", False, "example.com", 80, "/"),
        (" ws://example.com/ ", False, "example.com", 80, "/"),
    ],
)
def test_urls(url: str, secure: bool, host: str, port: int, resource: str) -> None:
    uri = parse_url(url)
    assert (uri.secure, uri.host, uri.port, uri.resource_name) == (secure, host, port, resource)
    assert ConnectOptions(url).uri == uri
    assert ConnectOptions(url).where == (f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


@pytest.mark.parametrize(
    ("given_url", "requested"),
    [
        ("ws://a.test/two words?q=a b", "ws://a.test/two%20words?q=a%20b"),
        ("ws://a.test/a%20b/ü", "ws://a.test/a%20b/%C3%BC"),
        ("ws://a.test/100%?q=%zz&r=%2F", "ws://a.test/100%25?q=%25zz&r=%2F"),
        ("ws://a.test/~x/$&'()*+,;=:@!?a[]=1/?", "ws://a.test/~x/$&'()*+,;=:@!?a[]=1/?"),
        ('ws://a.test/<"{|}\\^`>', "ws://a.test/%3C%22%7B%7C%7D%5C%5E%60%3E"),
        (
            "ws://jürgen:geheim€@bücher.test:80/straße",
            "ws://j%C3%BCrgen:geheim%E2%82%AC@xn--bcher-kva.test:80/stra%C3%9Fe",
        ),
        ("ws://me:@a.test", "ws://me:@a.test"),
    ],
)
def test_only_what_is_not_encoded_yet_is_encoded(given_url: str, requested: str) -> None:
    uri = parse_url(given_url)
    assert uri.text == requested == ConnectOptions(given_url).url
    assert parse_url(requested) == uri
    assert requested.endswith(uri.resource_name) or uri.resource_name == "/"


@pytest.mark.parametrize("url", ["ws://[fe80::1%25Eth0.7]:9/x", "ws://[FE80::1%Eth0.7]:9/x"])
def test_the_interface_of_a_link_local_address_is_for_name_resolution_alone(url: str) -> None:
    uri = parse_url(url)
    assert (uri.host, uri.host_and_zone, uri.where) == ("fe80::1", "fe80::1%Eth0.7", "[fe80::1%25Eth0.7]:9")
    assert uri.text == "ws://[fe80::1%25Eth0.7]:9/x"


@pytest.mark.parametrize(
    ("url", "better"),
    [
        ("http://example.com/echo", "ws://example.com/echo"),
        ("https://example.com:8443/", "wss://example.com:8443/"),
        ("HTTP://example.com", "ws://example.com"),
        ("127.0.0.1:8765/echo", "ws://127.0.0.1:8765/echo (or wss://)"),
        ("example.com", "ws://example.com (or wss://)"),
        ("//example.com/a b", "ws://example.com/a%20b (or wss://)"),
        ("example.com:443/chat?next=http://x", "wss://example.com:443/chat?next=http://x"),
        ("ws:/example.com", "ws://example.com"),
        ("wss//example.com", "wss://example.com"),
        ("ws:8765/echo", "ws://ws:8765/echo"),  # a service that is called ws
    ],
)
def test_a_url_without_the_right_scheme_is_put_right(url: str, better: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_url(url)
    assert f"Use {better}" in caught.value.remedy
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("url", "reason", "remedy"),
    [
        ("", "it has no scheme", "ws://127.0.0.1:8765/echo"),
        ("/echo", "it has no scheme", "ws://127.0.0.1:8765/echo"),
        ("ftp://example.com/", "its scheme is ftp", "Use ws://"),
        ("ws://", "it names no host", "ws://127.0.0.1:8765/echo"),
        ("ws:///echo", "it names no host", "ws://127.0.0.1:8765/echo"),
        ("ws://:8765/", "it names no host", "ws://127.0.0.1:8765/echo"),
        ("ws://example.com:0/", "its port is not a number from 1 to 65535", ""),
        ("ws://example.com:70000/", "its port is not", ""),
        ("ws://example.com:-1/", "its port is not", ""),
        ("ws://example.com:port/", "its port is not", ""),
        ("ws://me:pa/ss@example.com/", "its port is not", "In a password, write / as %2F"),
        ("ws://example.com/#part", "it has a fragment, which no server receives", "%23"),
        ("ws://user@example.com/", "it has a user without a password", "user:@"),
        ("ws://me:%ff@example.com/", "its user or its password is not UTF-8", ""),
        ("ws://two words/", "its host has ' ' (U+0020) in it", ""),
        ("ws://example.com\\chat", "its host has '\\\\' (U+005C) in it", ""),
        ("ws://exa%20mple/", "its host has '%' (U+0025) in it", ""),
        ("ws://[::1/", "its host is neither a name nor an address", ""),
        ("ws://[1.2.3]/", "its host is neither a name nor an address", ""),
        ("ws://[fe80::1]/", "a link-local address needs its interface", "[fe80::1%25eth0]"),
    ],
)
def test_a_refusal_has_its_reason(url: str, reason: str, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_url(url)
    assert reason in caught.value.what and remedy in caught.value.remedy
    with pytest.raises(UsageError):
        ConnectOptions(url)


@pytest.mark.parametrize(
    ("url", "instead"),
    [
        ("ws://server.test/a\r\nX: y", "%0D"),
        ("ws://server.test/?q=\x7f", "%7F"),
        ("ws://server.test/\udcff", "%FF"),
        ("ws://server.test/\x85", "%C2%85"),
        ("ws://me\n:pw@server.test/", "%0A"),
    ],
)
def test_a_control_character_is_named(url: str, instead: str) -> None:
    with pytest.raises(UsageError, match=r"a URL cannot have .*U\+") as caught:
        ConnectOptions(url)
    assert caught.value.remedy == f"Write {instead} instead."


def test_a_secret_with_spaces_is_hidden_whole() -> None:
    secrets = ConnectOptions("ws://me:my pass@server.test/?token=top secret&room=1").secrets
    shown = secrets.command(["wsbench", "run", "ws://me:my pass@server.test/?token=top secret&room=1"])
    assert shown[2] == "ws://me:***@server.test/?token=***&room=1"


@given(st.one_of(st.text(max_size=30), st.text(max_size=30).map("ws://".__add__)))
@settings(max_examples=200)
def test_whatever_is_given_is_a_url_or_a_usage_error(url: str) -> None:
    try:
        uri = parse_url(url)
    except UsageError:
        return
    assert uri.host and uri.text.isascii() and " " not in uri.text
    assert 0 < uri.port < 65536
    assert parse_url(uri.text) == uri


@pytest.mark.parametrize(
    ("url", "path", "joined"),
    [
        ("ws://a.test/?token=1", "/chat", "ws://a.test/chat?token=1"),
        ("ws://a.test?token=1&x=2&flag", "/chat?x=3", "ws://a.test/chat?x=3&token=1&flag"),
        ("ws://a.test/one?token=1", "two", "ws://a.test/two?token=1"),
        ("ws://a.test/one?token=1", "?x=2", "ws://a.test/one?x=2&token=1"),
        ("ws://a.test/?token=1", "/r?next=http://x", "ws://a.test/r?next=http://x&token=1"),
        ("ws://a.test/?token=1", "wss://b.test/c", "wss://b.test/c"),
        ("ws://a.test", "/chat", "ws://a.test/chat"),
    ],
)
def test_another_path_keeps_the_query_and_a_whole_url_does_not(url: str, path: str, joined: str) -> None:
    assert with_path(url, path) == joined
