"""Every target of the catalogue, started for real and driven with the client of `websockets`."""

from __future__ import annotations

import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from helpers.process import CliResult, scaled
from helpers.tls_client import connected
from websockets.sync.client import ClientConnection, connect

from wsbench import machine
from wsbench.errors import ExitCode, TargetError, UsageError
from wsbench.targets import catalogue
from wsbench.targets.catalogue.proxies import Nginx, Proxied
from wsbench.targets.running import RunningTarget

# every proxy once, with a server of another language behind each, and two in a row
BEHIND_PROXIES = ["nginx>websockets", "haproxy>picows", "caddy>ws", "nginx>haproxy>gorilla", "nginx>python-socketio"]
NAMES = [*catalogue.names(), *BEHIND_PROXIES]


def params(names: list[str]) -> list[Any]:
    """A parameter a name, which needs what the target is made of."""
    found = []
    for name in names:
        *proxies, server = name.split(">")
        found.append(pytest.param(name, marks=pytest.mark.needs(*proxies, f"target {server}")))
    return found


def those_that(condition: Callable[[catalogue.StartableTarget], bool]) -> list[Any]:
    return params([name for name in NAMES if condition(catalogue.find(name))])


def echoes(target: catalogue.StartableTarget) -> bool:
    return target.protocol == "echo"


def client(target: RunningTarget, **options: Any) -> ClientConnection:
    options = {"proxy": None, "max_size": None, "open_timeout": scaled(10), **options}
    return connect(target.url, **options)


def everything_of(target: RunningTarget) -> list[psutil.Process]:
    """All processes, guards included."""
    roots = [psutil.Process(child.pid) for child in target.children]
    return [process for root in roots for process in (root, *root.children(recursive=True))]


def are_gone(processes: list[psutil.Process]) -> bool:
    """Within a while; those that are not are killed, for later tests."""
    deadline = time.monotonic() + scaled(15)
    while left := [process for process in processes if lives(process)]:
        if time.monotonic() > deadline:
            for process in left:
                process.kill()
            return False
        time.sleep(0.02)
    return True


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# -- what they all do --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=those_that(echoes))
def running(request: pytest.FixtureRequest) -> Iterator[RunningTarget]:
    """Every echo target with nothing asked for."""
    with catalogue.find(request.param).start() as target:
        yield target


@pytest.mark.parametrize(
    "message",
    ["grüße", "", b"\x00\x01\xfe\xff", b"this would be text", "x" * 200_000, bytes(range(256)) * 800],
    ids=["text", "empty", "binary", "binary-like-text", "200-kB-text", "200-kB-binary"],
)
def test_text_stays_text_and_binary_binary(running: RunningTarget, message: str | bytes) -> None:
    with client(running) as connection:
        connection.send(message)
        assert connection.recv(scaled(10)) == message


def test_every_path_echoes(running: RunningTarget) -> None:
    assert urlsplit(running.url).path == "/echo"
    # the embedded target has other behaviours on some others
    with connect(f"ws://{urlsplit(running.url).netloc}/ws/room?a=b", proxy=None) as connection:
        connection.send("hello")
        assert connection.recv(scaled(10)) == "hello"


@pytest.mark.parametrize("fragments", [["one, ", "", "two, ", "three"], [b"\x00", b"\x01" * 1000, b"\x02"]])
def test_a_fragmented_message_comes_back_whole(running: RunningTarget, fragments: list[Any]) -> None:
    with client(running) as connection:
        connection.send(iter(fragments))
        assert connection.recv(scaled(10)) == type(fragments[0])().join(fragments)


def test_messages_come_back_in_order(running: RunningTarget) -> None:
    with client(running) as connection:
        for number in range(200):
            connection.send(str(number))
        assert [connection.recv(scaled(10)) for _ in range(200)] == [str(number) for number in range(200)]


def test_a_ping_is_answered(running: RunningTarget) -> None:
    with client(running) as connection:
        assert connection.ping(b"payload").wait(scaled(10))


