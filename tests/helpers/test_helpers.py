"""The helpers themselves, against websockets' client: what they count is what a client sees."""

from __future__ import annotations

import json
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidHandshake, WebSocketException
from websockets.sync.client import ClientConnection, connect

from helpers import components, faulty_echo, frames
from helpers.bad_handshakes import FAULTS, BadHandshakes
from helpers.faults import Choice, Faults
from helpers.process import TESTS, Running, http_json, leftovers, no_leftovers, scaled, start_server

Start = Callable[..., Any]
PATIENCE_S = scaled(20)


def message(number: int) -> str:
    return json.dumps({"id": "a-1", "seq": number, "pad": "x" * 60})


def open_to(url: str, **options: Any) -> ClientConnection:
    options = {"compression": None, "proxy": None, "open_timeout": PATIENCE_S, "close_timeout": 2, **options}
    client: ClientConnection = connect(url, **options)
    return client


def receive_all(client: ClientConnection, quiet_s: float = 1.0) -> list[str]:
    """Return the bytes that came until nothing came for `quiet_s`."""
    received = []
    while True:
        try:
            received.append(str(client.recv(quiet_s)))
        except TimeoutError:
            return received


def exchange(url: str, count: int) -> tuple[list[str], list[str]]:
    """Sends `count` messages at once; what was sent, and all that came back."""
    sent = [message(number) for number in range(1, count + 1)]
    with open_to(url) as client:
        for each in sent:
            client.send(each)
        return sent, receive_all(client)


