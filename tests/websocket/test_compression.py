"""permessage-deflate: the offer and its effect."""

from __future__ import annotations

import pytest
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.server import ServerProtocol

from wsbench.websocket.compression import parse_compression
from wsbench.websocket.connect_options import ConnectOptions
from wsbench.websocket.handshake import new_protocol


def offer(text: str) -> dict[str, str | None]:
    """Return the parameters as the request has them."""
    factory = parse_compression(text)
    assert factory is not None
    return dict(factory.get_request_params())


@pytest.mark.parametrize("text", ["off", "OFF", "none", "", "  off "])
def test_off_offers_nothing(text: str) -> None:
    assert parse_compression(text) is None


@pytest.mark.parametrize("text", ["on", "ON", "deflate", "permessage-deflate", " on "])
def test_on_lets_the_server_choose_our_window(text: str) -> None:
    assert offer(text) == {"client_max_window_bits": None}


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("client_max_window_bits=12", {"client_max_window_bits": "12"}),
        ("client_max_window_bits", {"client_max_window_bits": None}),
        ("server_max_window_bits=9", {"server_max_window_bits": "9"}),
        ("server_max_window_bits=8", {"server_max_window_bits": "8"}),
        ('server_max_window_bits="15"', {"server_max_window_bits": "15"}),
        (
            "client_max_window_bits=12; server_no_context_takeover",
            {"client_max_window_bits": "12", "server_no_context_takeover": None},
        ),
        (
            "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
            {"client_no_context_takeover": None, "server_no_context_takeover": None},
        ),
        (" server_no_context_takeover ; ", {"server_no_context_takeover": None}),
    ],
)
def test_parameters_are_offered_as_they_are_given(text: str, parameters: dict[str, str | None]) -> None:
    assert offer(text) == parameters


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("yes", "'yes' is no parameter of permessage-deflate: use off, on, or some of server_no_context_takeover"),
        ("gzip", "'gzip' is no parameter"),
        ("; ;", "'' is no parameter"),
        ("client_max_window_bits=16", "must be from 9 to 15"),
        ("client_max_window_bits=8", "zlib cannot compress with it"),
        ("server_max_window_bits=7", "must be from 8 to 15, not '7'"),
        ("client_max_window_bits=x", "must be from 9 to 15"),
        ("server_max_window_bits", "needs a value from 8 to 15"),
        ("server_no_context_takeover=true", "takes no value"),
        ("client_max_window_bits=9; client_max_window_bits=10", "client_max_window_bits is given twice"),
    ],
)
def test_offers_that_cannot_be_made(text: str, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_compression(text)
    assert said in str(caught.value)


def negotiated(text: str) -> tuple[ClientProtocol, ServerProtocol]:
    """Return both ends after the handshake, with a server that grants every offer."""
    client, request = new_protocol(ConnectOptions("ws://127.0.0.1/", compression=text))
    server = ServerProtocol(extensions=[ServerPerMessageDeflateFactory(require_client_max_window_bits=False)])
    client.send_request(request)
    server.receive_data(b"".join(client.data_to_send()))
    server.send_response(server.accept(server.events_received()[0]))  # type: ignore[arg-type]
    client.receive_data(b"".join(server.data_to_send()))
    client.events_received()
    return client, server


@pytest.mark.parametrize(
    ("text", "ours", "theirs"),
    [
        # (no context takeover, window bits) of each direction
        ("on", (False, 15), (False, 15)),
        ("client_max_window_bits=10; server_max_window_bits=11", (False, 10), (False, 11)),
        ("server_no_context_takeover; client_no_context_takeover", (True, 15), (True, 15)),
    ],
)
def test_what_is_offered_is_what_is_used(text: str, ours: tuple[bool, int], theirs: tuple[bool, int]) -> None:
    client, server = negotiated(text)
    (extension,) = client.extensions
    assert isinstance(extension, PerMessageDeflate)
    assert (extension.local_no_context_takeover, extension.local_max_window_bits) == ours
    assert (extension.remote_no_context_takeover, extension.remote_max_window_bits) == theirs
    for _ in range(3):
        client.send_text(b"again and again " * 100)
        sent = b"".join(client.data_to_send())
        assert len(sent) < 100
        server.receive_data(sent)
        (frame,) = server.events_received()
        assert bytes(frame.data) == b"again and again " * 100  # type: ignore[union-attr]


def test_off_negotiates_nothing_even_with_a_server_that_would_compress() -> None:
    client, server = negotiated("off")
    assert (client.extensions, server.extensions) == ([], [])


@pytest.mark.parametrize(("size", "level"), [(1, 1), (128, 1), (129, 2), (500, 3), (16_384, 8), (10**9, 8)])
def test_zlib_gets_the_memory_that_holds_a_message_in_one_block(size: int, level: int) -> None:
    for text in ("on", "server_no_context_takeover"):
        factory = parse_compression(text, message_size=size)
        assert factory is not None
        assert factory.compress_settings["memLevel"] == level
