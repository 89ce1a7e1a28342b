"""Faults of a scenario: the run ends within its time all the same, with an exit code and the cause."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import process, runs
from helpers.process import CliResult
from helpers.runs import Document, EchoTarget

RunCli = Callable[..., CliResult]

FILES = Path(process.TESTS, "helpers", "locustfiles")
QUICK = ("--warmup", "200ms", "-d", "1s", "--drain", "1s", "--quiet")


@pytest.fixture(scope="module")
def target() -> Iterator[EchoTarget]:
    with runs.echo_target() as started:
        yield started


def example(run: Document, kind: str) -> str:
    """Return the example of one kind of error."""
    [found] = [error["example"] for error in run["errors"] if error["kind"] == kind]
    assert isinstance(found, str)
    return found


def test_values_of_the_wrong_kind_are_refused_where_they_are_given(
    run_cli: RunCli, tmp_path: Path, target: EchoTarget
) -> None:
    scenario = FILES / "wrong_values.py"
    result = run_cli("run", target.url, "--scenario", str(scenario), "-u", "4", "--processes", "2", *QUICK)
    assert result.returncode == 0, result.stderr
    run = runs.read(runs.only(tmp_path / "results"), echoed=False)
    assert run["counters"] == dict.fromkeys((f"refused_{name}" for name in _wrong_values(scenario)), 4)
    # The first user of each worker raises once, in its task: that costs the task and nothing else.
    assert [(error["kind"], error["count"]) for error in run["errors"]] == [("scenario", 2)]
    assert "count 0.5: a counter takes whole numbers" in example(run, "scenario")
    assert "(wrong_values.py, line" in example(run, "scenario")
    assert run["messages"]["lost"] == 0 and run["latency"]["ask"]["count"] > 20
    assert run["latency"]["rounded"]["count"] == 4 and run["latency"]["rounded"]["max_ns"] // 1000 == 2500
    assert run["latency"]["parts.first"]["count"] == 2, "the keys are the same in both workers"


def test_a_name_that_gates_read_as_a_figure_is_an_error_of_the_scenario(
    run_cli: RunCli, tmp_path: Path, target: EchoTarget
) -> None:
    scenario = ("--scenario", str(FILES / "naming.py"), "--set", "counter=errors")
    result = run_cli("run", target.url, *scenario, "-u", "2", *QUICK, "--fail-if", "errors > 0")
    assert result.returncode == 1, result.stderr
    run = runs.read(runs.only(tmp_path / "results"), echoed=False)
    assert run["counters"] == {} and [gate["failed"] for gate in run["gates"]] == [True]
    assert "'errors' is a figure in gates, use another (naming.py, line 24, in ask)" in example(run, "scenario")


def test_gates_by_phase_add_up_to_those_of_the_whole_run(run_cli: RunCli, tmp_path: Path, target: EchoTarget) -> None:
    scenario = ("--scenario", str(FILES / "naming.py"), "--set", "counter=seen.so-far")
    figures = ("errors", "corrupted", "sent", "ask.count", "ask.errors", "seen.so-far")
    scopes = ("", "ramp.", "warmup.", "measure.", "drain.")
    gates = [f"{scope}{figure} < 0" for figure in figures for scope in scopes]
    options = [argument for gate in gates for argument in ("--fail-if", gate)]
    result = run_cli("run", target.url, *scenario, "-u", "4", "--processes", "2", *QUICK, *options)
    assert result.returncode == 0, result.stderr
    run = runs.read(runs.only(tmp_path / "results"), echoed=False)
    values = {gate["expression"]: int(gate["value"].replace(",", "")) for gate in run["gates"]}
    assert list(values) == gates
    for figure in figures:
        whole, *parts = (values[f"{scope}{figure} < 0"] for scope in scopes)
        assert whole == sum(parts) > 0 and parts[2] > 0, figure
    assert values["errors < 0"] == values["ask.errors < 0"] == values["corrupted < 0"] == run["whole_run"]["errors"]
    assert values["seen.so-far < 0"] == run["counters"]["seen.so-far"]
    assert values["measure.ask.count < 0"] == run["latency"]["ask"]["count"]


def test_names_with_any_characters_are_in_gates_and_files(run_cli: RunCli, tmp_path: Path, target: EchoTarget) -> None:
    name = 'GET /api?a=1, "ü|x'
    scenario = ("--scenario", str(FILES / "naming.py"), "--set", f"series={name}", "--set", "counter=/seen now")
    quoted = name.replace('"', '\\"')
    gates = (f'"{quoted}".p99 > 1m', '"/seen now" < 1', f'"{quoted}".errors < 1')
    result = run_cli("run", target.url, *scenario, "-u", "2", *QUICK, *(f"--fail-if={gate}" for gate in gates))
    assert result.returncode == 0, result.stderr
    directory = runs.only(tmp_path / "results")
    run = runs.read(directory, echoed=False)
    assert runs.own(run) == [name] and run["counters"]["/seen now"] > 10
    assert (directory / "GET%20%2Fapi%3Fa%3D1%2C%20%22%C3%BC%7Cx.hgrm").is_file()
    exported = run_cli("export", str(directory), "--format", "csv", "--series", name)
    assert exported.returncode == 0 and len(exported.stdout.splitlines()) > 2, exported.stderr


def _wrong_values(scenario: Path) -> list[str]:
    text = scenario.read_text()
    return [line.split('"')[1] for line in text.splitlines() if ": lambda user:" in line]


# -- exceptions --------------------------------------------------------------------------------------------------------

HEAD = """
import sys, time
from itertools import count
from locust import HttpUser, LoadTestShape, User, constant, events, task
from wsbench import WebSocketUser

