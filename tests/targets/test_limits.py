"""Each limit of the echo target by itself: what the client gets, what is counted, and that others are served on."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from helpers import abuse
from helpers.conformance import Frame
from helpers.frames import BINARY, CONTINUATION, PING, TEXT
from helpers.process import scaled
from helpers.raw_client import RawClient, request
from helpers.tls_client import TlsClient, connected
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from wsbench.targets.echo import server_tls
from wsbench.targets.embedded import EmbeddedTarget

StartTarget = Callable[..., EmbeddedTarget]
MIB = 1024 * 1024


def refused(target: EmbeddedTarget) -> dict[str, int]:
    """Return the refusals that are not zero."""
    counts: dict[str, int] = target.stats()["refused"]
    return {reason: times for reason, times in counts.items() if times}


def settled(target: EmbeddedTarget, **expected: int) -> bool:
    """Wait until fields of /stats, or of its `refused`, have these values; return whether they do."""
    deadline = time.monotonic() + scaled(30)
    while time.monotonic() < deadline:
        counts = target.stats()
        counts |= counts["refused"]
        if all(counts[name] == value for name, value in expected.items()):
            return True
        time.sleep(0.05)
    return False


def echoes(client: ClientConnection | TlsClient) -> bool:
    client.send("still there")
    return client.recv(timeout=scaled(30)) == "still there"


# -- the size of a message -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small() -> Iterator[EmbeddedTarget]:
    """It takes messages of up to 1,000 bytes."""
    with EmbeddedTarget.start(compression="on", extra=["--max-size", "1000"]) as running:
        yield running


DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"


@pytest.mark.parametrize(
    ("frames", "headers"),
    [
        ([Frame(BINARY, bytes(1001))], []),
        ([Frame(BINARY, b"", stated=1 << 40)], []),
        ([Frame(TEXT, b"x" * 600, fin=False), Frame(CONTINUATION, b"x" * 401)], []),
        ([Frame(TEXT, b"x" * 600, fin=False), Frame(PING), Frame(CONTINUATION, b"x" * 600, fin=False)], []),
    ],
    ids=["one frame", "a claim", "fragments", "endless fragments"],
)
def test_a_message_that_is_too_large_closes_with_1009(
    small: EmbeddedTarget, frames: list[Frame], headers: list[str]
) -> None:
    before = refused(small).get("message_sizes", 0)
    with RawClient(small.url).handshake() as client:
        received = client.send(*frames).read_to_end()
    if frames[1:2] == [Frame(PING)]:
        assert received[:2] == b"\x8a\x00"
        received = received[2:]
    assert received[0] == 0x88 and received[2:4] == struct.pack("!H", 1009)
    assert refused(small)["message_sizes"] == before + 1


@pytest.mark.parametrize("size", [1001, 64 * MIB])
def test_a_message_is_measured_inflated(small: EmbeddedTarget, size: int) -> None:
    before, memory = refused(small).get("message_sizes", 0), small.stats()["rss_bytes"]
    with RawClient(small.url).handshake(DEFLATE) as client:
        bomb = abuse.bomb(size)
        client.socket.sendall(bomb)
        assert client.close_code() == 1009
    assert refused(small)["message_sizes"] == before + 1
    assert small.stats()["rss_bytes"] - memory < 16 * MIB


def test_the_largest_message_is_taken(small: EmbeddedTarget) -> None:
    with connect(small.url, compression=None) as client:
        for message in ("x" * 1000, ["x" * 999, "", "y"], "ü" * 500):
            client.send(message)
            assert client.recv(timeout=scaled(30)) == "".join(message)


def test_push_sends_no_larger_ones(small: EmbeddedTarget) -> None:
    with connect(small.url.replace("/echo", "/push?rate=10&size=1000")) as client:
        assert len(client.recv(timeout=scaled(30))) == 1000
    with pytest.raises(InvalidStatus, match="400"):
        connect(small.url.replace("/echo", "/push?size=1001"))


# -- how many connections --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_one_connection_too_many_gets_503_until_another_goes(start_target: StartTarget, workers: int) -> None:
    target = start_target(workers=workers, extra=["--max-connections", "3"])
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(target.url)) for _ in range(3)]
        for _ in range(4):
            with pytest.raises(InvalidStatus) as caught:
                connect(target.url)
            assert caught.value.response.status_code == 503
            assert caught.value.response.headers["Retry-After"] == "1"
        assert all(echoes(client) for client in clients)
        assert target.stats()["connections_opened"] == 3  # /stats is served all the same
        assert refused(target) == {"connections": 4}
        clients[0].close()
        assert settled(target, connections_open=2)
        assert echoes(stack.enter_context(connect(target.url)))
    assert settled(target, connections_open=0, connections_opened=4)


def test_sockets_that_say_nothing_do_not_keep_others_out() -> None:
    """More of them than there may be open files: the oldest gives way to who comes."""
    limited = (
        "import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300))\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'wsbench', 'serve', '--port', '0'])"
    )
    with (
        subprocess.Popen(
            [sys.executable, "-c", limited], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as program,
        ExitStack() as stack,
    ):
        try:
            assert program.stdout is not None
            url = program.stdout.readline().split()[-1]
            parts = urlsplit(url)
            early = stack.enter_context(connect(url))
            silent = [stack.enter_context(socket.create_connection((parts.hostname, parts.port))) for _ in range(500)]
            assert echoes(early)
            assert echoes(stack.enter_context(connect(url)))
            silent[0].settimeout(scaled(30))
            assert silent[0].recv(4096).startswith(b"HTTP/1.1 503 ")
        finally:
            program.terminate()
        _, said = program.communicate(timeout=scaled(60))
    assert said == ""


# -- how long a handshake may take -----------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [b"", b"GET /echo HTTP/1.1\r\nHost: x\r\n"], ids=["nothing", "half a request"])
def test_a_handshake_that_takes_too_long_gets_408(start_target: StartTarget, said: bytes) -> None:
    target = start_target(extra=["--handshake-timeout", "200ms"])
    with RawClient(target.url) as client:
        client.socket.sendall(said)
        answer = client.read_to_end()
    assert answer.startswith(b"HTTP/1.1 408 ") and answer.endswith(b"\r\nno complete request within 0.2 s\n")
    assert refused(target) == {"handshake_timeouts": 1}
    with connect(target.url) as client:
        time.sleep(0.3)  # an open connection has no such limit
        assert echoes(client)
    assert refused(target) == {"handshake_timeouts": 1}


def test_a_tls_handshake_has_the_same_limit(start_target: StartTarget) -> None:
    target = start_target(tls=True, extra=["--handshake-timeout", "1s"])
    with RawClient(target.url) as silent:
        assert silent.read_to_end() in (b"", b"(reset)")
    context = ssl.create_default_context(cafile=target.ca_file)
    with RawClient(target.url) as client, context.wrap_socket(client.socket, server_hostname="127.0.0.1") as secure:
        assert secure.recv(4096).startswith(b"HTTP/1.1 408 ")
    with connected(target.url, ssl=context) as served:
        assert echoes(served)
    target.stop()
    assert target.stderr_tail == ""


# -- how long replies may be left unread -----------------------------------------------------------------------------


@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
@pytest.mark.parametrize("path", ["/echo", "/broadcast", "/push?rate=1000&size=60000"])
def test_a_client_that_reads_nothing_is_disconnected(start_target: StartTarget, path: str, secure: bool) -> None:
    target = start_target(tls=secure, extra=["--write-timeout", "300ms", "--max-size", "1MiB"])
    context = ssl.create_default_context(cafile=target.ca_file) if secure else None
    with RawClient(target.url, receive_buffer=4096) as deaf, connected(target.url, ssl=context) as other:
        if context is not None:
            deaf.socket = context.wrap_socket(deaf.socket, server_hostname="127.0.0.1")
        deaf.handshake(path=path)
        message = Frame(BINARY, bytes(50_000)).wire(masked=True)
        with pytest.raises((ConnectionResetError, BrokenPipeError, ssl.SSLEOFError)):
            for _ in range(50_000):  # far more than fits between them, and than is sent in the time
                deaf.socket.sendall(message)
        assert echoes(other)
        if path == "/echo":
            assert target.stats()["messages_in"] < 100
    # A fast machine sends a listener of /broadcast more than it may leave unread before its time is up.
    assert refused(target) in ({"write_timeouts": 1}, *([{"buffers": 1}] if path == "/broadcast" else []))
    assert settled(target, connections_open=0, buffered_bytes=0)


def test_a_flood_that_is_not_read_is_not_answered_either(start_target: StartTarget) -> None:
    """The unread replies fit into the kernel's limit for a slow client, which is not megabytes."""
    target = start_target()
    with RawClient(target.url, receive_buffer=4096).handshake() as deaf:
        deaf.socket.settimeout(1)
        flood = Frame(TEXT, b"x" * 20).wire(masked=True) * 1000
        with pytest.raises(TimeoutError):
            while True:
                deaf.socket.sendall(flood)
        assert target.stats()["bytes_out"] < MIB
        with connect(target.url) as other:
            assert echoes(other)


