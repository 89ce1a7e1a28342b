"""Several processes on one port: exact sums, and nobody left behind."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from urllib.parse import urlsplit

import psutil
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection, connect

from wsbench.errors import TargetError
from wsbench.targets.embedded import EmbeddedTarget

StartTarget = Callable[..., EmbeddedTarget]


def children(target: EmbeddedTarget) -> list[psutil.Process]:
    return psutil.Process(target.pid).children(recursive=True)


def gone(processes: list[psutil.Process], within_s: float = 20) -> bool:
    # zombies have ended; that nobody in a container reaps orphans is not ours to test
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if not [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("workers", [1, 3])
def test_counts_equal_what_clients_sent_right_after_they_did(start_target: StartTarget, workers: int) -> None:
    target = start_target(workers=workers)
    clients, messages = 8, 300

    def talk(number: int) -> None:
        payload = "ü" * (number + 1)
        with connect(target.url, compression=None) as client:
            for _ in range(messages):
                client.send(payload)
            for _ in range(messages):
                client.recv(timeout=30)
            barrier.wait(60)
            barrier.wait(60)  # stays open until the counters are read

    barrier = threading.Barrier(clients + 1)
    threads = [threading.Thread(target=talk, args=[number]) for number in range(clients)]
    for thread in threads:
        thread.start()
    barrier.wait(60)
    readings = [target.stats() for _ in range(6)]  # from whichever worker the kernel picks
    barrier.wait(60)
    for thread in threads:
        thread.join()
    size = sum(2 * (number + 1) for number in range(clients))
    for statistics in readings:
        assert statistics["messages_in"] == statistics["messages_out"] == clients * messages
        assert statistics["bytes_in"] == statistics["bytes_out"] == size * messages
        assert statistics["connections_opened"] == statistics["connections_open"] == clients
        assert statistics["processes"] == workers
    deadline = time.monotonic() + 20
    while target.stats()["connections_open"] and time.monotonic() < deadline:
        time.sleep(0.02)
    assert target.stats()["connections_open"] == 0
    assert target.stats()["connections_opened"] == clients


def test_messages_that_are_never_answered_are_counted_as_received(start_target: StartTarget) -> None:
    """Messages still in the socket when the client closes are received, and there is nobody to answer."""
    target = start_target()
    with connect(target.url, max_queue=None) as client:
        for _ in range(100):
            client.send("x")
    statistics = target.stats()
    assert statistics["messages_in"] == 100
    assert statistics["messages_out"] <= 100


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_closes_connections_with_1001_and_leaves_nobody(start_target: StartTarget, workers: int) -> None:
    target = start_target(workers=workers)
    processes = [psutil.Process(target.pid), *children(target)]
    assert len(processes) == (1 if workers == 1 else workers + 1)
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(target.url)) for _ in range(6)]
        os.kill(target.pid, signal.SIGTERM)
        for client in clients:
            with pytest.raises(ConnectionClosed) as caught:
                client.recv(timeout=20)
            assert caught.value.rcvd is not None and caught.value.rcvd.code == 1001
    assert target.stop(timeout=20) == 0
    assert gone(processes, within_s=5)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_client_that_does_not_answer_the_close_holds_nobody_up(start_target: StartTarget, workers: int) -> None:
    target = start_target(workers=workers)
    parts = urlsplit(target.url)
    with ExitStack() as stack:
        for _ in range(4):
            silent = stack.enter_context(socket.create_connection((parts.hostname, parts.port)))
            silent.sendall(
                b"GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            assert silent.recv(4096).startswith(b"HTTP/1.1 101")
        stack.enter_context(socket.create_connection((parts.hostname, parts.port)))  # never says a word
        started = time.monotonic()
        assert target.stop(timeout=20) == 0
    # 1.7 s, in truth; the 10 s that websockets gives a closing handshake are what must not pass
    assert time.monotonic() - started < 8


def test_sigkill_of_the_parent_leaves_no_worker(start_target: StartTarget) -> None:
    target = start_target(workers=3)
    workers = children(target)
    assert len(workers) == 3
    os.kill(target.pid, signal.SIGKILL)
    assert gone(workers)
    assert target.stop() == -signal.SIGKILL


def test_a_worker_that_dies_ends_the_target_with_3(start_target: StartTarget) -> None:
    target = start_target(workers=3)
    workers = children(target)
    workers[1].kill()
    assert gone(workers)
    deadline = time.monotonic() + 20
    while target.running and time.monotonic() < deadline:
        time.sleep(0.02)
    with pytest.raises(TargetError, match=rf"process {workers[1].pid}\) was killed by SIGKILL"):
        target.stats()
    assert target.stop() == 3


def test_the_target_stops_when_whoever_started_it_is_gone(start_target: StartTarget) -> None:
    for workers in (1, 2):
        target = start_target(workers=workers)
        processes = [psutil.Process(target.pid), *children(target)]
        lifeline = target.children[0]._process.stdin
        assert lifeline is not None
        lifeline.close()  # what the kernel does for a process that dies
        assert gone(processes)
        assert target.stop() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_it_may_be_told_to_stop_more_than_once(start_target: StartTarget, workers: int) -> None:
    target = start_target(workers=workers)
    with connect(target.url):
        while target.running:
            os.kill(target.pid, signal.SIGTERM)
            os.kill(target.pid, signal.SIGINT)
            time.sleep(0.001)
    assert target.stop() == 0


def test_a_signal_of_the_terminal_stops_all_in_order(start_target: StartTarget) -> None:
    """Ctrl-C goes to the whole process group at once; workers must not count as having died."""
    target = start_target(workers=3)
    os.killpg(target.pid, signal.SIGINT)
    assert target.stop(timeout=20) == 0


def _on(worker: psutil.Process, client: ClientConnection) -> bool:
    """Return whether this worker serves that client."""
    port = client.socket.getsockname()[1]
    return any(link.raddr and link.raddr.port == port for link in worker.net_connections())


def test_a_worker_that_does_not_keep_up_slows_down_who_speaks_to_it(start_target: StartTarget) -> None:
    """Instead of all that is said being kept for it."""
    target = start_target(workers=2)
    fast, frozen = children(target)
    url, message = target.url.replace("/echo", "/broadcast"), b"x" * 10_000
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(url, compression=None)) for _ in range(20)]
        speaker = next(client for client in clients if _on(fast, client))
        listener = next(client for client in clients if _on(frozen, client))
        for client in clients:
            if client not in (speaker, listener):
                client.close()
        frozen.suspend()
        try:
            before = fast.memory_info().rss
            said = 0
            speaker.socket.settimeout(2)
            with pytest.raises(TimeoutError):
                while said < 10_000:  # 100 MB
                    speaker.socket.sendall(Frame(Opcode.BINARY, message).serialize(mask=True))
                    said += 1
            assert fast.memory_info().rss - before < 32 * 1024 * 1024
        finally:
            frozen.resume()
        speaker.socket.shutdown(socket.SHUT_RDWR)  # in the midst of a frame, behind which no close can go
        assert said > 50
        for _ in range(said):
            assert listener.recv(timeout=60) == message
