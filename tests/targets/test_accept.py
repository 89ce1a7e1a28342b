"""The opening handshake as RFC 6455 (4.2) and HTTP want it of a server, request by request, and what is no request."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from helpers.conformance import Frame
from helpers.frames import CLOSE, PING, TEXT
from helpers.process import http_json, scaled

from wsbench.targets.echo.accept import MAX_HEAD_BYTES, RequestHead
from wsbench.targets.embedded import EmbeddedTarget

RIGHT = {
    "Host": "x",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


def request(line: str = "GET /echo HTTP/1.1", *more: str, **changed: str | None) -> bytes:
    """A right request, but for its first line, `more` headers, and what is changed or (None) left out."""
    names = {name.replace("-", "_").lower(): name for name in RIGHT}
    headers = {**RIGHT, **{names[name]: value for name, value in changed.items()}}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([line, *lines, *more, "", ""]).encode("latin-1")


def answer(target: EmbeddedTarget, sent: bytes, piece: int = 0) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and what follows them, to the end of the stream; (0, {}, b"") when nothing is said."""
    parts = urlsplit(target.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=scaled(30)) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(sent), piece or len(sent)):
            client.sendall(sent[at : at + (piece or len(sent))])
        if sent.endswith(b"\r\n\r\n") and b" 101 " in client.recv(4096, socket.MSG_PEEK):
            client.sendall(Frame(CLOSE).wire(masked=True))
        received = b""
        while data := client.recv(65536):
            received += data
    head, _, rest = received.partition(b"\r\n\r\n")
    if not head:
        return 0, {}, rest
    status, *lines = head.decode("latin-1").split("\r\n")
    return int(status.split()[1]), dict(line.split(": ", 1) for line in lines), rest


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedTarget]:
    with EmbeddedTarget.start() as running:
        yield running
    assert running.stderr_tail == ""


ACCEPTED = {
    "as it should be": request(),
    "with a query": request("GET /echo?a=b&c HTTP/1.1"),
    "upgrade in other letters": request(upgrade="WebSocket"),
    "connection in other letters": request(connection="upgrade"),
    "connection with more": request(connection="keep-alive, Upgrade"),
    "connection twice": request("GET /echo HTTP/1.1", "Connection: keep-alive"),
    "names in other letters": request().replace(b"Sec-WebSocket-", b"sec-websocket-").replace(b"Host", b"HOST"),
    "spaces around values": request(sec_websocket_version="  13 \t"),
    "headers of others": request("GET /echo HTTP/1.1", "Cookie: a=b", "X-Forwarded-For: ::1", "DNT: 1"),
    "an extension nobody knows": request("GET /echo HTTP/1.1", "Sec-WebSocket-Extensions: x-unknown; a=1, y"),
    "an empty body": request("GET /echo HTTP/1.1", "Content-Length: 0"),
}