# -- memory ----------------------------------------------------------------------------------------------------------


def _unfinished(client: RawClient) -> None:
    client.send(Frame(BINARY, bytes(900_000), stated=1_000_000))


def _fragment(client: RawClient) -> None:
    client.send(Frame(TEXT, b"x" * 900_000, fin=False))


def _inflated(client: RawClient) -> None:
    client.socket.sendall(bytes((abuse.bomb(900_000)[0] & 0x7F,)) + abuse.bomb(900_000)[1:])


@pytest.mark.parametrize("hoard", [_unfinished, _fragment, _inflated], ids=["frame", "fragment", "inflated fragment"])
def test_the_client_that_needs_most_memory_goes_first(
    start_target: StartTarget, hoard: Callable[[RawClient], None]
) -> None:
    target = start_target(compression="on", extra=["--max-buffered", "8MiB", "--max-size", "2MiB"])
    with ExitStack() as stack:
        modest = stack.enter_context(RawClient(target.url).handshake())
        modest.send(Frame(TEXT, b"first half, ", fin=False))
        memory = target.stats()["rss_bytes"]
        hoarders = [stack.enter_context(RawClient(target.url).handshake(DEFLATE)) for _ in range(20)]
        for client in hoarders:
            hoard(client)
        # of 18 MB that they would keep, some 8 may be kept
        assert settled(target, buffers=11)
        counts = target.stats()
        assert 7 * MIB < counts["buffered_bytes"] <= 8 * MIB
        assert counts["rss_bytes"] - memory < 40 * MIB
        went = [client for client in hoarders if not _still_open(client)]
        assert [client.close_code() for client in went] == [1013] * 11
        modest.send(Frame(CONTINUATION, b"second half"))
        assert modest.socket.recv(100) == b"\x81\x17first half, second half"
    assert settled(target, connections_open=0, buffered_bytes=0)