class Asking(WebSocketUser):
    abstract = True
    wait_time = constant(0.02)
    ids = count(1)
    def ask(self):
        number = next(self.ids)
        return self.ws.request({"n": number}, match={"n": number}, name="ask")
"""
ASKS = """
    @task
    def t(self):
        self.ask()
"""


class Ran:
    """A run of a scenario that has ended: its exit code, what it printed, and its result if it left one."""

    def __init__(self, result: CliResult, results: Path) -> None:
        self.code, self.stderr = result.returncode, result.stderr
        found = runs.directories(results)
        self.run: Document | None = json.loads((runs.only(results) / "run.json").read_bytes()) if found else None

    @property
    def document(self) -> Document:
        """The result, which must be there."""
        assert self.run is not None, self.stderr
        return self.run

    def told(self) -> str:
        """Return all that is said about the run: on standard error, and in its result."""
        run = self.run or {}
        return f"{self.stderr} {run.get('outcome')} {run.get('errors')} {run.get('generator')}"


RunScenario = Callable[..., Ran]


@pytest.fixture
def run_scenario(run_cli: RunCli, tmp_path: Path, target: EchoTarget) -> RunScenario:
    """Return a function that runs the text of a scenario."""

    def run(text: str, *options: str) -> Ran:
        path = tmp_path / "scenario.py"
        path.write_text(HEAD + text)
        result = run_cli("run", target.url, "--scenario", str(path), *QUICK, *options)
        assert "Traceback" not in result.stderr
        return Ran(result, tmp_path / "results")

    return run


def test_exceptions_anywhere_cost_one_user_or_one_task_and_are_named(
    run_cli: RunCli, tmp_path: Path, target: EchoTarget
) -> None:
    scenario, places = FILES / "failing.py", 19
    users = ("-u", str(places + 3))
    result = run_cli("run", target.url, "--scenario", str(scenario), *users, *QUICK, "--warmup", "2s")
    directory = runs.only(tmp_path / "results")
    run, log = runs.read(directory, echoed=False), (directory / "locust.log").read_text()
    assert result.returncode == 0, result.stderr
    for place in _places(scenario):
        assert f"failed in {place}" in log, place
    assert "(failing.py, line" in example(run, "scenario")
    assert [error["kind"] for error in run["errors"]] == ["scenario"]
    assert run["complete"] and run["latency"]["ask"]["count"] > 10
    # Two users failed before they could connect.
    assert (run["connections"]["asked"], run["connections"]["opened"]) == (places + 3, places + 1)


def _places(scenario: Path) -> list[str]:
    text = scenario.read_text()
    listed = text[text.index("PLACES = [") : text.index("]  # fmt")]
    return [place.replace("\\ud800", "·") for place in listed.split('"')[1::2]]


FAILS = "{}['no such key']"
FAILED = "KeyError: 'no such key' (scenario.py, line"
U = f"class U(Asking):{ASKS}"


def user(*lines: str) -> str:
    """Return a user that asks, and has these lines too."""
    return "\n    ".join(["class U(Asking):", *lines]) + ASKS


ENDS = {
    "init": (3, user(f"def __init__(self, environment): super().__init__(environment); {FAILS}"), FAILED),
    "on_start": (3, user(f"def on_start(self): {FAILS}"), FAILED),
    "no_super_init": (3, user("def __init__(self, environment): pass"), "call the base constructor"),
    "http_user_init": (3, "class H(HttpUser):\n    fixed_count = 1\n    @task\n    def t(self): pass\n"
                       f"    def __init__(self, environment): {FAILS}\n{U}", FAILED),
    "http_user_exits": (3, "class H(HttpUser):\n    fixed_count = 1\n    @task\n    def t(self): sys.exit(7)\n" + U,
                        "Locust ended with exit code 7"),
    "only_others": (2, "class H(User):\n    fixed_count = 9\n    @task\n    def t(self): time.sleep(0.1)\n" + U,
                    "not one of 4 users holds a connection"),
    "weight_0": (2, user("weight = 0"), "no users with weight"),
    "no_tasks": (3, "class U(Asking): pass\n", "no message was due"),
    "shape": (3, f"class S(LoadTestShape):\n    def tick(self): return {FAILS}\n{U}", FAILED),
    "busy": (0, user("def on_start(self):", "    while self.number == 0:", "        try: 1 / 0",
                     "        except Exception: pass"), "this code never waits"),
    "quit": (0, user("@task", "def stop(self):", "    if self.phase == 'measure': self.environment.runner.quit()"), ""),
    "exit_code": (7, "@events.quitting.add_listener\ndef set_it(environment, **_): environment.process_exit_code = 7\n"
                  + U, "exit code 7: set by the scenario"),
    "listener": (0, f"@events.test_start.add_listener\ndef no(**_): {FAILS}\n" + U, ""),
    "finalize": (0, user("@classmethod", "def finalize_counters(cls, counters): sys.exit('now')"),
                 "SystemExit: now (scenario.py, line"),
}  # fmt: skip
ALSO_IN_TWO_PROCESSES = ("init", "http_user_init", "quit")


@pytest.mark.parametrize(
    ("name", "processes"), [*((name, "1") for name in ENDS), *((name, "2") for name in ALSO_IN_TWO_PROCESSES)]
)
def test_every_run_ends_and_says_why(run_scenario: RunScenario, name: str, processes: str) -> None:
    code, text, said = ENDS[name]
    ran = run_scenario(text, "-u", "4", "--processes", processes)
    assert ran.code == code, ran.told()
    assert said in ran.told()


# -- parts of wsbench that fail ----------------------------------------------------------------------------------------

BREAK = """
def break_(owner, name, when):
    work = getattr(owner, name)
    calls = count(1)
    def broken(*args, **kwargs):
        if next(calls) == when: raise RuntimeError("broken for a test")
        return work(*args, **kwargs)
    setattr(owner, name, broken)
