"""`wsbench matrix`, with real targets: a whole experiment, an interrupted one, targets that fail, wrong usage."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import process
from helpers.process import CliResult

from wsbench.results import experiment_result, run_result
from wsbench.results.experiment_result import DONE, FAILED, PENDING, Experiment
from wsbench.results.run_result import Run
from wsbench.targets.embedded import EmbeddedTarget

Cli = Callable[..., CliResult]

SHORT = """
connections = 5
spawn_rate = 500
duration = "500ms"
warmup = "200ms"
drain = "1s"
"""
SERVE = f"{sys.executable} -P -m wsbench serve --port {{port}}"
MINE = f"""
[[target]]
name = "mine"
command = "{SERVE}"
url = "ws://127.0.0.1:{{port}}/echo"
"""
DEAD = f"""
[[target]]
name = "dead"
command = "{sys.executable} -c 'raise SystemExit(\\"no licence for port {{port}}\\")'"
"""

MORTAL = """
import asyncio, os, sys
from websockets.asyncio.server import serve

async def echo(connection):
    asyncio.get_running_loop().call_later(2, os._exit, 3)
    async for message in connection:
        await connection.send(message)

async def main():
    async with serve(echo, "127.0.0.1", int(sys.argv[1])):
        await asyncio.Future()

asyncio.run(main())
"""
"""A server that dies two seconds after its first connection."""
FATAL = """
import socket, sys

with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
    server.accept()  # wsbench, which waits for that
    server.accept()
sys.exit(4)
"""
"""One that dies of the first connection."""

SILENT = f"{sys.executable} {process.TESTS}/helpers/wrong_echo.py silent {{port}}"


def own(name: str, url: str) -> str:
    return f"\n[[target]]\nname = '{name}'\nurl = '{url}'\n"


@pytest.fixture
def embedded() -> Iterator[str]:
    """URL of an echo target that is not the experiment's to start or to stop."""
    with EmbeddedTarget.start() as target:
        yield target.url


def write(tmp_path: Path, text: str, *, settings: str = SHORT) -> str:
    file = tmp_path / "sample.toml"
    head, table, rest = text.partition("[[target]]")
    file.write_text(f"{head}{settings}{table}{rest}")
    return str(file)


def only_experiment(tmp_path: Path) -> Path:
    (found,) = (tmp_path / "results").glob("*-sample*")
    return found


def stored(tmp_path: Path) -> tuple[Experiment, dict[str, list[Run]]]:
    """The experiment, and by cell the results of the runs that are done."""
    where = only_experiment(tmp_path)
    experiment = experiment_result.load(where)
    runs = {
        cell.key: [run_result.load(where / run.run) for run in cell.runs if run.status == DONE and run.run]
        for cell in experiment.cells
    }
    return experiment, runs


@pytest.mark.needs("picows")
@pytest.mark.timeout(240)
def test_interrupted_in_the_middle_and_resumed(tmp_path: Path, run_cli: Cli) -> None:
    """ws and wss, with and without compression, which picows lacks; Ctrl-C in the third of six runs."""
    file = write(
        tmp_path, "targets = ['picows', 'websockets']\ntransport = ['ws', 'wss']\ncompression = ['off', 'on']\n"
    )
    running = process.start_cli("matrix", file, "--repetitions=1", "--seed=5", cwd=tmp_path)
    running.wait_for(r"^\[3 of 6, about \S+ left\] ", timeout=60)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does; nobody but wsbench itself is in the group
    broken_off = running.finish()
    assert broken_off.returncode == 130, broken_off.stderr
    process.no_leftovers(broken_off)
    where = only_experiment(tmp_path)
    assert f"2 of 6 runs are done; to go on:\n  wsbench matrix --resume results/{where.name}\n" in broken_off.stderr
    before, made = stored(tmp_path)
    assert not before.complete
    assert sum(map(len, made.values())) == 2
    assert broken_off.stdout.count("not run yet") == 4

    resumed = run_cli("matrix", file, "--resume", timeout=120)
    assert resumed.returncode == 0, resumed.stderr
    process.no_leftovers(resumed)
    assert "[3 of 6, about" in resumed.stderr
    assert "[2 of 6, about" not in resumed.stderr
    after, runs = stored(tmp_path)
    assert after.complete
    assert [(cell.key, cell.hole) for cell in after.cells] == [(cell.key, cell.hole) for cell in before.cells]
    assert [cell.hole for cell in after.cells if cell.hole] == ["picows has no compression"] * 2
    assert len(after.cells) == 8
    for key, before_it in made.items():
        assert [run.id for run in runs[key]][: len(before_it)] == [run.id for run in before_it]
    for cell in after.cells:
        check_run_of(cell, runs[cell.key])
    check_table(resumed.stdout, where)

    assert b"</html>" in (where / "report.html").read_bytes()

    nothing_left = run_cli("matrix", "--resume", f"results/{where.name}", timeout=60)
    assert nothing_left.returncode == 0, nothing_left.stderr
    assert nothing_left.stdout == resumed.stdout


