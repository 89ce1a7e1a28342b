"""`wsbench serve` as a program: its one line, its errors, its exit codes."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from wsbench.cli.serve import _print_listening
from wsbench.targets.echo.serve_options import Listening

Program = subprocess.Popen[str]


def serve(*arguments: str, **environment: str) -> Program:
    return subprocess.Popen(
        [sys.executable, "-m", "wsbench", "serve", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **environment},
        process_group=0,
    )


@contextlib.contextmanager
def serving(*arguments: str, **environment: str) -> Iterator[tuple[Program, str]]:
    """The program, and the line with which it says that it is ready."""
    with serve(*arguments, **environment) as program:
        try:
            assert program.stdout is not None
            with selectors.DefaultSelector() as selector:
                selector.register(program.stdout, selectors.EVENT_READ)
                assert selector.select(60), "not ready after a minute"
            yield program, program.stdout.readline()
        finally:
            program.terminate()  # in order: a killed one leaves its CA file behind
            try:
                program.wait(20)
            except subprocess.TimeoutExpired:
                program.kill()


def failing(*arguments: str, **environment: str) -> tuple[int, str]:
    """Exit code and standard error of a call that is expected not to serve; standard output must be empty."""
    with serve(*arguments, **environment) as program:
        try:
            out, err = program.communicate(timeout=20)
        finally:
            program.kill()
    assert out == ""
    assert "Traceback" not in err
    assert 1 <= err.count("\n") <= 2, err
    return program.returncode, err


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_one_line_when_ready_and_a_clean_end(signum: signal.Signals, workers: str) -> None:
    with serving("--port", "0", "--workers", workers) as (program, line):
        match = re.fullmatch(r"listening on (ws://127\.0\.0\.1:\d+/echo)\n", line)
        assert match is not None
        with connect(match[1]) as client:
            client.send("hello")
            assert client.recv(timeout=20) == "hello"
            os.killpg(program.pid, signum)  # as a terminal does
            with pytest.raises(ConnectionClosed) as caught:
                client.recv(timeout=20)
        assert caught.value.rcvd is not None and caught.value.rcvd.code == 1001
        assert program.communicate(timeout=60) == ("", "")
    assert program.returncode == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_hang_up_that_is_ignored_ends_nothing(workers: str) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does; a child inherits it
    try:
        with serving("--port", "0", "--workers", workers) as (program, line):
            os.killpg(program.pid, signal.SIGHUP)
            with connect(line.split()[2]) as client:
                client.send("still here")
                assert client.recv(timeout=20) == "still here"
    finally:
        signal.signal(signal.SIGHUP, before)
    assert program.returncode == 0


def test_the_authority_is_on_the_same_line() -> None:
    with serving("--port", "0", "--tls") as (_, line):
        assert re.fullmatch(r"listening on wss://127\.0\.0\.1:\d+/echo \(CA: /.*/ca\.pem\)\n", line)


def test_ipv6_is_in_brackets() -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    with serving("--port", "0", "--host", "::1", "--workers", "2") as (program, line):
        if not line:
            pytest.skip("this machine has no IPv6 loopback")
        match = re.fullmatch(r"listening on (ws://\[::1\]:\d+/echo)\n", line)
        assert match is not None
        with connect(match[1]) as client:
            client.send("six")
            assert client.recv(timeout=20) == "six"
        program.terminate()
        assert program.communicate(timeout=60) == ("", "")  # loopback, so no note on who can reach it


def test_options_from_the_environment() -> None:
    with serving(WSBENCH_PORT="0", WSBENCH_WORKERS="1", WSBENCH_DELAY="1ms", WSBENCH_TLS="true") as (_, line):
        assert line.startswith("listening on wss://127.0.0.1:")
    with serving("--port", "0", WSBENCH_ALLOW_ORIGIN="https://a.example\nhttps://b.example") as (_, line):
        url = line.split()[-1]
        with connect(url, origin=Origin("https://b.example")):
            pass
        with pytest.raises(InvalidStatus), connect(url, origin=Origin("https://c.example")):
            pass
    code, err = failing("--port", "0", WSBENCH_WORKERS="many")
    assert code == 2
    assert "(from the environment: WSBENCH_WORKERS)" in err
    code, err = failing("--port", "0", WSBENCH_DELAY_JITTER="often")
    assert code == 2
    assert "'often' is not a duration" in err and "WSBENCH_DELAY_JITTER" in err


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("other_shares", [False, True])
def test_a_port_that_is_taken(workers: str, other_shares: bool) -> None:
    with socket.socket() as other:
        if other_shares:  # as another target with workers would
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, err = failing("--port", str(port), "--workers", workers)
    assert code == 2
    assert err == (
        f"wsbench: error: port {port} of 127.0.0.1 is in use by another program\n"
        "  stop it, or take a free port: --port 0\n"
    )


def test_the_port_can_be_taken_again_at_once() -> None:
    """Connections of the run before linger in TIME_WAIT."""
    with serving("--port", "0") as (program, line):
        port = line.rpartition(":")[2].partition("/")[0]
        with connect(f"ws://127.0.0.1:{port}/echo"):
            program.terminate()
            program.wait(60)
    for workers in ("2", "1"):
        with serving("--port", port, "--workers", workers) as (_, line):
            assert f":{port}/" in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--host", "no.such.host.invalid"], "host 'no.such.host.invalid' is unknown"),
        (["--host", "192.0.2.1"], "host 192.0.2.1 is not an address of this machine"),
        (["--port", "70000"], "'--port'"),
        (["--workers", "0"], "'--workers'"),
        (["--delay", "soon"], "'soon' is not a duration: use for example 10s, 250ms or 1m30s"),
        (["--stall", "5s"], "'5s' is not a stall: use for example '1s every 5s'"),
        (["--stall", "5s every 1s"], "shorter than its period"),
        (["--compression", "gzip"], "'gzip' is no parameter of permessage-deflate"),
        (["--max-size", "0"], "'0' must be larger than zero"),
        (["--max-size", "much"], "'much' is not a size in bytes"),
        (["--max-connections", "0"], "'--max-connections'"),
        (["--max-buffered", "1.5G"], "'1.5G' is not a size"),
        (["--handshake-timeout", "0"], "must be longer than zero"),
        (["--write-timeout", "never"], "'never' is not a duration"),
        (["--allow-origin", "app.example"], "'app.example' is not an origin: use only scheme, host and port"),
        (["--allow-origin", "https://app.example/path"], "is not an origin"),
        (["--cert", "cert.pem"], "no effect without --tls"),
        (["--tls", "--cert", "cert.pem"], "--cert is given without --key"),
        (["--tls", "--cert", "cert.pem", "--key", "key.pem"], "--cert cert.pem cannot be read: No such file"),
        (["--worker", "2"], "No such option"),
        (["--exit-with-parent"], "needs a pipe as standard input"),
        (["surplus"], "surplus"),
    ],
)
def test_wrong_usage_is_said_in_two_lines_at_most(arguments: list[str], said: str) -> None:
    code, err = failing("--port", "0", *arguments)
    assert code == 2
    assert err.startswith("wsbench: error: ")
    assert said in err


def test_a_lost_worker_is_said_and_exits_with_3() -> None:
    with serving("--port", "0", "--workers", "2") as (program, _):
        with open(f"/proc/{program.pid}/task/{program.pid}/children") as file:  # noqa: PTH123
            worker = int(file.read().split()[0])
        os.kill(worker, signal.SIGKILL)
        _, err = program.communicate(timeout=60)
    assert program.returncode == 3
    assert err.startswith("wsbench: error: worker 1 of the echo target")
    assert err.count("\n") == 1


def test_the_limit_of_open_files_is_raised() -> None:
    limit = (
        "import os, resource, sys; hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'wsbench', 'serve', '--port', '0'])"
    )
    with subprocess.Popen([sys.executable, "-c", limit], stdout=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None and program.stdout.readline()
            with open(f"/proc/{program.pid}/limits") as file:  # noqa: PTH123
                (line,) = (line for line in file if line.startswith("Max open files"))
        finally:
            program.terminate()
    soft, hard = line.split()[3:5]
    assert soft == hard


def test_that_others_can_connect_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Unlike the rest by a call: tests listen on loopback alone."""
    _print_listening(Listening("ws://0.0.0.0:1/echo", None, loopback=False))
    said = capsys.readouterr()
    assert said.out == "listening on ws://0.0.0.0:1/echo\n"
    assert said.err == "wsbench: note: reachable from other machines, and there is no authentication\n"


def test_help_names_paths_and_options() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "wsbench", "serve", "-h"], capture_output=True, text=True, timeout=60, check=True
    )
    for word in ("--max-size", "--max-connections", "--max-buffered", "--handshake-timeout", "--write-timeout"):
        assert word in done.stdout
    for word in (
        "--allow-origin",
        "--host",
        "--delay-jitter",
        "'T every T'",
        "/broadcast",
        "/push?rate=R&size=B",
        "/stats",
        "/healthz",
    ):
        assert word in done.stdout
    assert "--exit-with-parent" not in done.stdout
