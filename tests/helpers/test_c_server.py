"""The benchmarks' echo server in C, compiled with warnings as errors and with sanitizers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.c_server import compile_into
from helpers import echo_counter, process
from helpers.conformance import Frame
from helpers.frames import BINARY, CLOSE, PING, PONG, TEXT
from helpers.raw_client import RawClient, request

pytestmark = pytest.mark.needs("cc")
SANITIZERS = ("-Werror", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
BUFFER = 1 << 17  # of the server
MESSAGES = (
    Frame(TEXT, b""),
    Frame(TEXT, b"x" * 125),
    Frame(BINARY, bytes(range(256))),
    Frame(BINARY, b"y" * (BUFFER - 14)),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[process.Running, str]]:
    program = compile_into(tmp_path_factory.mktemp("c_server"), *SANITIZERS)
    running, url = process.start_server(str(program))
    yield running, url
    assert running.process.poll() is None, running.told()
    running.stop()


def opened(url: str) -> RawClient:
    return RawClient(url).handshake()


def test_echoes_are_right_however_the_frames_are_cut(server: tuple[process.Running, str]) -> None:
    running, url = server
    echoed, connections = echo_counter.read(running)
    wire = b"".join(frame.wire(masked=True) for frame in (*MESSAGES, Frame(PING, b"?"), Frame(PONG), *MESSAGES))
    for parts in ([wire], [wire[:200], *(wire[at : at + 1] for at in range(200, 420)), wire[420:]]):
        with opened(url) as client:
            for part in parts:
                client.socket.sendall(part)
            expected = [(frame.opcode, frame.payload) for frame in MESSAGES]
            assert [client.frame() for _ in range(9)] == [*expected, (PONG, b"?"), *expected]
            assert echo_counter.read(running)[1] == connections + 1
    assert echo_counter.read(running)[0] == echoed + 4 * len(MESSAGES)
    process.eventually(lambda: echo_counter.read(running)[1] == connections)


def test_a_close_is_echoed_and_ends_the_connection(server: tuple[process.Running, str]) -> None:
    with opened(server[1]) as client:
        client.send(Frame(TEXT, b"last"), Frame(CLOSE, (1000).to_bytes(2)), Frame(TEXT, b"late"))
        assert client.frame() == (TEXT, b"last")
        assert client.close_code() == 1000


@pytest.mark.parametrize(
    "wrong",
    [Frame(TEXT, b"x", mask=False), Frame(TEXT, stated=BUFFER - 13), Frame(TEXT, stated=(1 << 64) - 1)],
    ids=("not masked", "longer than the buffer", "longest"),
)
def test_a_frame_that_cannot_be_served_ends_its_connection(server: tuple[process.Running, str], wrong: Frame) -> None:
    with opened(server[1]) as client:
        client.send(Frame(TEXT, b"right"), wrong)
        assert client.frame() == (TEXT, b"right")
        assert client.read_to_end() in (b"", b"(reset)")


@pytest.mark.parametrize(
    "head",
    [b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nSec-WebSocket-Key: short\r\n\r\n", b"x" * BUFFER],
    ids=("no key", "short key", "endless"),
)
def test_a_wrong_request_ends_its_connection(server: tuple[process.Running, str], head: bytes) -> None:
    with RawClient(server[1]) as client:
        client.socket.sendall(head)
        assert client.read_to_end() in (b"", b"(reset)")


def test_a_request_may_come_in_parts_and_the_first_frame_with_its_end(server: tuple[process.Running, str]) -> None:
    with RawClient(server[1]) as client:
        head = request("/echo")
        client.socket.sendall(head[:20])
        echo_counter.read(server[0])  # the server has been at work since
        client.socket.sendall(head[20:] + Frame(TEXT, b"early").wire(masked=True) + Frame(CLOSE).wire(masked=True))
        answer, _, frames = client.read_to_end().partition(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert frames == Frame(TEXT, b"early").wire(masked=False) + Frame(CLOSE).wire(masked=False)
