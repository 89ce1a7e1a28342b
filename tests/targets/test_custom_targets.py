"""Servers of the user's own: a command line, or a URL."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest
from websockets.sync.client import connect

from wsbench.errors import TargetError, UsageError
from wsbench.targets.catalogue import CommandTarget, UrlTarget
from wsbench.targets.running import RunningTarget

SERVE = f"{sys.executable} -P -m wsbench serve --port {{port}}"
URL = "ws://127.0.0.1:{port}/echo"


def script(tmp_path: Path, text: str) -> str:
    """A shell script, and the port as its argument."""
    file = tmp_path / "server.sh"
    file.write_text(text)
    return f"sh {file} {{port}}"


def assert_echoes(target: RunningTarget) -> None:
    with connect(target.url, proxy=None) as client:
        client.send("hello")
        assert client.recv(20) == "hello"


def test_a_command_is_given_a_port_and_waited_for() -> None:
    mine = CommandTarget(SERVE, URL, name="mine", version="7")
    assert mine.missing() is None
    with mine.start() as target:
        assert_echoes(target)
        assert (target.name, target.version, target.ca_file) == ("mine", "7", None)
        (pid,) = target.pids
        assert "serve --port" in " ".join(psutil.Process(pid).cmdline())
    assert not psutil.pid_exists(pid)


def test_what_detached_itself_is_stopped_as_well(tmp_path: Path) -> None:
    command = script(tmp_path, f"setsid sleep 600 & echo $! > {tmp_path}/pid; exec {SERVE.replace('{port}', '$1')}")
    with CommandTarget(command, URL).start():
        detached = psutil.Process(int((tmp_path / "pid").read_text()))
        assert detached.is_running()
    assert not detached.is_running()


def test_a_command_that_ends_says_why(tmp_path: Path) -> None:
    with pytest.raises(TargetError) as caught:
        CommandTarget(script(tmp_path, "echo no database >&2; exit 3"), URL, name="mine").start()
    assert caught.value.what == "mine did not start: it ended with exit code 3"
    assert caught.value.remedy == "it wrote: no database"


def test_a_command_that_never_listens_is_given_up(tmp_path: Path) -> None:
    command = script(tmp_path, f"echo thinking; echo $$ > {tmp_path}/pid; exec sleep 600")
    with pytest.raises(TargetError, match=r"accepted no connection on port \d+ within 1 s") as caught:
        CommandTarget(command, URL, start_timeout_s=1.0).start()
    assert caught.value.remedy == "it wrote: thinking"
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


def test_a_port_that_somebody_took_in_between_is_given_up_for_another(tmp_path: Path) -> None:
    once = f"if [ ! -e {tmp_path}/once ]; then echo $1 > {tmp_path}/once; echo 'Address already in use' >&2; exit 1; fi"
    command = script(tmp_path, f"{once}; exec {SERVE.replace('{port}', '$1')}")
    with CommandTarget(command, URL).start() as target:
        assert_echoes(target)
        assert (tmp_path / "once").read_text().strip() not in target.url


def test_a_program_that_is_not_there() -> None:
    mine = CommandTarget("no-such-server {port}", URL)
    assert mine.missing() == "no program no-such-server"
    with pytest.raises(TargetError, match="no program no-such-server"):
        mine.start()


@pytest.mark.parametrize(
    ("command", "url", "said"),
    [
        ("server", URL, "must both contain {port}"),
        ("server {port}", "ws://127.0.0.1:80/", "must both contain {port}"),
        ("", URL, "must both contain {port}"),
        ("server '{port}", URL, "cannot be split"),
        ("server {port}", "http://127.0.0.1:{port}/", "not a WebSocket URL"),
        ("server {port}", "ws://[{port}/", "not a WebSocket URL"),
    ],
)
def test_a_command_that_cannot_work(command: str, url: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        CommandTarget(command, url)
    assert said in caught.value.what


def test_no_capability_is_made_up() -> None:
    mine = CommandTarget(SERVE, URL, name="mine")
    assert mine.unsupported(tls=True) == "mine has no TLS"
    assert mine.unsupported(workers=2) == "mine has no several workers"
    assert mine.unsupported(compression="on") is None


def test_a_url_starts_nothing() -> None:
    with UrlTarget("wss://example.org/ws").start() as target:
        assert (target.url, target.name, target.pids) == ("wss://example.org/ws", "wss://example.org/ws", [])
    with pytest.raises(UsageError, match="not a WebSocket URL"):
        UrlTarget("example.org")
