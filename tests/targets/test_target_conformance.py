"""The echo target against what RFC 6455 and RFC 7692 want of a server: framing, control frames, UTF-8, closing.

The cases are those of helpers/conformance.py, each on a connection of its own, without compression and with it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest
from helpers.conformance import CASES, COMPRESSED, DEFLATE, NO_CODE, RSV1, Case, Deflate, Frame, pieces
from helpers.frames import BINARY, CLOSE, CONTROL, PING, PONG
from helpers.process import scaled
from helpers.raw_client import RawClient

from wsbench.targets.embedded import EmbeddedTarget

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


def opened(target: EmbeddedTarget, offer: str | None) -> RawClient:
    return RawClient(target.url).handshake(*[f"Sec-WebSocket-Extensions: {offer}"] if offer else ())


def send(client: RawClient, writes: list[bytes]) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the target may close before it has read all
        for data in writes:
            client.socket.sendall(data)


def check(target: EmbeddedTarget, case: Case, offer: str | None) -> None:
    with opened(target, offer) as client:
        send(client, pieces(case, masked=True))
        if not case.closes:
            # the connection must work afterwards, and no further frames arrive
            send(client, [Frame(PING, _LAST_PING).wire(masked=True), Frame(CLOSE).wire(masked=True)])
        received = list(client.frames())
    assert [frame for frame in received if frame[0] not in CONTROL] == list(case.messages)
    pongs = [payload for opcode, payload in received if opcode == PONG]
    assert pongs == list(case.pongs) + ([] if case.closes else [_LAST_PING])
    closes = [payload for opcode, payload in received if opcode == CLOSE]
    assert received[-1][0] == CLOSE and len(closes) == 1, "one close frame, and nothing after it"
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
    with opened(server, offer) as client:
        assert parameters(client.extensions) == parameters(granted)
        # and the target keeps to what it granted
        message = b'{"price": 1.0812, "of": "EURUSD"}' * 40
        deflate = Deflate(takeover="client_no_context" not in granted, bits=10 if "client_max" in granted else 15)
        datas = deflate.of(message, message) if granted else [message, message]
        for data in datas:
            send(client, [Frame(BINARY, data, rsv=RSV1 if granted else 0).wire(masked=True)])
        send(client, [Frame(CLOSE).wire(masked=True)])
        received = client.frames(context_takeover="server_no_context" not in granted)
        assert list(received) == [(BINARY, message), (BINARY, message), (CLOSE, b"")]


def parameters(header: str) -> set[str]:
    """Return the parameters of an extension, without 15 bits, which are the default."""
    return {part.strip() for part in header.split(";")} - {"client_max_window_bits=15", "server_max_window_bits=15", ""}