@pytest.fixture
def echo(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


@pytest.mark.parametrize(
    "echo",
    [
        pytest.param("picows_echo", marks=pytest.mark.needs("picows")),
        pytest.param("node_echo", marks=pytest.mark.needs("node")),
        pytest.param("plain_faulty_echo"),
    ],
    indirect=True,
)
def test_echo_servers_keep_type_bytes_and_order(echo: str) -> None:
    payloads: list[str | bytes] = ["ä text", b"\x00\xff binary", "", b"", "y" * 70_000, message(1)]
    with open_to(echo, max_size=None) as client:
        for payload in payloads:
            client.send(payload)
        assert [client.recv(PATIENCE_S) for _ in payloads] == payloads
        client.send(["in ", "two ", "parts"])
        assert client.recv(PATIENCE_S) == "in two parts"
        assert client.ping(b"there?").wait(PATIENCE_S)
        client.close(3000, "enough")
    assert client.close_code == 3000


@pytest.fixture
def plain_faulty_echo() -> Iterator[str]:
    with faulty_echo.serving() as url:
        yield url


def test_node_echo_counts_and_compresses(node_echo: str, node_echo_deflate: str) -> None:
    for url, extensions in ((node_echo, 0), (node_echo_deflate, 1)):
        with connect(url, proxy=None) as client:
            client.send("hello")
            assert client.recv(PATIENCE_S) == "hello"
            assert len(client.protocol.extensions) == extensions
        assert http_json(url, "/stats")["messages_in"] == 1


def test_faulty_echo_without_faults_echoes_everything(faulty_echo: Start) -> None:
    server = faulty_echo()
    sent, received = exchange(server.url, 50)
    assert received == sent
    counts = server.counts()
    assert counts.pop("messages_in") == counts.pop("replies_sent") == 50
    assert counts.pop("connections") == 1
    assert not any(counts.values())


@pytest.mark.parametrize("fault", ["drop", "duplicate", "reorder", "corrupt", "corrupt_anywhere", "reserialize"])
@pytest.mark.parametrize("share", [7, 0.2])
def test_faulty_echo_counts_what_the_client_sees(faulty_echo: Start, fault: str, share: float) -> None:
    server = faulty_echo(**{fault: share}, seed=3)
    sent, received = exchange(server.url, 100)
    counts = server.counts()
    assert counts["messages_in"] == 100
    assert counts["replies_sent"] == len(received)
    assert counts["messages_in"] + counts["duplicated"] == counts["replies_sent"] + counts["dropped"]
    seen = {
        "drop": len(set(sent) - set(received)),
        "duplicate": len(received) - len(set(received)),
        # a swap is two neighbours, each in the other's place
        "reorder": sum(a != b for a, b in zip(sent, received, strict=False)) / 2,
        "corrupt": len(set(received) - set(sent)),
        "corrupt_anywhere": len(set(received) - set(sent)),
        "reserialize": sum(a != b and json.loads(a) == json.loads(b) for a, b in zip(sent, received, strict=False)),
    }[fault]
    names = {"drop": "dropped", "duplicate": "duplicated", "reorder": "reordered", "reserialize": "reserialized"}
    assert seen == counts[names.get(fault, "corrupted")]
    assert seen == 100 // share if share >= 1 else 5 < seen < 40


def test_faulty_echo_corrupts_one_printable_byte(faulty_echo: Start) -> None:
    sent, received = exchange(faulty_echo(corrupt=1).url, 20)
    for before, after in zip(sent, received, strict=True):
        assert sum(a != b for a, b in zip(before, after, strict=True)) == 1
        assert after.isascii()
        assert after.isprintable()
        changed = json.loads(after)
        assert changed["seq"] == json.loads(before)["seq"]  # in the padding


def test_faulty_echo_reorder_with_nothing_to_swap_is_late_and_uncounted(faulty_echo: Start) -> None:
    server = faulty_echo(reorder=3)
    sent = [message(number) for number in range(1, 4)]
    with open_to(server.url) as client:
        for each in sent:
            client.send(each)
            assert client.recv(PATIENCE_S) == each
    assert server.counts()["reordered"] == 0


def test_faulty_echo_delays_every_50th(faulty_echo: Start) -> None:
    server = faulty_echo(delay_ms=200)  # longer than a busy machine keeps a reply by itself
    took_s = []
    with open_to(server.url) as client:
        for number in range(150):
            started = time.monotonic()
            client.send(message(number))
            client.recv(PATIENCE_S)
            took_s.append(time.monotonic() - started)
    assert [number for number, each in enumerate(took_s, 1) if each >= 0.2][:1] == [50]
    assert min(took_s[49], took_s[99], took_s[149]) >= 0.2
    assert server.counts()["delayed"] == 3


def test_faulty_echo_stalls_at_the_end_of_each_period(faulty_echo: Start) -> None:
    server = faulty_echo(stall="0.3/0.6")
    arrivals = []
    with open_to(server.url) as client:
        started = time.monotonic()
        while (now := time.monotonic() - started) < 1.3:
            client.send("x")
            client.recv(PATIENCE_S)
            arrivals.append(time.monotonic() - started - now)
    assert sum(each > 0.15 for each in arrivals) >= 2
    assert server.counts()["stalled"] >= 2


def test_faulty_echo_serves_one_message_at_a_time_over_all_connections(faulty_echo: Start) -> None:
    server = faulty_echo(service_ms=5)
    with open_to(server.url) as one, open_to(server.url) as other:
        started = time.monotonic()
        for number in range(20):
            one.send(message(number))
            other.send(message(number))
        for client in (one, other):
            for number in range(20):
                assert client.recv(5) == message(number)
        assert time.monotonic() - started >= 40 * 0.005


@pytest.mark.parametrize("fault", ["fragment", "split"])
def test_faulty_echo_cuts_replies_up_without_changing_them(faulty_echo: Start, fault: str) -> None:
    server = faulty_echo(**{fault: 1})
    sent, received = exchange(server.url, 10)
    assert received == sent
    counts = server.counts()
    assert counts["fragmented" if fault == "fragment" else "split"] == 10
    assert counts["pings_sent"] == counts["pongs_in"] == (10 if fault == "fragment" else 0)


def test_faulty_echo_greets_and_closes_with_a_reason(faulty_echo: Start) -> None:
    server = faulty_echo()
    with open_to(server.url_with(greet="welcome", close_after=2)) as client:
        assert client.recv(PATIENCE_S) == "welcome"
        for number in range(5):
            client.send(message(number))
        assert [client.recv(PATIENCE_S), client.recv(PATIENCE_S)] == [message(0), message(1)]
        with pytest.raises(ConnectionClosedError):
            client.recv(PATIENCE_S)
        assert (client.close_code, client.close_reason) == (1011, "asked to close after 2 messages")
    deadline = time.monotonic() + PATIENCE_S  # what is never answered is known when the server is done with it
    while (counts := server.counts())["messages_in"] != counts["replies_sent"] + counts["unanswered"]:
        assert time.monotonic() < deadline, counts
    assert (counts["greetings"], counts["closed"], counts["replies_sent"]) == (1, 1, 2)


def test_faulty_echo_resets(faulty_echo: Start) -> None:
    server = faulty_echo(rst_after=1)
    with open_to(server.url) as client:
        client.send("x")
        assert client.recv(PATIENCE_S) == "x"
        with pytest.raises(ConnectionClosedError):
            client.recv(PATIENCE_S)
        assert client.close_code == 1006
    assert server.counts()["reset"] == 1


def test_faulty_echo_refuses_what_breaks_the_protocol(faulty_echo: Start) -> None:
    server = faulty_echo()
    for rubbish in (
        b"\x81\x01x",
        b"\xc1\x80\0\0\0\0",
        b"\x83\x80\0\0\0\0",
        b"\x81\xfe\x00\x01\0\0\0\0x",
        b"\x80\x80\0\0\0\0",
    ):
        with open_to(server.url) as client:
            client.socket.sendall(rubbish)
            with pytest.raises(ConnectionClosed):
                client.recv(PATIENCE_S)
            assert client.close_code == 1002
    assert server.counts()["protocol_errors"] == 5


def test_faulty_echo_names_an_option_that_does_not_exist(faulty_echo: Start) -> None:
    with pytest.raises(InvalidHandshake), open_to(faulty_echo().url_with(dorp=3)):
        pass


def test_choices_repeat_with_their_seed() -> None:
    def falls(seed: int, connection: int) -> list[frozenset[str]]:
        choice = Choice(Faults(drop=0.3, corrupt=0.3, seed=seed), connection)
        return [choice.of(number, b"payload")[0] for number in range(1, 50)]

    assert falls(1, 1) == falls(1, 1)
    assert falls(1, 1) != falls(2, 1)
    assert falls(1, 1) != falls(1, 2)


def test_frames_survive_any_segmentation() -> None:
    def masked(opcode: int, payload: bytes) -> bytes:
        frame = frames.encode(opcode, payload)
        head = len(frame) - len(payload)
        key = b"\x12\x34\x56\x78"
        return bytes((frame[0], frame[1] | 0x80)) + frame[2:head] + key + frames.unmask(payload, key)

    payloads = [b"", b"a", b"b" * 126, b"c" * 70_000]
    data = b"".join(masked(frames.TEXT, payload) for payload in payloads)
    parser = frames.FrameParser()
    got = [each.payload for at in range(0, len(data), 97) for each in parser.feed(data[at : at + 97])]
    assert got == payloads


def test_bad_handshakes_all_fail_and_the_control_does_not(bad_handshakes: BadHandshakes) -> None:
    with open_to(bad_handshakes.url("/ok")):
        pass
    for path in FAULTS.keys() - {"/ok"}:
        with (
            pytest.raises((WebSocketException, TimeoutError, OSError, EOFError)),
            connect(bad_handshakes.url(path), compression=None, proxy=None, open_timeout=0.6),
        ):
            pass
    assert {request.target for request in bad_handshakes.requests} >= FAULTS.keys()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/404", b"HTTP/1.1 404 Not Found\r\n"),
        ("/no-upgrade", b"HTTP/1.1 400 Bad Request\r\n"),
        ("/http10", b"HTTP/1.0 101 Switching Protocols\r\n"),
        ("/redirect", b"HTTP/1.1 302 Found\r\n"),
        ("/close", b""),
    ],
)
def test_bad_handshakes_answer_as_their_path_says(bad_handshakes: BadHandshakes, path: str, expected: bytes) -> None:
    with socket.create_connection(("127.0.0.1", bad_handshakes.port), timeout=PATIENCE_S) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Key: a\r\n\r\n".encode())
        assert client.recv(1 << 16).startswith(expected)