@pytest.mark.parametrize("piece", [0, 1], ids=["whole", "byte by byte"])
@pytest.mark.parametrize("sent", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_a_handshake_that_is_accepted(server: EmbeddedTarget, sent: bytes, piece: int) -> None:
    status, headers, rest = answer(server, sent, piece)
    assert status == 101
    assert headers["Upgrade"] == "websocket" and headers["Connection"] == "Upgrade"
    assert headers["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455, 1.3
    assert "Sec-WebSocket-Extensions" not in headers and "Sec-WebSocket-Protocol" not in headers
    assert rest == b"\x88\x00"


VERSION = {"Sec-WebSocket-Version": "13", "Upgrade": "websocket"}
REFUSED: dict[str, tuple[bytes, int, dict[str, str]]] = {
    "POST": (request("POST /echo HTTP/1.1"), 405, {"Allow": "GET, HEAD"}),
    "HEAD": (request("HEAD /echo HTTP/1.1"), 405, {}),
    "HTTP/1.0": (request("GET /echo HTTP/1.0"), 505, {}),
    "HTTP/2.0": (request("GET /echo HTTP/2.0"), 400, {}),
    "no host": (request(host=None), 400, {}),
    "two hosts": (request("GET /echo HTTP/1.1", "Host: y"), 400, {}),
    "no upgrade": (request(upgrade=None), 426, {"Upgrade": "websocket"}),
    "another upgrade": (request(upgrade="h2c"), 426, {"Upgrade": "websocket"}),
    "no connection": (request(connection=None), 426, {"Upgrade": "websocket"}),
    "another connection": (request(connection="keep-alive"), 426, {"Upgrade": "websocket"}),
    "no version": (request(sec_websocket_version=None), 426, VERSION),
    "an older version": (request(sec_websocket_version="8"), 426, VERSION),
    "no number": (request(sec_websocket_version="13a"), 426, VERSION),
    "versions": (request(sec_websocket_version="13, 8"), 426, VERSION),
    "two versions": (request("GET /echo HTTP/1.1", "Sec-WebSocket-Version: 8"), 426, VERSION),
    "no key": (request(sec_websocket_key=None), 400, {}),
    "an empty key": (request(sec_websocket_key=""), 400, {}),
    "a short key": (request(sec_websocket_key="dGhlIHNhbXBsZSBub25j"), 400, {}),
    "a long key": (request(sec_websocket_key="dGhlIHNhbXBsZSBub25jZSE="), 400, {}),
    "no base64": (request(sec_websocket_key="?" * 22 + "=="), 400, {}),
    "two keys": (request("GET /echo HTTP/1.1", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400, {}),
    "a body": (request("GET /echo HTTP/1.1", "Content-Length: 5") + b"hello", 400, {}),
    "chunks": (request("GET /echo HTTP/1.1", "Transfer-Encoding: chunked"), 400, {}),
    "another path": (request("GET /nowhere HTTP/1.1"), 404, {}),
    "no path": (request("GET HTTP/1.1"), 400, {}),
    "a path that is not ASCII": (request("GET /ü HTTP/1.1"), 400, {}),
    "a header without a name": (request("GET /echo HTTP/1.1", ": x"), 400, {}),
    "a header without a colon": (request("GET /echo HTTP/1.1", "nothing"), 400, {}),
    "a space in a header's name": (request("GET /echo HTTP/1.1", "X Y: z"), 400, {}),
    "a folded header": (request("GET /echo HTTP/1.1", "X: y", " z"), 400, {}),
    "a zero byte": (request("GET /echo HTTP/1.1", "X: \0"), 400, {}),
    "line feeds alone": (request().replace(b"\r\n", b"\n"), 400, {}),
    "a subprotocol that is none": (request("GET /echo HTTP/1.1", "Sec-WebSocket-Protocol: a b"), 400, {}),
    "an endless line": (request("GET /echo HTTP/1.1", "X: " + "x" * 20_000), 431, {}),
    "an endless path": (request(f"GET /{'x' * 20_000} HTTP/1.1"), 414, {}),
    "endless headers": (request("GET /echo HTTP/1.1", *[f"X-{n}: {'x' * 4000}" for n in range(9)]), 431, {}),
    "many headers": (request("GET /echo HTTP/1.1", *[f"X-{n}: x" for n in range(200)]), 431, {}),
    "TLS": (bytes.fromhex("16030100a5010000a10303") + bytes(range(160)), 400, {}),
    "frames": (Frame(TEXT, b"hello\r\n").wire(masked=True) * 3 + b"\r\n\r\n", 400, {}),
}


@pytest.mark.parametrize("piece", [0, 997], ids=["whole", "in pieces"])
@pytest.mark.parametrize(("sent", "status", "headers"), REFUSED.values(), ids=REFUSED.keys())
def test_a_handshake_that_is_refused(
    server: EmbeddedTarget, sent: bytes, status: int, headers: dict[str, str], piece: int
) -> None:
    before = server.stats()["refused"]["bad_handshakes"]
    got, told, body = answer(server, sent, piece)
    assert got == status
    assert headers.items() <= told.items()
    assert told["Content-Type"].startswith("text/plain")
    assert "close" in told["Connection"]
    assert sent.startswith(b"HEAD") or int(told["Content-Length"]) == len(body)
    assert server.stats()["refused"]["bad_handshakes"] == before + 1


@pytest.mark.parametrize("said", [b"", b"GET /echo HTTP/1.1\r\nHost: x\r\n"], ids=["nothing", "half a request"])
def test_a_client_that_goes_before_it_has_asked(server: EmbeddedTarget, said: bytes) -> None:
    before = server.stats()["refused"]["bad_handshakes"]
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=scaled(30)) as client:
        client.sendall(said)
        client.shutdown(socket.SHUT_WR)
        while client.recv(4096):
            pass
    assert server.stats()["refused"]["bad_handshakes"] == before + bool(said)


def test_what_follows_the_request_waits_for_the_answer(server: EmbeddedTarget) -> None:
    """Not even a pong leaves before it."""
    early = (
        Frame(PING, b"early").wire(masked=True) + Frame(TEXT, b"hi").wire(masked=True) + Frame(CLOSE).wire(masked=True)
    )
    status, _, rest = answer(server, request() + early)
    assert status == 101
    assert rest == b"\x8a\x05early\x81\x02hi\x88\x00"


def test_a_wrong_frame_behind_the_request_fails_the_open_connection(server: EmbeddedTarget) -> None:
    status, _, rest = answer(server, request() + Frame(TEXT, b"x", mask=False).wire(masked=True))
    assert status == 101
    assert rest[0] == 0x88 and rest[2:4] == (1002).to_bytes(2)


def test_tls_alone_is_spoken_where_tls_is() -> None:
    with EmbeddedTarget.start(tls=True) as target:
        assert answer(target, request())[0] == 0  # a server of TLS has nothing to say to that
        context = ssl.create_default_context(cafile=target.ca_file)
        parts = urlsplit(target.url)
        with (
            socket.create_connection((parts.hostname, parts.port), timeout=scaled(30)) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as client,
        ):
            client.sendall(request(sec_websocket_version="12"))
            assert client.recv(4096).startswith(b"HTTP/1.1 426 ")
        target.stop()
        assert target.stderr_tail == ""


def test_http_1_0_may_still_ask_for_its_health(server: EmbeddedTarget) -> None:
    status, _, body = answer(server, b"GET /healthz HTTP/1.0\r\n\r\n")
    assert (status, body) == (200, b"ok\n")
    assert http_json(server.url, "/stats")["processes"] == 1


# -- the end of the head, wherever it is cut ---------------------------------------------------------------------------


@pytest.mark.parametrize("cut", range(1, 20))
def test_the_head_ends_wherever_it_is_cut(cut: int) -> None:
    data = b"GET / HTTP/1.1\r\n\r\nrest\r\n\r\n"
    head, taken, rest = RequestHead(), b"", None
    for at in range(0, len(data), cut):
        piece = data[at : at + cut]
        if rest is None:
            more, rest = head.split(piece)
            taken += more
        else:
            rest += piece
    assert (taken, rest) == (b"GET / HTTP/1.1\r\n\r\n", b"rest\r\n\r\n")
    assert head.size == len(taken) < MAX_HEAD_BYTES
