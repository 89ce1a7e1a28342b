"""The progress that `wsbench run` shows: on a terminal (a pseudo-terminal, with a real run in it) and elsewhere."""

from __future__ import annotations

import os
import pty
import re
import struct
import sys
import termios
from collections.abc import Iterator
from fcntl import ioctl
from pathlib import Path

import pytest
from helpers import runs
from helpers.process import CliResult, run_cli
from helpers.runs import EchoTarget

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture(scope="module")
def target() -> Iterator[EchoTarget]:
    with runs.echo_target() as target:
        yield target


def _plain(written: str) -> str:
    """Without colours, and with a new line wherever the cursor is moved."""
    return CONTROL.sub("\n", COLOUR.sub("", written))


def on_a_terminal(*args: str, cwd: Path, columns: int = 80, **environment: str) -> tuple[int, str]:
    """Exit code and all that `wsbench ARGS` wrote to the terminal that it was given."""
    pid, terminal = pty.fork()
    if pid == 0:  # no line of this process's own may run in the child but exec
        try:
            ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            os.chdir(cwd)
            kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
            command = [sys.executable, "-m", "wsbench", *args]
            os.execve(sys.executable, command, {**kept, "TERM": "xterm-256color", **environment})
        finally:
            os._exit(127)
    written = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # how a terminal says that nobody has it open any more
            piece = b""
        if not piece:
            break
        written += piece
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), written.decode()


def test_a_terminal_is_kept_current_once_a_second(target: EchoTarget, tmp_path: Path) -> None:
    options = ("-u", "4", "--rate", "200", "--warmup", "1s", "-d", "3s")
    code, written = on_a_terminal("run", target.url, *options, cwd=tmp_path)
    assert code == 0
    drawn = re.findall(r"(?m)^.*?(\w+) +(?:(\d+s) left +)?4 of 4 connections", _plain(written))
    phases = [phase for phase, _ in drawn]
    assert phases == sorted(phases, key=["ramp", "warmup", "measure", "drain"].index)
    assert {"warmup", "measure"} <= set(phases)
    left = [int(seconds[:-1]) for phase, seconds in drawn if phase == "measure" and seconds]
    assert left == sorted(left, reverse=True) and max(left) <= 3
    # one drawing a second, and one more a phase: not twelve a second
    assert len(drawn) <= 20
    last = CONTROL.sub("", written)
    assert re.search(
        r"\d+ replies/s   p50 +[\d.]+ .?s   p99 +[\d.]+ .?s   0 errors   generator (ok|late|saturated)", last
    )
    assert "\x1b[?25l" in written and written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")  # the cursor is back
    assert "throughput" in written.rpartition("\x1b[?25h")[2]  # the summary is below
    assert COLOUR.search(written)


def test_no_color_and_a_narrow_terminal(target: EchoTarget, tmp_path: Path) -> None:
    options = ("-u", "2", "--rate", "100", "--warmup", "0s", "-d", "1500ms")
    code, written = on_a_terminal("run", target.url, *options, cwd=tmp_path, columns=40, NO_COLOR="1")
    assert code == 0
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m|\x1b\[[0-9;]*38;", written)  # bold is no colour
    during = _plain(written.rpartition("\x1b[?25h")[0])
    drawn = during[during.rindex("starting") :].splitlines()  # what stands before is said once, and wraps
    assert any("2 of 2" in line for line in drawn)
    assert max(len(line) for line in drawn) <= 40, drawn


@pytest.mark.parametrize("environment", [{}, {"FORCE_COLOR": "1"}, {"CI": "true", "TERM": "dumb"}])
def test_elsewhere_there_is_a_plain_line_a_phase(
    target: EchoTarget, tmp_path: Path, environment: dict[str, str]
) -> None:
    options = ("-u", "2", "--rate", "100", "--warmup", "500ms", "-d", "1500ms")
    result: CliResult = run_cli("run", target.url, *options, cwd=tmp_path, env=environment)
    assert result.returncode == 0 and "\x1b" not in result.stderr + result.stdout
    phases = [line.split(":")[0].split(",")[0] for line in result.stderr.splitlines()[1:]]
    assert phases == list(dict.fromkeys(phases)) and "measure" in phases


def test_a_dumb_terminal_gets_plain_lines(target: EchoTarget, tmp_path: Path) -> None:
    options = ("-u", "2", "--rate", "100", "--warmup", "0s", "-d", "1s")
    code, written = on_a_terminal("run", target.url, *options, cwd=tmp_path, TERM="dumb")
    assert code == 0 and "\x1b" not in written and "measure" in written


def test_quiet_says_nothing(target: EchoTarget, tmp_path: Path) -> None:
    result = run_cli("run", target.url, "-u", "1", "-d", "1s", "--warmup", "0s", "--quiet", cwd=tmp_path)
    assert result.stderr == result.stdout == ""
