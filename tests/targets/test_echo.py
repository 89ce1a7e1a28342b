"""The echo path, frame by frame where that matters."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable

import pytest
from helpers.raw_client import RawClient
from websockets.exceptions import ConnectionClosedError
from websockets.frames import Frame, Opcode
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from wsbench.targets.embedded import EmbeddedTarget

TEXT, BINARY, CONT, CLOSE = Opcode.TEXT, Opcode.BINARY, Opcode.CONT, Opcode.CLOSE


def masked(opcode: Opcode, payload: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, payload, fin).serialize(mask=True)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "plain",
        "größer, 大, 🐘",
        "x" * 125,
        "x" * 126,
        "x" * 65536,
        "ü" * 100_000,
        b"",
        b"\x00\xff\xfe",
        bytes(200_000),
    ],
    ids=lambda message: f"{type(message).__name__}-{len(message)}",
)
def test_text_stays_text_and_binary_binary(target: EmbeddedTarget, message: str | bytes) -> None:
    with connect(target.url, compression=None, max_size=None) as client:
        client.send(message)
        assert client.recv(timeout=20) == message


def test_binary_that_would_be_valid_text_stays_binary(target: EmbeddedTarget) -> None:
    with connect(target.url) as client:
        client.send(b"ascii")
        assert client.recv(timeout=20) == b"ascii"


@pytest.mark.parametrize(
    "fragments", [["one", "", "two", "ü"], [b"\x00", b"\xff" * 70_000, b""]], ids=["text", "binary"]
)
def test_a_fragmented_message_comes_back_whole(target: EmbeddedTarget, fragments: list[str] | list[bytes]) -> None:
    with connect(target.url, max_size=None) as client:
        client.send(fragments)
        client.send("next")
        client.send(fragments)
        whole = type(fragments[0])().join(fragments)  # type: ignore[arg-type]
        assert [client.recv(timeout=20) for _ in range(3)] == [whole, "next", whole]


def test_a_character_may_be_split_between_fragments(target: EmbeddedTarget) -> None:
    ü = "ü".encode()
    with RawClient(target.url).handshake() as client:
        client.socket.sendall(masked(TEXT, ü[:1], fin=False) + masked(CONT, ü[1:]))
        assert client.frame() == (TEXT, ü)


@pytest.mark.parametrize(
    "frames",
    [
        masked(TEXT, b"ok \xff"),
        masked(TEXT, b"cut \xc3"),
        masked(TEXT, b"a\xc3", fin=False) + masked(CONT, b"(b"),
        masked(TEXT, b"surrogate " + b"\xed\xa0\x80"),
    ],
    ids=["byte", "truncated", "fragments", "surrogate"],
)
def test_text_that_is_not_utf8_closes_with_1007(target: EmbeddedTarget, frames: bytes) -> None:
    with RawClient(target.url).handshake() as client:
        client.socket.sendall(frames + masked(TEXT, b"afterwards"))
        opcode, payload = client.frame()
        assert opcode == CLOSE
        assert struct.unpack("!H", payload[:2]) == (1007,)
        assert client.read_to_end() == b""


@pytest.mark.parametrize(
    "behind", [masked(CLOSE, b"\x03\xe8"), Frame(TEXT, b"unmasked").serialize(mask=False)], ids=["close", "wrong frame"]
)
def test_nor_does_what_comes_with_such_a_text_make_it_right(target: EmbeddedTarget, behind: bytes) -> None:
    with RawClient(target.url).handshake() as client:
        client.socket.sendall(masked(TEXT, b"good") + masked(TEXT, b"\xff") + behind)
        assert client.frame() == (TEXT, b"good")
        opcode, payload = client.frame()
        assert (opcode, payload[:2]) == (CLOSE, struct.pack("!H", 1007))
        assert client.read_to_end() == b""


def test_what_comes_with_a_close_is_answered_before_it(target: EmbeddedTarget) -> None:
    with RawClient(target.url).handshake() as client:
        client.socket.sendall(masked(TEXT, b"last") + masked(Opcode.PING, b"?") + masked(CLOSE, b"\x03\xe8"))
        frames = [client.frame() for _ in range(3)]
        assert (TEXT, b"last") in frames and (Opcode.PONG, b"?") in frames
        assert frames[2] == (CLOSE, b"\x03\xe8")
        assert client.read_to_end() == b""


def test_what_follows_such_a_text_is_not_counted(start_target: Callable[..., EmbeddedTarget]) -> None:
    target = start_target()
    with RawClient(target.url).handshake() as client:
        client.socket.sendall(masked(TEXT, b"good") + masked(TEXT, b"\xff") + masked(TEXT, b"late"))
        assert client.frame() == (TEXT, b"good")
        assert client.frame()[0] == CLOSE
    assert target.stats()["messages_in"] == 1


def test_a_message_above_64_mib_closes_with_1009(target: EmbeddedTarget) -> None:
    with RawClient(target.url).handshake() as client:
        client.socket.sendall(struct.pack("!BBQ", 0x82, 0xFF, 64 * 1024 * 1024 + 1))
        opcode, payload = client.frame()
        assert (opcode, payload[:2]) == (CLOSE, struct.pack("!H", 1009))


def test_frames_sent_along_with_the_handshake_are_answered(target: EmbeddedTarget) -> None:
    early = masked(TEXT, b"first") + masked(BINARY, b"second")
    with RawClient(target.url).handshake(early=early) as client:
        client.socket.sendall(masked(TEXT, b"third"))
        assert [client.frame() for _ in range(3)] == [(TEXT, b"first"), (BINARY, b"second"), (TEXT, b"third")]


def test_a_ping_is_answered_between_messages(target: EmbeddedTarget) -> None:
    with connect(target.url) as client:
        client.send("one")
        assert client.ping("are you there").wait(20)
        assert client.recv(timeout=20) == "one"


def test_a_client_that_reads_late_gets_everything_in_order(target: EmbeddedTarget) -> None:
    """More than the sockets can buffer: the target has to stop reading, and start again."""
    messages = [b"%06d" % number + b"x" * 64 * 1024 for number in range(400)]
    with RawClient(target.url).handshake() as client:
        sender = threading.Thread(target=client.socket.sendall, args=[b"".join(masked(TEXT, m) for m in messages)])
        sender.start()
        sender.join(1)  # nobody reads meanwhile
        assert sender.is_alive(), "the target took all of it: it does not stop reading"
        received = [client.frame() for _ in messages]
        sender.join()
    assert received == [(TEXT, message) for message in messages]


def test_a_close_is_answered_with_the_same_code(target: EmbeddedTarget) -> None:
    with RawClient(target.url).handshake() as client:
        client.socket.sendall(masked(CLOSE, struct.pack("!H", 4321) + b"why"))
        assert client.frame() == (CLOSE, struct.pack("!H", 4321) + b"why")


@pytest.mark.parametrize("path", ["/ws", "/ws/", "/ws/anything/else", "/", "/echo?user=1"])
def test_other_paths_that_echo(target: EmbeddedTarget, path: str) -> None:
    elsewhere = Origin("https://elsewhere.example")
    with connect(target.url.replace("/echo", path), origin=elsewhere) as client:
        client.send("hello")
        assert client.recv(timeout=20) == "hello"


def test_the_first_subprotocol_offered_is_taken(target: EmbeddedTarget) -> None:
    with connect(target.url, subprotocols=[Subprotocol("chat.v2"), Subprotocol("chat.v1")]) as client:
        assert client.subprotocol == "chat.v2"
    with connect(target.url) as client:
        assert client.subprotocol is None


def test_a_protocol_error_closes_with_1002(target: EmbeddedTarget) -> None:
    with connect(target.url) as client, pytest.raises(ConnectionClosedError) as caught:
        client.socket.sendall(Frame(TEXT, b"unmasked").serialize(mask=False))
        client.recv(timeout=20)
    assert caught.value.rcvd is not None and caught.value.rcvd.code == 1002
