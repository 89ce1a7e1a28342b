"""The command as a whole: how it finds subcommands, and what it makes of their errors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import click
import pytest

from wsbench import __version__, native
from wsbench.cli import main
from wsbench.cli.params import DURATION, POSITIVE_DURATION, RATE, SIZE
from wsbench.errors import ExitCode, TargetError, UsageError


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=60, check=False)


def wsbench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return python("-m", "wsbench", *arguments)


def test_version_and_help() -> None:
    versions = [wsbench("--version"), wsbench("version")]
    expected = [f"wsbench {__version__}", *([] if native.BUILT else [native.MISSING])]
    assert [shown.stdout.splitlines() for shown in versions] == [expected, expected]
    shown = wsbench("-h")
    assert shown.returncode == 0
    assert all(f"\n  {name} " in shown.stdout for name in main.COMMANDS)


def test_without_a_command_help_is_shown_as_an_error() -> None:
    shown = wsbench()
    assert (shown.returncode, shown.stdout) == (2, "")
    assert shown.stderr == wsbench("--help").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serv"], "wsbench: error: No such command: serv. Did you mean serve?\n"),
        (["bake"], "wsbench: error: No such command: bake. There are: run, serve"),
        (["serve", "--prot", "1"], "--port"),
        (["--verison"], "--version"),
    ],
)
def test_what_was_probably_meant(arguments: list[str], said: str) -> None:
    shown = wsbench(*arguments)
    assert shown.returncode == 2
    assert said in shown.stderr
    assert len(shown.stderr.splitlines()) <= 2


def test_help_imports_no_subcommand() -> None:
    program = "import sys; from wsbench.cli.main import run; run(['--help']); print('wsbench.cli.serve' in sys.modules)"
    assert python("-c", program).stdout.endswith("False\n")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Makes a function the subcommand `try`."""

    def make(function: Callable[[], object]) -> None:
        subcommand = click.command("try")(function)
        monkeypatch.setattr(main.Lazy, "load", lambda _self: subcommand)
        monkeypatch.setitem(main.COMMANDS, "try", main.Lazy("nowhere:command", ""))

    monkeypatch.delenv("WSBENCH_DEBUG", raising=False)
    return make


def raiser(error: BaseException) -> Callable[[], None]:
    def function() -> None:
        raise error

    return function


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UsageError("no such file", remedy="look again"), 2, "wsbench: error: no such file\n  look again\n"),
        (TargetError("it is down"), 3, "wsbench: error: it is down\n"),
        (
            click.BadParameter("7 is odd"),
            2,
            "wsbench: error: Invalid value: 7 is odd\n  wsbench try --help says more\n",
        ),
        (click.ClickException("a long " + "word " * 100), 2, "wsbench: error: a long " + "word " * 100 + "\n"),
        (click.Abort(), 130, "wsbench: error: interrupted\n"),
        (click.exceptions.Exit(5), 5, ""),
        (
            ZeroDivisionError("by\nzero"),
            3,
            "wsbench: internal error: ZeroDivisionError: by zero (run again with --debug for the traceback)\n",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_error_has_its_text_and_code(
    command: Callable[[Callable[[], object]], None],
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    said: str,
) -> None:
    command(raiser(error))
    assert main.run(["try"]) == code
    assert capsys.readouterr() == ("", said)


def test_an_interrupt(command: Callable[[Callable[[], object]], None], capsys: pytest.CaptureFixture[str]) -> None:
    command(raiser(KeyboardInterrupt()))
    assert main.run(["try"]) == 130
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("module", ["click", "psutil", "wsbench.cli.plan"])
def test_an_interrupt_while_modules_are_imported(module: str) -> None:
    program = f"""
import runpy, signal, sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
sys.argv = ["wsbench", "plan", "--connections", "1", "--rate", "1", "--rate-per-process", "1"]
runpy.run_module("wsbench", run_name="__main__")
"""
    shown = python("-c", program)
    assert shown.returncode == 130, shown.stderr
    assert shown.stdout == "" and "Traceback" not in shown.stderr


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (ExitCode.GATE_FAILED, 1), (4, 4)])
def test_a_command_returns_its_exit_code(
    command: Callable[[Callable[[], object]], None], returned: int | None, code: int
) -> None:
    command(lambda: returned)
    assert main.run(["try"]) == code


@pytest.mark.parametrize("arguments", [["--debug", "try"], ["try", "--debug"]])
def test_debug_shows_the_traceback(
    command: Callable[[Callable[[], object]], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
) -> None:
    monkeypatch.setenv("WSBENCH_DEBUG", "0")
    command(raiser(ZeroDivisionError("by zero")))
    assert main.run(["try"]) == 3
    assert "Traceback" not in capsys.readouterr().err
    assert main.run(arguments) == 3
    err = capsys.readouterr().err
    assert "Traceback" in err and err.endswith("wsbench: internal error: ZeroDivisionError: by zero\n")


def test_debug_from_the_environment(
    command: Callable[[Callable[[], object]], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WSBENCH_DEBUG", "true")
    command(raiser(UsageError("no such file")))
    assert main.run(["try"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [(DURATION, "250ms", 250_000_000), (DURATION, "0", 0), (POSITIVE_DURATION, "1s", 10**9), (SIZE, "64k", 64_000),
     (RATE, "2.5k/s", 2500.0)],
)  # fmt: skip
def test_values_are_parsed(kind: click.ParamType, text: str, value: float) -> None:  # type: ignore[type-arg]
    assert kind.convert(text, None, None) == value
    assert kind.convert(value, None, None) == value  # a default


@pytest.mark.parametrize(("kind", "text"), [(DURATION, "soon"), (POSITIVE_DURATION, "0"), (SIZE, "big"), (RATE, "0")])
def test_values_that_make_no_sense(kind: click.ParamType, text: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(click.BadParameter, match=f"'{text}'"):
        kind.convert(text, None, None)
