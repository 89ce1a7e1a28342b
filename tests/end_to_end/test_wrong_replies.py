"""The first wrong reply of a kind is kept with how it differs, whatever sent the message and compared the reply."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import process, runs
from helpers.process import CliResult

RunCli = Callable[..., CliResult]
SHORT = ("-u", "2", "-d", "300ms", "--warmup", "100ms", "--timeout", "300ms", "--drain", "100ms")


@pytest.mark.parametrize(
    ("mode", "options", "kind", "difference"),
    [
        ("prefix", ("--processes", "2"), "corrupted", "10 bytes before the message: 'You said: '"),
        ("stringify", ("--request-events", "--in-flight", "4"), "corrupted", "member id is a string, "),
        ("wrap", ("--rate", "100"), "unexpected", "the message wrapped in an object, at data"),
        ("binary", (), "corrupted", "a binary message instead of a text"),
        ("added", ("--payload-file", "own.json"), "unexpected", "one member more: server_ts"),
    ],
)
def test_the_first_wrong_reply_is_kept(
    run_cli: RunCli, tmp_path: Path, mode: str, options: tuple[str, ...], kind: str, difference: str
) -> None:
    (tmp_path / "own.json").write_text('{"text":"a message with a name","number":1}')
    server, url = process.start_server("helpers.wrong_echo", mode)
    try:
        result = run_cli("run", url, *SHORT, *options)
    finally:
        server.stop()
    directory = runs.only(tmp_path / "results")
    [example] = runs.read(directory, echoed=False)["examples"]
    assert example["kind"] == kind and example["difference"].startswith(difference)
    assert example["expected"].startswith("{") and (example["at"] is None) is (mode == "binary")
    assert f"{kind:11}  the first: {difference}" in result.stdout
    assert "Wrong replies" in (directory / "report.html").read_text()