def check_run_of(cell: experiment_result.Cell, runs: list[Run]) -> None:
    """It was made under the cell's conditions, verified, and its target measured along."""
    assert len(runs) == (0 if cell.hole else 1)
    for run in runs:
        assert (run.target.name, run.target.started_by_wsbench) == (cell.target, True)
        assert (run.conditions.tls, run.conditions.compression) == (cell.transport == "wss", cell.compression)
        assert (run.negotiated.compression is not None) == (cell.compression == "on")
        assert (run.conditions.users, run.connections.opened) == (5, 5)
        assert (run.messages_all_phases.lost, run.messages_all_phases.corrupted) == (0, 0)
        assert run.messages.received > 0
        assert run.target.cpu_us_per_message is not None
        assert run.target.bytes_per_connection is not None


def check_table(shown: str, where: Path) -> None:
    assert shown.count("picows has no compression") == 2
    assert shown.count("ws, compression ") + shown.count("wss, compression ") == 2 + 2
    assert "verified: every echo of 6 cells, none lost, none corrupted" in shown
    assert shown.count("× baseline  ") == 2
    assert shown.endswith(f"\nresult: results/{where.name}\nreport: results/{where.name}/report.html\n")


@pytest.mark.timeout(240)
def test_ones_own_servers_and_those_that_fail(tmp_path: Path, run_cli: Cli, embedded: str) -> None:
    """A command of one's own is measured; one that dies at once, or in the run, is recorded, and the rest goes on."""
    mortal = ""
    for name, program in (("brief", MORTAL), ("fatal", FATAL)):
        (tmp_path / f"{name}.py").write_text(program)
        mortal += f"\n[[target]]\nname = '{name}'\ncommand = '{sys.executable} {tmp_path}/{name}.py {{port}}'\n"
    elsewhere = own("elsewhere", embedded) + own("refusing", embedded.replace("/echo", "/healthz"))
    elsewhere += f"\n[[target]]\nname = 'silent'\ncommand = '{SILENT}'\n"
    settings = "repetitions = 1\n" + SHORT.replace("500ms", "3s")
    file = write(tmp_path, MINE + DEAD + mortal + elsewhere, settings=settings)
    ended = run_cli("matrix", file, timeout=120)
    assert ended.returncode == 3, ended.stderr
    process.no_leftovers(ended)
    experiment, runs = stored(tmp_path)
    assert experiment.complete
    assert experiment.baseline == "mine"
    made = {cell.target: cell.runs[0] for cell in experiment.cells}
    assert {name: run.status for name, run in made.items()} == {
        "mine": DONE,
        "dead": FAILED,
        "brief": FAILED,
        "fatal": FAILED,
        "elsewhere": DONE,
        "refusing": FAILED,
        "silent": FAILED,
    }
    assert "no licence for port" in (made["dead"].reason or "")
    assert "target brief died in the run: brief ended with exit code 3" in (made["brief"].reason or "")
    assert "target fatal died in the run: fatal ended with exit code 4" in (made["fatal"].reason or "")
    assert run_result.load(only_experiment(tmp_path) / str(made["brief"].run)).connections.dropped > 0
    assert "answered 200 OK to the upgrade" in (made["refusing"].reason or "")
    assert re.search(r"not one of \d+ messages was answered", made["silent"].reason or "")
    by_target = {cell.target: runs[cell.key] for cell in experiment.cells}
    (mine,), (elsewhere,) = by_target["mine"], by_target["elsewhere"]
    assert mine.target.cpu_s is not None
    assert (elsewhere.target.started_by_wsbench, elsewhere.target.cpu_s) == (False, None)
    assert ended.stdout.count("– FAILED") == 5
    assert f"5 runs failed; to try again:\n  wsbench matrix --resume results/{experiment.id}" in ended.stderr


