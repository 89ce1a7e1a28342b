"""The echo target against what RFC 6455 and RFC 7692 want of a server: framing, control frames, UTF-8, closing.

The cases are those of helpers/conformance.py, each on a connection of its own, without compression and with it.
"""

from __future__ import annotations

import contextlib
import socket
import time
import zlib
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from helpers.conformance import CASES, COMPRESSED, DEFLATE, NO_CODE, RSV1, Case, Deflate, Frame, pieces
from helpers.frames import BINARY, CLOSE, CONTROL, PONG
from helpers.process import scaled

from wsbench.targets.embedded import EmbeddedTarget

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455, 1.3
_LAST_PING = b"anything else?"


@pytest.fixture(scope="module", params=["off", "on"])
def compression(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def server(compression: str) -> Iterator[EmbeddedTarget]:
    with EmbeddedTarget.start(compression=compression) as running:
        yield running
        deadline = time.monotonic() + scaled(20)
        while running.stats()["connections_open"] and time.monotonic() < deadline:
            time.sleep(0.05)
        assert running.stats()["connections_open"] == 0
    assert running.stderr_tail == ""


class Peer:
    """A client that sends bytes as they are, and takes the target's frames apart by itself."""

    def __init__(self, target: EmbeddedTarget, offer: str | None = None) -> None:
        parts = urlsplit(target.url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=scaled(20))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        extension = f"Sec-WebSocket-Extensions: {offer}\r\n" if offer else ""
        self.socket.sendall(
            "GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{extension}\r\n".encode()
        )
        self.reader = self.socket.makefile("rb")
        status, *headers = iter(self.reader.readline, b"\r\n")
        assert status.startswith(b"HTTP/1.1 101 ")
        named = dict(line.decode().rstrip().split(": ", 1) for line in headers)
        assert named["Sec-WebSocket-Accept"] == ACCEPT
        self.granted = named.get("Sec-WebSocket-Extensions", "")
        self.inflate = zlib.decompressobj(wbits=-15) if self.granted else None

    def close(self) -> None:
        self.reader.close()
        self.socket.close()

    def frames_each_by_itself(self) -> Iterator[tuple[int, bytes]]:
        """The same from a server that has agreed to keep no window: each message inflates without the ones before."""
        for opcode, payload in self.frames():
            self.inflate = zlib.decompressobj(wbits=-15)
            yield opcode, payload

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """Opcode and payload of all frames up to the end of the stream; each must be one that a server may send."""
        while head := self.reader.read(2):
            first, size = head
            if size > 125:
                size = int.from_bytes(self.reader.read(2 if size == 126 else 8))
            payload, opcode = self.reader.read(size), first & 0x0F
            assert first & 0x80, "the target sends whole messages"
            assert not first & 0x30 and not (opcode in CONTROL and first & RSV1)
            if first & RSV1:
                assert self.inflate is not None, "RSV1 without an extension"
                payload = self.inflate.decompress(payload + b"\x00\x00\xff\xff")
            yield opcode, payload


def send(peer: Peer, writes: list[bytes]) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it need not wait for all of what is wrong
        for data in writes:
            peer.socket.sendall(data)


def check(target: EmbeddedTarget, case: Case, offer: str | None) -> None:
    peer = Peer(target, offer)
    try:
        send(peer, pieces(case, masked=True))
        if not case.closes:
            # nothing may be wrong with the connection afterwards, nor more come than should
            send(peer, [bytes((0x89, 0x80 | len(_LAST_PING), 0, 0, 0, 0)) + _LAST_PING, b"\x88\x80\x00\x00\x00\x00"])
        received = list(peer.frames())
    finally:
        peer.close()
    assert [frame for frame in received if frame[0] not in CONTROL] == list(case.messages)
    pongs = [payload for opcode, payload in received if opcode == PONG]
    assert pongs == list(case.pongs) + ([] if case.closes else [_LAST_PING])
    closes = [payload for opcode, payload in received if opcode == CLOSE]
    assert received[-1][0] == CLOSE and len(closes) == 1, "one close frame, and nothing behind it"
    code = int.from_bytes(closes[0][:2]) if closes[0] else NO_CODE
    assert code in (case.closes or {NO_CODE})
    closes[0][2:].decode()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_frames(server: EmbeddedTarget, compression: str, case: Case) -> None:
    check(server, case, None if compression == "off" else "permessage-deflate")


def _offer(deflate: Deflate) -> str:
    parameters = deflate.parameters(client=True)
    return f"permessage-deflate; {parameters}" if parameters else "permessage-deflate"


@pytest.mark.parametrize("compression", ["on"], scope="module", indirect=True)
@pytest.mark.parametrize("case", (*COMPRESSED, *DEFLATE), ids=lambda case: case.name)
def test_compressed_frames(server: EmbeddedTarget, case: Case) -> None:
    assert case.deflate is not None
    check(server, case, _offer(case.deflate))


# -- which offers are accepted (RFC 7692, 5 and 7.1), by a target that has no limits of its own

PLAIN = "permessage-deflate"
OFFERS = {
    PLAIN: PLAIN,
    f"{PLAIN}; client_max_window_bits": PLAIN,
    f"{PLAIN}; client_max_window_bits=10": f"{PLAIN}; client_max_window_bits=10",
    f"{PLAIN}; server_max_window_bits=10": f"{PLAIN}; server_max_window_bits=10",
    f'{PLAIN}; server_max_window_bits="10"': f"{PLAIN}; server_max_window_bits=10",
    f"{PLAIN}; server_no_context_takeover": f"{PLAIN}; server_no_context_takeover",
    f"{PLAIN}; client_no_context_takeover": f"{PLAIN}; client_no_context_takeover",
    f"x-other, {PLAIN}": PLAIN,
    # declined: a server must, when it does not know a parameter or its value makes no sense (7.1)
    f"{PLAIN}; unknown": "",
    f"{PLAIN}; unknown, {PLAIN}": PLAIN,
    f"{PLAIN}; server_max_window_bits": "",
    f"{PLAIN}; server_max_window_bits=16": "",
    f"{PLAIN}; server_max_window_bits=7": "",
    f"{PLAIN}; server_max_window_bits=010": "",
    f"{PLAIN}; client_max_window_bits=16": "",
    f"{PLAIN}; server_no_context_takeover=1": "",
    f"{PLAIN}; client_max_window_bits; client_max_window_bits": "",
    # a window that zlib cannot compress with; the next offer will do
    f"{PLAIN}; server_max_window_bits=8, {PLAIN}": PLAIN,
    "x-webkit-deflate-frame": "",
}


@pytest.mark.parametrize("compression", ["on"], scope="module", indirect=True)
@pytest.mark.parametrize(("offer", "granted"), OFFERS.items())
def test_offers(server: EmbeddedTarget, offer: str, granted: str) -> None:
    peer = Peer(server, offer)
    try:
        assert parameters(peer.granted) == parameters(granted)
        # and what was granted holds
        message = b'{"price": 1.0812, "of": "EURUSD"}' * 40
        deflate = Deflate(takeover="client_no_context" not in granted, bits=10 if "client_max" in granted else 15)
        datas = deflate.of(message, message) if granted else [message, message]
        for data in datas:
            send(peer, [Frame(BINARY, data, rsv=RSV1 if granted else 0).wire(masked=True)])
        send(peer, [b"\x88\x80\x00\x00\x00\x00"])
        frames = peer.frames_each_by_itself() if "server_no_context" in granted else peer.frames()
        assert list(frames) == [(BINARY, message), (BINARY, message), (CLOSE, b"")]
    finally:
        peer.close()


def parameters(header: str) -> set[str]:
    """Of an extension, in whatever order; 15 bits are what it has without saying so."""
    return {part.strip() for part in header.split(";")} - {"client_max_window_bits=15", "server_max_window_bits=15", ""}