def test_clients_that_need_too_much_memory_at_the_same_moment_all_go(start_target: StartTarget) -> None:
    target = start_target(compression="on", extra=["--max-buffered", "8MiB", "--max-size", "2MiB"])
    with ExitStack() as stack:
        hoarders = [stack.enter_context(RawClient(target.url).handshake(DEFLATE)) for _ in range(20)]
        os.kill(target.pid, signal.SIGSTOP)
        try:
            for client in hoarders:
                _inflated(client)
        finally:
            os.kill(target.pid, signal.SIGCONT)
        assert settled(target, buffers=11)
        assert target.stats()["buffered_bytes"] == 9 * 900_000
    assert settled(target, connections_open=0, buffered_bytes=0)


def _still_open(client: RawClient) -> bool:
    client.socket.setblocking(False)
    try:
        client.socket.recv(1, socket.MSG_PEEK)
        return False
    except BlockingIOError:
        return True
    finally:
        client.socket.settimeout(scaled(30))


def test_replies_that_wait_for_their_time_count_as_well(start_target: StartTarget) -> None:
    target = start_target(delay_ns=60_000_000_000, extra=["--max-buffered", "1MiB"])
    with RawClient(target.url).handshake() as client:
        client.send(*[Frame(BINARY, bytes(50_000))] * 30)
        assert client.read_to_end().startswith(b"\x88")
    assert refused(target) == {"buffers": 1}
    assert settled(target, connections_open=0, buffered_bytes=0)


# -- origins ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def choosy() -> Iterator[EmbeddedTarget]:
    """It lets in pages of two origins, and its own."""
    allowed = ["--allow-origin", "https://App.example", "--allow-origin", "http://localhost:3000"]
    with EmbeddedTarget.start(extra=allowed) as running:
        yield running


@pytest.mark.parametrize("origin", ["https://app.example", "http://localhost:3000", None, "own"])
def test_an_origin_that_may_connect(choosy: EmbeddedTarget, origin: str | None) -> None:
    if origin == "own":
        origin = choosy.url.replace("ws", "http").removesuffix("/echo")
    with connect(choosy.url, origin=None if origin is None else Origin(origin)) as client:
        assert echoes(client)


@pytest.mark.parametrize(
    "origin", ["https://elsewhere.example", "http://app.example", "https://app.example.evil.example", "null", ""]
)
def test_an_origin_that_may_not(choosy: EmbeddedTarget, origin: str) -> None:
    before = refused(choosy).get("origins", 0)
    with pytest.raises(InvalidStatus) as caught:
        connect(choosy.url, additional_headers={"Origin": origin})
    assert caught.value.response.status_code == 403
    assert refused(choosy) == {"origins": before + 1}


def test_a_host_header_does_not_make_an_origin_ones_own(choosy: EmbeddedTarget) -> None:
    """A page of somebody else's whose name leads here (DNS rebinding)."""
    with RawClient(choosy.url) as client:
        answer = request("/echo", "Origin: http://abuse")  # which has "Host: abuse"
        client.socket.sendall(answer)
        assert client.read_to_end().startswith(b"HTTP/1.1 403 ")


def test_without_the_option_any_origin_may_connect(target: EmbeddedTarget) -> None:
    with connect(target.url, origin=Origin("https://elsewhere.example")) as client:
        assert echoes(client)


# -- the private key -------------------------------------------------------------------------------------------------


def test_the_key_is_on_disk_only_while_it_is_loaded_and_readable_only_by_its_user(tmp_path: Path) -> None:
    seen: list[tuple[int, Path]] = []

    class Watching(ssl.SSLContext):
        def load_cert_chain(self, certfile: Any, *args: Any, **options: Any) -> None:
            seen.append((os.stat(certfile).st_mode, Path(certfile).parent))  # noqa: PTH116
            super().load_cert_chain(certfile, *args, **options)

    before = os.umask(0)
    try:
        server_tls.make_certificate("localhost", tmp_path, Watching)
    finally:
        os.umask(before)
    assert [(stat.S_IMODE(mode), directory) for mode, directory in seen] == [(0o600, tmp_path)]
    assert [file.name for file in tmp_path.iterdir()] == ["ca.pem"]
