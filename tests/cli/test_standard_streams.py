"""Standard streams that are closed, full or without a reader change no exit code, and the result is told somewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import process, runs

STORED = process.TESTS / "results" / "version_0_1_0" / "run"
FAILS = ("-u", "1", *runs.QUICK, "--fail-if", "p99 < 1h")  # the gate
COMMANDS = {
    "help": ("--help",),
    "targets": ("targets", "--json"),
    "plan": ("plan", "--connections", "5", "--rate", "5", "--rate-per-process", "100"),
    "export": ("export", str(STORED), "--format", "csv"),
    "report": ("report", str(STORED), "--output", "-"),
    "compare": ("compare", str(STORED), str(STORED), "--anyway"),
}
OWN = {**dict.fromkeys(COMMANDS, 0), "compare": 5}
"""Exit codes of the commands."""
CLOSED, FULL = "{}>&-", "{}>/dev/full"


def wsbench(*arguments: str, redirect: str, cwd: Path) -> tuple[int, str, str]:
    """Run the command with streams redirected by a shell; return its exit code and what arrived on either stream."""
    command = ["sh", "-c", f'exec "$@" {redirect}', "sh", sys.executable, "-m", "wsbench", *arguments]
    limit = process.scaled(60)
    ended = subprocess.run(command, capture_output=True, text=True, timeout=limit, cwd=cwd, check=False)
    assert "Traceback" not in ended.stderr and "internal error" not in ended.stderr, ended.stderr
    return ended.returncode, ended.stdout, ended.stderr


def without_reader(*arguments: str, cwd: Path) -> tuple[int, str]:
    """Run the command with a standard output whose reader has gone; return its exit code and standard error."""
    program = [sys.executable, "-u", "-m", "wsbench", *arguments]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd) as running:
        assert running.stdout is not None
        running.stdout.close()
        running.stdout = None
        err = running.communicate(timeout=process.scaled(60))[1]
    return running.returncode, err


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_is_an_error_where_the_output_is_all_there_is(tmp_path: Path, name: str) -> None:
    code, _, err = wsbench(*COMMANDS[name], redirect=FULL.format(""), cwd=tmp_path)
    assert err.splitlines()[-1] == "wsbench: error: standard output: No space left on device"
    assert code == (OWN[name] or 3)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_reader_that_has_gone_changes_nothing(tmp_path: Path, name: str) -> None:
    code, err = without_reader(*COMMANDS[name], cwd=tmp_path)
    assert err == ""
    assert code == OWN[name]


def test_closed_streams_change_nothing(tmp_path: Path) -> None:
    redirect = " ".join(("<&-", CLOSED.format(""), CLOSED.format(2)))
    assert wsbench(*COMMANDS["plan"], redirect=redirect, cwd=tmp_path) == (0, "", "")
    assert wsbench("serve", "--prot", "1", redirect=redirect, cwd=tmp_path) == (2, "", "")


@pytest.mark.parametrize(
    ("redirect", "said"), [(CLOSED, "it is closed"), (FULL, "No space left on device")], ids=["closed", "full"]
)
@pytest.mark.parametrize("output", [(), ("--json",)], ids=["text", "json"])
def test_a_run_without_standard_output_tells_its_result_on_standard_error(
    tmp_path: Path, redirect: str, said: str, output: tuple[str, ...]
) -> None:
    code, out, err = wsbench("run", *FAILS, *output, "--junit", "junit.xml", redirect=redirect.format(""), cwd=tmp_path)
    directory = runs.only(tmp_path / "results")
    assert (code, out) == (1, ""), err  # the gate's
    assert err.endswith(f"wsbench: standard output: {said}\n  stored: {directory.relative_to(tmp_path)}\n")
    assert (tmp_path / "junit.xml").stat().st_size > 0


@pytest.mark.parametrize("redirect", [CLOSED, FULL], ids=["closed", "full"])
def test_a_run_without_standard_error_tells_its_result_on_standard_output(tmp_path: Path, redirect: str) -> None:
    code, out, err = wsbench("run", *FAILS, redirect=f"{redirect.format(2)} <&-", cwd=tmp_path)
    assert (code, err) == (1, ""), out
    assert runs.only(tmp_path / "results").name in out


def test_a_pipe_that_another_process_made_non_blocking_takes_everything(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    arguments = [sys.executable, "-m", "wsbench", *COMMANDS["report"]]
    with subprocess.Popen(arguments, stdout=writing, stderr=subprocess.PIPE, cwd=tmp_path) as program:
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            content = pipe.read()
        assert program.stderr is not None
        assert program.stderr.read() == b""
    assert program.returncode == 0
    assert content.rstrip().endswith(b"</html>")