def test_bad_handshakes_reset(bad_handshakes: BadHandshakes) -> None:
    with socket.create_connection(("127.0.0.1", bad_handshakes.port), timeout=PATIENCE_S) as client:
        client.sendall(b"GET /rst HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_every_server_runs_on_its_own() -> None:
    for module in ("helpers.faulty_echo", "helpers.bad_handshakes"):
        server, url = start_server(module)
        assert urlsplit(url).hostname == "127.0.0.1"
        server.signal(signal.SIGINT)
        assert server.finish(20).returncode == 0


def test_a_server_that_does_not_come_up_says_why() -> None:
    before = list(Running.live)
    with pytest.raises(AssertionError, match=r"(?s)ended with 2.*unrecognized arguments: --nonsense"):
        start_server("helpers.faulty_echo", "--nonsense")
    assert Running.live == before


ORPHAN = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']{})"


@pytest.mark.parametrize("escapes", [False, True])
def test_leftovers_are_found_even_in_another_session(escapes: bool) -> None:
    code = ORPHAN.format(", start_new_session=True" if escapes else "")
    result = Running([sys.executable, "-c", code]).finish(10)
    with pytest.raises(AssertionError, match=r"time\.sleep\(60\)"):
        no_leftovers(result, grace=0.1)
    time.sleep(0.1)
    no_leftovers(result)


def test_a_timeout_kills_the_whole_session() -> None:
    code = "import subprocess; print('begun', flush=True); subprocess.run(['sleep', '60'])"
    running = Running([sys.executable, "-c", code])
    running.wait_for("begun")
    with pytest.raises(AssertionError, match=r"(?s)still running after .*begun"):
        running.finish(0.3)
    no_leftovers(running)
    assert not leftovers(running.pid, running.mark)


def test_a_missing_component_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(components, "tool", lambda _name: None)
    components.missing.cache_clear()
    try:
        assert components.missing("nginx") == "needs nginx: no nginx on PATH (apt-get install nginx)"
        assert "servers/node" in components.missing("node")
    finally:
        components.missing.cache_clear()


@pytest.mark.parametrize(("require", "outcome"), [("", "1 skipped"), ("all", "1 error")])
def test_what_cannot_run_is_skipped_or_under_require_all_fails(require: str, outcome: str) -> None:
    one_test = f"{__file__}::test_node_echo_counts_and_compresses"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", one_test]
    result = Running(command, env={"PATH": "", "WSBENCH_REQUIRE": require}, cwd=TESTS.parent).finish(60)
    assert result.returncode == (1 if require else 0)
    assert outcome in result.stdout
    assert "needs node: no node on PATH (apt-get install nodejs npm" in result.stdout
