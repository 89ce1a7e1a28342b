"""The response to an upgrade request, read from a socket whose other end sends it and stays open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent import socket as green
from helpers.peer import PATIENCE_S

from wsbench.errors import HandshakeError
from wsbench.transport.upgrade_response import read_upgrade_response
from wsbench.websocket.connect_options import ConnectOptions

OPTIONS = ConnectOptions("ws://server.test/")
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


@pytest.fixture
def ends() -> Iterator[tuple[Any, Any]]:
    """The client's and the server's end of a stream."""
    client, server = green.socketpair()
    with client, server:
        yield client, server


def read(client: Any, *, body_timeout_s: float = 600) -> tuple[bytes, bytes, bytes]:
    """Read the response; returns also all that was received."""
    received = bytearray()
    with gevent.Timeout(PATIENCE_S):
        head, early = read_upgrade_response(
            lambda: bytes(client.recv(65_536)), received, OPTIONS, body_timeout_s=body_timeout_s
        )
    return head, early, bytes(received)


@pytest.mark.parametrize("early", [b"", b"\x81\x05hello"])
def test_the_head_of_a_101_and_the_bytes_after_it(ends: tuple[Any, Any], early: bytes) -> None:
    client, server = ends
    server.sendall(SWITCHING + early)
    assert read(client) == (SWITCHING, early, SWITCHING + early)


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + SWITCHING,
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + SWITCHING,
        SWITCHING.replace(b"\r\n", b"\n"),
        SWITCHING.replace(b" Switching Protocols", b""),
        SWITCHING.replace(b" Switching Protocols", b" "),
        b"HTTP/1.1 103\n\n" + SWITCHING.replace(b"\r\n", b"\n"),
    ],
    ids=["interim", "two interims", "LF", "no reason", "an empty reason", "interim with LF"],
)
def test_a_101_as_other_clients_accept_it(ends: tuple[Any, Any], sent: bytes) -> None:
    client, server = ends
    server.sendall(sent + b"\x81\x05hello")
    head, early, received = read(client)
    assert head.replace(b"101 \r", b"101 Switching Protocols\r") == SWITCHING
    assert early == b"\x81\x05hello" and b"103" not in received


def test_an_interim_response_is_not_the_answer(ends: tuple[Any, Any]) -> None:
    client, server = ends
    server.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(HandshakeError) as caught:
        read(client)
    assert (caught.value.kind, caught.value.status) == ("not-found", 404)


def test_interim_responses_alone_are_no_answer(ends: tuple[Any, Any]) -> None:
    client, server = ends
    server.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")
    server.close()
    with pytest.raises(HandshakeError, match=r"103 Early Hints .* an interim response, and no other followed"):
        read(client)


def test_a_head_that_comes_byte_by_byte(ends: tuple[Any, Any]) -> None:
    client, server = ends

    def send() -> None:
        for byte in SWITCHING:
            server.sendall(bytes([byte]))
            gevent.sleep(0)

    sending = gevent.spawn(send)
    assert read(client) == (SWITCHING, b"", SWITCHING)
    sending.get(timeout=PATIENCE_S)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nno such",
        b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nno such\r\n0\r\n\r\n",
    ],
)
def test_the_end_of_a_refusals_body_is_known(ends: tuple[Any, Any], answer: bytes) -> None:
    """Servers leave the connection open after it: that is no reason to wait."""
    client, server = ends
    server.sendall(answer)
    with pytest.raises(HandshakeError) as caught:
        read(client)
    assert caught.value.kind == "not-found"
    assert caught.value.body.startswith(b"no such")


def test_a_body_without_an_end_is_waited_for_briefly(ends: tuple[Any, Any]) -> None:
    client, server = ends
    server.sendall(b"HTTP/1.1 404 Not Found\r\n\r\nno such")
    with pytest.raises(HandshakeError) as caught:
        read(client, body_timeout_s=0.05)
    assert caught.value.body == b"no such"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "not-http"),
        (b"HTTP/1.1 101 Switching Protocols\r\nX: " + b"x" * 65_536, "handshake-cut"),
        (b"HTTP/1.0 101 Switching Protocols\r\n\r\n", "http-1.0"),
    ],
)
def test_a_response_that_cannot_become_a_101_is_refused_at_once(
    ends: tuple[Any, Any], answer: bytes, kind: str
) -> None:
    client, server = ends
    sending = gevent.spawn(server.sendall, answer)
    with pytest.raises(HandshakeError) as caught:
        read(client)
    sending.get(timeout=PATIENCE_S)
    assert caught.value.kind == kind
