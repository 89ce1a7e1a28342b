"""Starting and stopping targets as a program would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from websockets.sync.client import connect

from wsbench.errors import ExitCode, Side, TargetError
from wsbench.targets.echo.delays import Stall
from wsbench.targets.embedded import EmbeddedTarget


def test_what_it_says_of_the_target(target: EmbeddedTarget) -> None:
    assert target.url.startswith("ws://127.0.0.1:") and target.url.endswith("/echo")
    assert target.ca_file is None
    assert target.name == "websockets"
    assert target.version == target.stats()["version"]
    assert target.running
    assert psutil.pid_exists(target.pid)


def test_leaving_it_stops_the_target() -> None:
    with EmbeddedTarget.start() as target:
        pid = target.pid
    assert not psutil.pid_exists(pid)
    assert target.stop() == target.stop() == 0
    with pytest.raises(TargetError, match="ended with exit code 0"):
        target.stats()


def test_all_options_reach_it(start_target: Callable[..., EmbeddedTarget], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSBENCH_TLS", "1")  # an option of the command the user called, not of what it starts
    monkeypatch.setenv("WSBENCH_PORT", "nonsense")
    target = start_target(
        compression="client_max_window_bits=9",
        workers=2,
        delay_ns=1,
        jitter_ns=123_456_789,
        stall=Stall(1_500, 2_000_000),
    )
    arguments = " ".join(psutil.Process(target.pid).cmdline())
    assert "--compression client_max_window_bits=9" in arguments
    assert "--delay 1ns --delay-jitter 123456789ns --stall 1500ns every 2000000ns" in arguments
    assert target.stats()["processes"] == 2
    assert target.url.startswith("ws://")


def test_it_does_not_hear_the_terminal(target: EmbeddedTarget) -> None:
    assert os.getsid(target.pid) == target.pid != os.getsid(0)


def test_a_target_that_does_not_start_says_why() -> None:
    with pytest.raises(TargetError) as caught:
        EmbeddedTarget.start(compression="maximum")
    assert "did not start: it ended with exit code 2" in caught.value.what
    assert "'maximum' is no parameter of permessage-deflate" in caught.value.remedy
    assert (caught.value.side, caught.value.exit_code) == (Side.TARGET, ExitCode.NOT_MEASURED)


def scripted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str) -> None:
    """Have a Python script run instead of the echo target."""
    file = tmp_path / "target.py"
    file.write_text(textwrap.dedent(script))
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{file}"\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))


def test_a_target_that_says_nothing_is_given_up_and_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scripted(
        monkeypatch,
        tmp_path,
        f"""
        import os, signal, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open({str(tmp_path / "pid")!r}, "w").write(str(os.getpid()))
        print("thinking", file=sys.stderr, flush=True)
        time.sleep(600)
        """,
    )
    with pytest.raises(TargetError, match=r"not ready after 1 s") as caught:
        EmbeddedTarget.start(start_timeout_s=1.0, stop_timeout_s=0.2)
    assert caught.value.remedy == "it wrote: thinking"
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


def test_a_target_that_says_something_else_is_not_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scripted(monkeypatch, tmp_path, "print('hello', flush=True); input()")
    with pytest.raises(TargetError, match="printed 'hello' instead of 'listening on URL'"):
        EmbeddedTarget.start()


def test_stop_kills_what_does_not_end_with_its_workers(start_target: Callable[..., EmbeddedTarget]) -> None:
    target = start_target(workers=2)
    everybody = [psutil.Process(target.pid), *psutil.Process(target.pid).children()]
    for one in everybody:
        one.suspend()
    assert target.stop(timeout=0.3) == -signal.SIGKILL
    assert psutil.wait_procs(everybody, timeout=20)[1] == []


def test_it_ends_with_the_program_that_started_it() -> None:
    program = (
        "import sys, time; from wsbench.targets.embedded import EmbeddedTarget\n"
        "target = EmbeddedTarget.start(workers=2)\n"
        "print(target.pid, target.url, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid, url = starter.stdout.readline().split()
        everybody = [psutil.Process(int(pid)), *psutil.Process(int(pid)).children()]
        with connect(url) as client:
            starter.kill()
            deadline = time.monotonic() + 20
            while any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in everybody):
                assert time.monotonic() < deadline, "the target outlived its starter"
                time.sleep(0.02)
    assert client.close_code == 1001
