"""scenarios/mixed.py: sizes, rates and sessions are those of the files, and the server has counted the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import runs
from helpers.process import CliResult
from helpers.runs import EchoTarget

RunCli = Callable[..., CliResult]
SCENARIO = runs.ROOT / "scenarios" / "mixed.py"
QUICK = ("--warmup", "200ms", "-d", "1s", "--quiet", "--scenario", str(SCENARIO))


@pytest.fixture(scope="module")
def target() -> Iterator[EchoTarget]:
    with runs.echo_target() as started:
        yield started


def test_sizes_and_rates_are_drawn_by_their_weights(run_cli: RunCli, tmp_path: Path, target: EchoTarget) -> None:
    weights = {"sizes": {"200": 3, "5000": 1, "70000": 0}, "rates": {"10": 1, "20": 1}}
    (tmp_path / "weights.json").write_text(json.dumps(weights))
    before = target.stats()
    result = run_cli(
        "run", target.url, *QUICK, "-u", "20", "-d", "2s", "--processes", "2", "--set", "weights=weights.json"
    )
    assert result.returncode == 0, result.stderr
    run = runs.read(runs.only(tmp_path / "results"))
    runs.assert_equals_stats(run, before, target.stats())
    count = {name: run["latency"][name]["count"] for name in runs.own(run) if not name.endswith(".service")}
    assert set(count) == {"200B", "5000B"}
    # A schedule is kept whatever the machine does: 20 users of 10 or 20 messages a second, for two seconds.
    assert 20 * 10 * 2 <= sum(count.values()) == run["messages"]["received"] <= 20 * 20 * 2 + 20
    assert 1.5 < count["200B"] / count["5000B"] < 6
    # 40 bytes are the numbers; a message has the size that was drawn, to a few bytes.
    payload = run["bytes"]["payload_sent"]
    assert payload == pytest.approx(200 * count["200B"] + 5000 * count["5000B"], rel=0.05)


def test_a_session_is_played_again_and_again(run_cli: RunCli, tmp_path: Path, target: EchoTarget) -> None:
    steps = [
        {"at_s": 0.0, "send": {"n": 1}, "reply": {"n": 1}, "name": "first"},
        {"at_s": 0.05, "send": "in ü\u2028between"},
        {"at_s": 0.1, "send": {"n": 2}, "reply": None, "name": "second"},
    ]
    lines = [json.dumps(step, ensure_ascii=False).encode() for step in steps]
    (tmp_path / "session.jsonl").write_bytes(b"\xef\xbb\xbf" + b"\r\n\n".join([*lines, b""]))  # as some editors save it
    before = target.stats()
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    result = run_cli("run", target.url, *QUICK, "-u", "3", "--set", "session=session.jsonl", env=ascii_only)
    assert result.returncode == 0, result.stderr
    run = runs.read(runs.only(tmp_path / "results"), echoed=False)
    runs.assert_equals_stats(run, before, target.stats())
    messages, sessions = run["messages_all_phases"], run["counters"]["sessions"]
    assert messages["lost"] == 0 and 3 * sessions <= messages["sent"] <= 3 * (sessions + 3)
    assert {"first", "second"} <= set(runs.own(run))
    # It lasts a tenth of a second by its file: three users cannot have played it more than thirty times in a second.
    assert 0 < run["latency"]["first"]["count"] <= 33


def test_a_file_that_is_not_there_is_the_scenarios_fault(run_cli: RunCli, tmp_path: Path, target: EchoTarget) -> None:
    result = run_cli("run", target.url, *QUICK, "-u", "2", "--set", "weights=none.json", "--quiet")
    runs.assert_error(result, 3, "none.json")  # nothing was measured, and that is no success