def test_a_close_is_answered_with_1000(running: RunningTarget) -> None:
    with client(running) as connection:
        connection.close(1000, "that is all")
    received = connection.protocol.close_rcvd
    assert received is not None and received.code == 1000


def test_compression_that_nobody_asked_for_is_not_granted(running: RunningTarget) -> None:
    with client(running, compression="deflate") as connection:
        assert connection.protocol.extensions == []


def test_what_it_says_of_itself(running: RunningTarget) -> None:
    assert running.url.startswith("ws://127.0.0.1:")
    assert running.ca_file is None
    assert running.running
    assert running.version == catalogue.find(running.name).version()
    commands = [" ".join(psutil.Process(pid).cmdline()) for pid in running.pids]
    assert len(commands) == 1 + running.name.count(">")
    assert not any("wsbench.targets.guard" in command for command in commands)


# -- what some of them can do ------------------------------------------------------------------------------------------


def echoed_over_tls(target: RunningTarget, message: str, context: ssl.SSLContext) -> str | bytes:
    with connected(target.url, ssl=context) as client:
        client.send(message)
        return client.recv()


@pytest.mark.parametrize("name", those_that(lambda target: echoes(target) and target.capabilities.tls))
def test_tls(name: str) -> None:
    message = "in secret" * 5000
    with catalogue.find(name).start(tls=True) as target:
        assert target.url.startswith("wss://127.0.0.1:") and target.ca_file is not None
        trusting = ssl.create_default_context(cafile=target.ca_file)
        assert echoed_over_tls(target, message, trusting) == message
        with pytest.raises(ssl.SSLCertVerificationError):
            echoed_over_tls(target, message, ssl.create_default_context())
    assert not target.ca_file.exists()


class CountingSocket(socket.socket):
    """Counts the bytes that it receives."""

    received = 0

    def recv(self, *args: Any) -> bytes:
        data = super().recv(*args)
        self.received += len(data)
        return data


@pytest.mark.parametrize("name", those_that(lambda target: echoes(target) and target.capabilities.compression))
def test_compression_is_negotiated_and_messages_are_compressed(name: str) -> None:
    with catalogue.find(name).start(compression="on") as target, CountingSocket() as sock:
        parts = urlsplit(target.url)
        sock.connect((parts.hostname, parts.port))
        with client(target, sock=sock, compression="deflate") as connection:
            assert [extension.name for extension in connection.protocol.extensions] == ["permessage-deflate"]
            for message in ("a" * 50_000, b"b" * 50_000, "grüße"):
                connection.send(message)
                assert connection.recv(scaled(10)) == message
            assert 0 < sock.received < 10_000


@pytest.mark.parametrize("name", those_that(lambda target: target.capabilities.workers))
def test_several_workers_serve_and_nothing_of_them_is_left(name: str) -> None:
    with catalogue.find(name).start(workers=3) as target, ExitStack() as stack:
        for connection in [stack.enter_context(client(target)) for _ in range(12)]:
            if echoes(catalogue.find(name)):
                connection.send("hello")
            assert connection.recv(scaled(10))  # Socket.IO speaks first
        processes = everything_of(target)
        # threads are what those have that are no processes
        assert len(processes) - len(target.children) >= 3 or threads(target) >= 3
        target.stop()
        assert are_gone(processes)
        assert not target.running


def threads(target: RunningTarget) -> int:
    return max(psutil.Process(pid).num_threads() for pid in target.pids)


LACKING = [
    pytest.param(entry.name, settings, marks=pytest.mark.needs(f"target {entry.name}"))
    for entry in catalogue.ENTRIES
    for settings in ({"tls": True}, {"compression": "on"}, {"workers": 2})
    if entry.unsupported(**settings)
]


@pytest.mark.parametrize(("name", "settings"), LACKING)
def test_what_it_lacks_is_refused_before_anything_starts(name: str, settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"{name} has no "):
        catalogue.find(name).start(**settings)
    assert catalogue.find(f"nginx>{name}").unsupported(compression="on") is not None
    assert catalogue.find(f"nginx>{name}").unsupported(tls=True) is None