"""
PARTS = {
    "report": "from wsbench.worker.reporter import Reporter\nbreak_(Reporter, '_report', 6)",
    "count": "from wsbench.measure.totals import Totals\nbreak_(Totals, 'add', 6)",
    "phases": "from wsbench.master import phase_control\nbreak_(phase_control, '_sleep_until', 2)",
    "plan": "from wsbench.worker.engine import Engine\nbreak_(Engine, '_wait_until', 3)",
    "drain": "from wsbench.worker.connections import Connections\nbreak_(Connections, 'drain', 1)",
    "pack": "from wsbench.worker import report_queue\nbreak_(report_queue, 'pack', 4)",
}


@pytest.mark.parametrize(
    ("part", "processes"),
    [(part, "1") for part in PARTS if part not in ("plan", "pack")]
    + [(part, "2") for part in ("report", "plan", "pack")],
)
def test_a_part_of_wsbench_that_fails_ends_the_run_and_what_was_measured_is_kept(
    run_scenario: RunScenario, part: str, processes: str
) -> None:
    ran = run_scenario(f"{BREAK}\n{PARTS[part]}\n{U}", "-u", "4", "--processes", processes, "-d", "4s")
    assert "RuntimeError: broken for a test" in example(ran.document, "internal")
    assert ran.document["messages_all_phases"]["received"] > 10
    if part != "drain":  # which is the end
        assert ran.code == 3 and ran.document["ended_by"] == "error" and not ran.document["complete"]