def test_nothing_could_be_measured(tmp_path: Path, run_cli: Cli) -> None:
    ended = run_cli("matrix", write(tmp_path, f"repetitions = 2\n{DEAD}"))
    assert ended.returncode == 3
    assert "wsbench: error: nothing could be measured: dead did not start" in ended.stderr
    assert ended.stderr.count("failed: dead ws") == 1  # the second time is no news
    experiment, _ = stored(tmp_path)
    assert [run.status for run in experiment.cells[0].runs] == [FAILED, FAILED]
    assert ended.stdout.count("failed: dead did not start") == 1


@pytest.mark.timeout(180)
def test_json_strict_and_an_environment_that_is_not_the_files(tmp_path: Path, run_cli: Cli) -> None:
    """A closed loop may saturate its generator, an open one may not: nothing keeps up with this rate."""
    file = write(
        tmp_path,
        "targets = ['websockets']\nload = [{ in_flight = 2 }, { rate = 150000 }]\nseed = 8\n",
        # Long enough that even a slow generator comes to the messages of the measure phase.
        settings=SHORT.replace('"1s"', '"20s"').replace('"200ms"', '"50ms"').replace('"500ms"', '"1s"'),
    )
    arguments = ("matrix", file, "--repetitions=1", "--strict", "--json", "--name=sample-strict")
    ended = run_cli(*arguments, env={"WSBENCH_RATE": "10", "WSBENCH_DURATION": "9s"}, timeout=120)
    assert ended.returncode == 4, ended.stderr
    document: dict[str, Any] = ended.json()
    where = only_experiment(tmp_path)
    assert document["path"] == f"results/{where.name}"
    assert where.name.endswith("-sample-strict")
    assert (document["schema"], document["seed"], document["complete"]) == (1, 8, True)
    in_file = json.loads((where / experiment_result.EXPERIMENT_FILE).read_text())
    overviews = [cell.pop("overview") for cell in document["cells"]]
    assert document == {**in_file, "path": document["path"]}
    assert [each["figures"]["throughput_per_s"]["value"] >= 0 for each in overviews] == [True, True]
    assert overviews[0]["figures"]["throughput_per_s"]["value"] > 0
    assert (where / experiment_result.TOML_FILE).read_text() == Path(file).read_text()
    _, runs = stored(tmp_path)
    (closed,), (opened,) = runs.values()
    assert (closed.conditions.loop, closed.conditions.in_flight, closed.conditions.rate) == ("closed", 2, None)
    assert (opened.conditions.loop, opened.conditions.rate) == ("open", 150000.0)
    assert closed.conditions.duration_ns < 2e9
    assert opened.generator.verdict != "ok"
    assert "verified:" in ended.stderr


def test_a_terminal_without_such_signs(tmp_path: Path, run_cli: Cli) -> None:
    """Nothing of a table is worth ending in a traceback."""
    ended = run_cli("matrix", write(tmp_path, f"repetitions = 1\n{DEAD}"), env={"PYTHONIOENCODING": "ascii"})
    assert ended.returncode == 3
    assert "dead                - FAILED" in ended.stdout


def test_quiet_says_nothing(tmp_path: Path, run_cli: Cli) -> None:
    ended = run_cli("matrix", write(tmp_path, "targets = ['websockets']\nrepetitions = 1\n"), "--quiet")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.timeout(180)
