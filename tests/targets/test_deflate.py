"""Limits of permessage-deflate, and what is negotiated with them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, PerMessageDeflate
from websockets.sync.client import ClientConnection, connect

from wsbench.targets.echo.deflate import parse_compression
from wsbench.targets.embedded import EmbeddedTarget


@pytest.mark.parametrize("text", ["off", "OFF", " off "])
def test_off_is_no_extension(text: str) -> None:
    assert parse_compression(text) is None


def test_on_has_no_limits_of_its_own() -> None:
    (factory,) = parse_compression("on") or []
    assert (factory.server_max_window_bits, factory.client_max_window_bits) == (None, None)
    assert (factory.server_no_context_takeover, factory.client_no_context_takeover) == (False, False)


@pytest.mark.parametrize(
    "text",
    [
        "client_max_window_bits=12; server_no_context_takeover",
        "permessage-deflate; client_max_window_bits=12; server_no_context_takeover",
        'server_no_context_takeover;client_max_window_bits="12";',
    ],
)
def test_parameters_as_the_rfc_writes_them(text: str) -> None:
    (factory,) = parse_compression(text) or []
    assert (factory.server_max_window_bits, factory.client_max_window_bits) == (None, 12)
    assert (factory.server_no_context_takeover, factory.client_no_context_takeover) == (True, False)


def test_a_client_window_without_a_value_limits_nothing() -> None:
    """The parameters as in an offer; the same text may be given to client and server."""
    (factory,) = parse_compression("client_max_window_bits; server_max_window_bits=9") or []
    assert (factory.client_max_window_bits, factory.server_max_window_bits) == (None, 9)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("deflat", "no parameter of permessage-deflate"),
        ("window_bits=12", "use off, on, or server_no_context_takeover"),
        ("server_max_window_bits", "from 9 to 15"),
        ("server_max_window_bits=8", "allowed by RFC 7692, but zlib"),
        ("server_max_window_bits=16", "from 9 to 15, not 16"),
        ("client_max_window_bits=7", "from 8 to 15, not 7"),
        ("client_max_window_bits=", "from 8 to 15, not empty"),
        ("client_max_window_bits=twelve", "from 8 to 15, not twelve"),
        ("server_no_context_takeover=1", "takes no value"),
        ("client_max_window_bits=9; client_max_window_bits=9", "given twice"),
        ("client_max_window_bits=9;; server_no_context_takeover", "''"),
    ],
)
def test_what_makes_no_sense_is_said(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        parse_compression(text)


def negotiated(client: ClientConnection) -> PerMessageDeflate | None:
    for extension in client.protocol.extensions:
        assert isinstance(extension, PerMessageDeflate)
        return extension
    return None


def test_off_declines_what_a_client_offers(target: EmbeddedTarget) -> None:
    with connect(target.url, compression="deflate") as client:
        assert negotiated(client) is None


def test_limits_are_negotiated_and_messages_survive(start_target: Callable[..., EmbeddedTarget]) -> None:
    target = start_target(
        compression="client_max_window_bits=12; server_no_context_takeover; server_max_window_bits=11"
    )
    with connect(target.url, compression="deflate", max_size=None) as client:
        extension = negotiated(client)
        assert extension is not None
        assert (extension.local_max_window_bits, extension.remote_max_window_bits) == (12, 11)
        assert (extension.local_no_context_takeover, extension.remote_no_context_takeover) == (False, True)
        messages: list[str | bytes | list[str]] = ["", "a" * 100_000, b"\x00" * 5000, "short", ["frag", "ment", "ed"]]
        for message in messages:
            client.send(message)
        received = [client.recv(timeout=20) for _ in messages]
    assert received == ["", "a" * 100_000, b"\x00" * 5000, "short", "fragmented"]


def test_a_client_that_cannot_be_limited_is_served_all_the_same(start_target: Callable[..., EmbeddedTarget]) -> None:
    target = start_target(compression="client_max_window_bits=10")
    offer = ClientPerMessageDeflateFactory(client_max_window_bits=None)
    with connect(target.url, compression=None, extensions=[offer]) as client:
        extension = negotiated(client)
        assert extension is not None and extension.local_max_window_bits == 15
        client.send("x" * 10_000)
        assert client.recv(timeout=20) == "x" * 10_000


def test_bytes_are_counted_as_the_application_sees_them(start_target: Callable[..., EmbeddedTarget]) -> None:
    target = start_target(compression="on")
    with connect(target.url, compression="deflate") as client:
        client.send("ü" * 5000)
        client.recv(timeout=20)
    statistics = target.stats()
    assert (statistics["bytes_in"], statistics["bytes_out"]) == (10_000, 10_000)