def test_parameters_of_compression_are_for_the_embedded_target() -> None:
    parameters = "server_max_window_bits=10"
    with (
        catalogue.find("websockets").start(compression=parameters) as target,
        client(target, compression="deflate") as connection,
    ):
        assert connection.protocol.extensions[0].remote_max_window_bits == 10
    assert "takes compression" in (catalogue.find("ws").unsupported(compression=parameters) or "")


@pytest.mark.parametrize("name", params(NAMES))
def test_versions_are_those_of_the_real_thing(name: str) -> None:
    target = catalogue.find(name)
    assert target.missing() is None
    assert len(re.findall(r"\d+\.\d+", target.version())) >= 1 + name.count(">")


# -- ends --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", params(["aiohttp", "ws", "caddy>gorilla", "nginx>uvicorn-wsproto", "granian"]))
def test_it_ends_with_the_program_that_started_it(name: str) -> None:
    program = (
        "import sys, time; from wsbench.targets import catalogue\n"
        f"target = catalogue.find({name!r}).start(workers=2)\n"
        "print(*(child.pid for child in target.children), flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        roots = [psutil.Process(int(pid)) for pid in starter.stdout.readline().split()]
        everybody = [process for root in roots for process in (root, *root.children(recursive=True))]
        assert len(everybody) >= 2
        starter.kill()
        assert are_gone(everybody)


@pytest.mark.needs("target picows")
def test_a_server_does_not_outlive_its_guard() -> None:
    with catalogue.find("picows").start() as target:
        processes = everything_of(target)
        psutil.Process(target.children[0].pid).kill()
        assert are_gone(processes)
        assert target.stop() == -signal.SIGKILL


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pikows", "Did you mean 'picows'?"),
        ("nginx", "'nginx>websockets'"),
        ("nginx>", "There are: websockets, picows"),
        ("ngnix>ws", "there is no proxy 'ngnix' in 'ngnix>ws'\n  Did you mean 'nginx'?"),
        ("nginx>pikows", "there is no target 'pikows' in 'nginx>pikows'"),
        ("picows>nginx", "A proxy needs a server behind it"),
    ],
)
def test_a_name_that_is_none(name: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        catalogue.find(name)
    assert said in str(caught.value)


def test_what_is_missing_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    target = catalogue.find("caddy>gorilla")
    assert target.missing() == "no caddy on PATH and no go on PATH"
    with pytest.raises(TargetError) as caught:
        target.start()
    assert caught.value.exit_code == ExitCode.NOT_MEASURED
    assert "apt-get install caddy && apt-get install golang-go" in caught.value.remedy


def test_room_for_connections_is_known_before_the_start() -> None:
    embedded = catalogue.find("websockets").most_connections()
    proxied = catalogue.find("nginx>websockets").most_connections()
    of_a_process = machine.connections_of_a_process()
    assert embedded is not None and proxied is not None and of_a_process is not None
    assert embedded < of_a_process == catalogue.find("picows").most_connections()
    assert proxied <= of_a_process // 2
    catalogue.find("websockets").check_room(embedded)
    with pytest.raises(UsageError, match=r"target websockets, which wsbench starts, can hold .* and .* are wanted"):
        catalogue.find("websockets").check_room(embedded + 1)
    catalogue.UrlTarget("ws://a.test/").check_room(10**9)


# -- a proxy that drops the upgrade ------------------------------------------------------------------------------------


class BareNginx(Nginx):
    """The configuration of people who did not read on."""

    name = "nginx"
    headers = ""


@pytest.mark.needs("nginx")
def test_a_proxy_that_drops_the_upgrade_is_diagnosed(run_cli: Callable[..., CliResult]) -> None:
    with Proxied(BareNginx(), catalogue.find("websockets")).start() as target:
        result = run_cli("run", target.url, "-u", "1", "-d", "1s")
    assert result.returncode == ExitCode.NOT_MEASURED
    assert "nginx needs proxy_http_version 1.1" in result.stderr