def test_an_interrupted_run_is_saved_but_does_not_count(tmp_path: Path, embedded: str) -> None:
    settings = SHORT.replace("500ms", "60s").replace("200ms", "0s")
    running = process.start_cli("matrix", write(tmp_path, own("mine", embedded), settings=settings), cwd=tmp_path)
    deadline = time.monotonic() + process.scaled(30)
    while process.http_json(embedded, "/stats")["messages_in"] < 1000:
        assert time.monotonic() < deadline, running.told()
        time.sleep(0.05)
    running.signal(signal.SIGINT)
    ended = running.finish(30)
    assert ended.returncode == 130, ended.stderr
    assert "0 of 3 runs are done" in ended.stderr
    experiment, _ = stored(tmp_path)
    first, *others = sorted(experiment.cells[0].runs, key=lambda run: run.order)
    assert (first.status, first.reason) == (PENDING, "interrupted")
    assert not run_result.load(only_experiment(tmp_path) / str(first.run)).complete
    assert all((run.status, run.run) == (PENDING, None) for run in others)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_press_that_arrives_twice(tmp_path: Path, number: signal.Signals) -> None:
    """A signal as from timeout(1), to the process and its group, while the target starts or runs."""
    file = write(tmp_path, "targets = ['websockets']\nrepetitions = 2\n", settings=SHORT.replace("500ms", "30s"))
    running = process.start_cli("matrix", file, cwd=tmp_path)
    running.wait_for(r"^\[1 of 2")
    running.signal(number)
    os.killpg(running.pid, number)
    ended = running.finish(30)
    assert ended.returncode == 130, ended.stderr
    assert "0 of 2 runs are done" in ended.stderr
    process.no_leftovers(ended)
    experiment, _ = stored(tmp_path)
    assert not experiment.complete


@pytest.mark.parametrize(
    ("arguments", "text", "said"),
    [
        ((), "", "Missing argument 'FILE'"),
        (("none.toml",), "", "none.toml: No such file"),
        (("sample.toml",), "targets = ['ws']\nrepetition = 1", "sample.toml: repetition: there is no such key"),
        (("sample.toml",), "targets = ['picows']\ncompression = 'on'", "nothing to run: picows has no compression"),
        (
            ("sample.toml",),
            "target = { url = 'wss://localhost/', ca = 'none.pem' }\ntransport = 'wss'",
            "--ca none.pem",
        ),
        (
            ("sample.toml",),
            "targets = ['ws']\nconnections = 1\nload = { rate = '9000k' }",
            "a million messages a second",
        ),
        (("sample.toml",), "targets = ['ws']\nconnections = 9000000", "9,000,000 are wanted"),
        (("sample.toml", "--repetitions=0"), "targets = ['ws']", "--repetitions"),
        (("sample.toml", "--results=sample.toml"), "targets = ['ws']", "--results sample.toml"),
        (("--resume=none",), "", "none"),
        (("--resume",), "", "there is no experiment to resume in results"),
        (("sample.toml", "--resume"), "targets = ['ws']", "there is no experiment to resume in results"),
        (("--resume=.",), "", "no experiment at"),
        (("--resume=.", "--seed=1"), "", "--seed cannot be changed with --resume"),
    ],
)
def test_wrong_usage(tmp_path: Path, run_cli: Cli, arguments: tuple[str, ...], text: str, said: str) -> None:
    (tmp_path / "sample.toml").write_text(text)
    ended = run_cli("matrix", *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "results").exists()


def test_another_file_or_another_machine_cannot_resume(tmp_path: Path, run_cli: Cli) -> None:
    file = write(tmp_path, f"repetitions = 1\n{DEAD}")
    run_cli("matrix", file)
    where = only_experiment(tmp_path)
    Path(file).write_text("targets = ['ws']")
    ended = run_cli("matrix", file, "--resume", str(where))
    assert ended.returncode == 2
    assert f"is not what {where} was started with" in ended.stderr


def test_a_proxy_that_is_not_used_is_said_once_for_a_server(
    tmp_path: Path, run_cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://me:pass-word@p:3128")
    file = write(tmp_path, own("far", "ws://nowhere.invalid/") + MINE, settings=f"{SHORT}payload_size = [64, 128]\n")
    result = run_cli("matrix", file, "--repetitions=1")
    note = (
        "wsbench: note: http_proxy (http://me:***@p:3128) is not used: wsbench connects to nowhere.invalid:80 directly"
    )
    assert [line for line in result.stderr.splitlines() if "proxy" in line] == [note]
