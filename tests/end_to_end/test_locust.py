"""wsbench's users under plain Locust: headless, with its own statistics, with its web UI, interrupted."""

from __future__ import annotations

import csv
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import helpers.web_ui
import pytest
from conftest import FaultyEcho
from helpers import runs
from helpers.process import TESTS, Running, no_leftovers
from helpers.runs import Document, EchoTarget
from helpers.web_ui import WebUi

from wsbench.launcher.locust_process import free_port


@pytest.fixture(scope="module")
def target() -> Iterator[EchoTarget]:
    with runs.echo_target() as target:
        yield target


def test_locusts_default_options_are_worked_out_once() -> None:
    """Locust builds a parser for each option of a worker's whenever users are to be started: it then does nothing else,
    and where the machine is busy misses so many heartbeats that it is given up."""
    program = (
        "from wsbench.locust_plugin import plugin\n"
        "plugin.register()\n"
        "from locust import argument_parser\n"
        "made = []\n"
        "make = argument_parser.get_empty_argument_parser\n"
        "argument_parser.get_empty_argument_parser = lambda *args, **more: made.append(1) or make(*args, **more)\n"
        "first, again = argument_parser.default_args_dict(), argument_parser.default_args_dict()\n"
        "print(len(made), first == again, 'run_time' in first)\n"
    )
    result = Running([sys.executable, "-c", program]).finish()
    assert result.stdout.split() == ["1", "True", "True"], result.stderr


def test_the_run_time_begins_with_the_run_and_not_with_the_imports() -> None:
    """libev starts timers from its cached time, which is as old as the last event that it waited for."""
    program = (
        "import time\n"
        "import gevent\n"
        "from locust import env, events\n"
        "from wsbench.locust_plugin import plugin\n"
        "plugin.register()\n"
        "environment, end = env.Environment(events=events), time.monotonic() + 1\n"
        "while time.monotonic() < end: pass\n"
        "environment.events.init.fire(environment=environment, runner=None)\n"
        "begin = time.monotonic()\n"
        "gevent.spawn_later(0.5, lambda: None).join()\n"
        "print(time.monotonic() - begin > 0.49)\n"
    )
    result = Running([sys.executable, "-c", program]).finish()
    assert result.stdout.split() == ["True"], result.stderr


# -- headless ----------------------------------------------------------------------------------------------------------


def test_headless_with_locusts_own_statistics(target: EchoTarget, tmp_path: Path) -> None:
    before = target.stats()
    options = ("--headless", "-u", "20", "-t", "4s", "--warmup", "500ms", "--csv", "stats", "--host", target.url)
    result = runs.locust(*options, cwd=tmp_path).finish()
    assert result.returncode == 0, result.stderr
    run = runs.read(runs.only(tmp_path / "results"))
    runs.assert_equals_stats(run, before, target.stats())
    assert run["complete"] and run["command"][0] == "locust"
    assert (run["conditions"]["scenario"], run["conditions"]["users"]) == ("echo", 20)
    assert 0 < run["conditions"]["duration_ns"] < 4_000_000_000  # what ramp and warm-up left of the run time
    assert run["id"] in result.stderr + result.stdout  # the summary says where the result is
    rows = {row["Name"]: row for row in _csv_rows(tmp_path / "stats_stats.csv")}
    messages, echo = run["messages_all_phases"], rows["echo"]
    assert int(echo["Request Count"]) == messages["sent"] and int(echo["Failure Count"]) == 0
    assert int(rows["connect"]["Request Count"]) == 20
    assert int(rows["Aggregated"]["Request Count"]) == messages["sent"] + 20
    _assert_times_are_those_of(run, echo)


def _csv_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _assert_times_are_those_of(run: Document, echo: dict[str, str]) -> None:
    """Locust's are of all phases: their extremes lie outside of those of the measure phase. In ms."""
    latency = run["latency"]["response"]
    least, most = float(echo["Min Response Time"]), float(echo["Max Response Time"])
    assert 0 < least <= latency["min_ns"] / 1e6 * 1.01  # three digits
    assert most >= latency["max_ns"] / 1e6 * 0.99
    shown = [float(echo[column]) for column in ("50%", "90%", "99%", "99.9%", "100%")]
    assert shown == sorted(shown)
    assert shown[0] >= least * 0.95  # two digits
    assert least * 0.95 <= float(echo["Average Response Time"]) <= most * 1.05
    assert float(echo["Average Content Size"]) == run["conditions"]["payload_size"]


def test_request_events_reach_listeners(target: EchoTarget, tmp_path: Path) -> None:
    """One for every message, and with them Locust's statistics are the same."""
    (tmp_path / "listening.py").write_text(
        "from locust import events\n"
        "from wsbench import EchoUser\n"
        "class Echo(EchoUser): pass\n"
        "seen = []\n"
        "@events.request.add_listener\n"
        "def note(name, response_time, response_length, **_): seen.append((name, response_time, response_length))\n"
        "@events.quit.add_listener\n"
        "def tell(**_): print('SEEN', len(seen), min(ms for _, ms, _ in seen) > 0, {(n, s) for n, _, s in seen})\n"
    )
    options = ("--headless", "-u", "4", "-d", "300ms", "--warmup", "0s", "--rate", "200", "--request-events")
    program = runs.locust(
        *options, "--csv", "s", "--host", target.url, cwd=tmp_path, scenario=tmp_path / "listening.py"
    )
    result = program.finish()
    assert result.returncode == 0, result.stderr
    count = runs.read(runs.only(tmp_path / "results"))["messages_all_phases"]["received"]
    assert f"SEEN {count} True {{('echo', 128)}}" in result.stdout
    rows = {row["Name"]: row for row in _csv_rows(tmp_path / "s_stats.csv")}
    assert int(rows["echo"]["Request Count"]) == count


def test_losses_are_failures_to_locust(faulty_echo: Callable[..., FaultyEcho], tmp_path: Path) -> None:
    server = faulty_echo(drop=5, corrupt=7)
    options = ("--headless", "-u", "4", "-d", "400ms", "--warmup", "0s", "--rate", "200", "--timeout", "300ms")
    # without this, Locust's own exit code for a run with failures is 1
    options += ("--csv", "stats", "--exit-code-on-error", "0", "--host", server.url)
    result = runs.locust(*options, cwd=tmp_path).finish()
    assert result.returncode == 0, result.stderr
    messages = runs.read(runs.only(tmp_path / "results"))["messages_all_phases"]
    counts = server.counts()
    assert messages["lost"] == counts["dropped"] > 0 and messages["corrupted"] == counts["corrupted"] > 0
    [echo] = [row for row in _csv_rows(tmp_path / "stats_stats.csv") if row["Name"] == "echo"]
    assert (int(echo["Request Count"]), int(echo["Failure Count"])) == (messages["sent"], messages["lost"])
    failures = {
        row["Error"].split(":")[0]: int(row["Occurrences"]) for row in _csv_rows(tmp_path / "stats_failures.csv")
    }
    assert failures == {"lost": messages["lost"], "corrupted": messages["corrupted"]}


def test_two_processes(target: EchoTarget, tmp_path: Path) -> None:
    before, port = target.stats(), str(free_port())
    options = ("--headless", "-u", "6", "-d", "400ms", "--warmup", "0s", "--host", target.url, "--processes", "2")
    result = runs.locust(*options, "--master-port", port, "--master-bind-port", port, cwd=tmp_path).finish()
    assert result.returncode == 0, result.stderr
    run = runs.read(runs.only(tmp_path / "results"))
    assert run["complete"] and run["conditions"]["processes"] == 2
    runs.assert_equals_stats(run, before, target.stats())
    no_leftovers(result, grace=5)


def test_gates_set_the_exit_code(target: EchoTarget, tmp_path: Path) -> None:
    gates = ('measure."GET /api/users".p12.5 > 1h', "ask.p12.5 > 1h", "seen / sent > 200%")
    options = [argument for gate in gates for argument in ("--fail-if", gate)]
    short = ("--headless", "-u", "2", "-d", "300ms", "--warmup", "0s", "--host", target.url)
    naming = Path(TESTS, "helpers", "locustfiles", "naming.py")
    result = runs.locust(*short, *options, scenario=naming, cwd=tmp_path).finish()
    assert result.returncode == 1, result.stderr
    found = runs.read(runs.only(tmp_path / "results"), echoed=False)["gates"]
    assert [(gate["expression"], gate["failed"]) for gate in found] == list(
        zip(gates, (True, False, False), strict=True)
    )
    assert found[0]["value"] == "– (no series is called GET /api/users; there are ask, seen)"


@pytest.mark.parametrize("processes", [1, 2])
def test_ctrl_c_saves_what_was_measured(target: EchoTarget, tmp_path: Path, processes: int) -> None:
    before, port = target.stats(), str(free_port())
    options = ["--headless", "-u", "4", "--warmup", "0s", "--host", target.url]
    if processes > 1:
        options += ["--processes", "2", "--master-port", port, "--master-bind-port", port]
    program = runs.locust(*options, cwd=tmp_path)
    try:
        target.until_measured(4)
        os.killpg(program.pid, signal.SIGINT)  # as a terminal does: the workers get it as well
        result = program.finish(30)
    finally:
        program.stop()
    assert result.returncode == 130, result.stderr
    assert "Traceback" not in result.stderr
    run = runs.read(runs.only(tmp_path / "results"))
    assert run["complete"] is False and run["messages"]["received"] > 0
    runs.assert_equals_stats(run, before, target.stats())
    no_leftovers(result)


FEWER = """
import time
from locust import LoadTestShape
from wsbench import EchoUser


class Echo(EchoUser):
    pass


class Fewer(LoadTestShape):
    def tick(self):
        seconds = self.get_run_time()
        return None if seconds > 6 else (10, 100) if seconds < 3 else (4, 100)
"""


@pytest.mark.parametrize("load", [("--rate", "50"), ("--in-flight", "1"), ("--in-flight", "4")], ids=" ".join)
def test_users_that_locust_stops_in_the_middle_cost_no_message(tmp_path: Path, load: tuple[str, str]) -> None:
    """A shape does that, and Locust by itself when a worker joins: what is under way is waited for, and no more due."""
    (tmp_path / "fewer.py").write_text(FEWER)
    with runs.echo_target("--delay", "200ms") as slow:
        options = ("--headless", *load, "--warmup", "0s", "--host", slow.url)
        result = runs.locust(*options, cwd=tmp_path, scenario=tmp_path / "fewer.py").finish(60)
        assert result.returncode == 0, result.stderr
        seen = slow.stats()
    run = runs.read(runs.only(tmp_path / "results"))
    assert run["connections"]["opened"] == 10 and run["connections"]["close_codes"] == {"1000": 10}
    assert run["messages"]["lost"] == run["messages"]["missed"] == 0
    assert run["messages_all_phases"]["sent"] == seen["messages_in"]
    seconds = run["conditions"]["duration_ns"] / 1e9
    if load[0] == "--rate":
        assert abs(run["messages"]["sent"] - 50 * seconds) < 0.1 * 50 * seconds, "the rate stays"
    else:  # each reply takes 200 ms
        assert run["messages"]["sent"] < 10 * 5 * int(load[1]) * seconds * 0.95, "fewer"


# -- wrong usage -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "no URL to measure"),
        (["--host", "http://127.0.0.1:1/echo"], "http"),
        (["--host", "ws://127.0.0.1:1/echo", "--rate", "fast"], "'fast'"),
        (["--host", "ws://127.0.0.1:1/echo", "--payload-file", "nowhere"], "nowhere"),
        (["--host", "ws://127.0.0.1:1/echo", "--paylod-size", "128"], "--paylod-size"),
    ],
    ids=["no-host", "http", "bad-value", "no-file", "misspelt"],
)
def test_wrong_usage(tmp_path: Path, options: list[str], said: str) -> None:
    result = runs.locust("--headless", "-u", "2", "-t", "2s", *options, cwd=tmp_path).finish()
    assert result.returncode == 2, result.stderr
    assert "error: " in result.stderr and said in result.stderr
    assert "Traceback" not in result.stderr
    assert runs.directories(tmp_path / "results") == []
    no_leftovers(result)


def test_a_target_that_is_not_there(tmp_path: Path) -> None:
    options = ("--headless", "-u", "2", "-t", "9s", "--host", f"ws://127.0.0.1:{free_port()}/echo")
    result = runs.locust(*options, cwd=tmp_path).finish()
    assert result.returncode == 3, result.stderr
    assert "wsbench: error: nothing listens on" in result.stderr and "Traceback" not in result.stderr
    assert runs.directories(tmp_path / "results") == []


# -- the web UI --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def web_ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebUi]:
    with helpers.web_ui.web_ui(tmp_path_factory.mktemp("web-ui")) as ui:
        yield ui


def test_the_start_form_has_our_options(web_ui: WebUi) -> None:
    page = web_ui.get("/")
    for name in ("rate", "payload_size", "duration", "warmup", "in_flight", "compression", "fail_if"):
        assert f'"{name}"' in page or f"&#34;{name}&#34;" in page, name


def test_runs_from_the_form_one_after_another(web_ui: WebUi, target: EchoTarget) -> None:
    first = web_ui.run(target, rate="200", payload_size="256", duration="500ms", name="first")
    assert first["complete"] and first["name"] == "first"
    conditions = first["conditions"]
    assert (conditions["loop"], conditions["rate"], conditions["payload_size"]) == ("open", 200.0, 256)
    assert (conditions["duration_ns"], conditions["users"], conditions["url"]) == (500_000_000, 4, target.url)
    assert abs(first["messages"]["sent"] - 100) <= 4
    second = web_ui.run(target, rate="", payload_size="128", duration="400ms", in_flight="2", user_count=3)
    assert second["complete"] and second["id"] != first["id"]
    conditions = second["conditions"]
    assert (conditions["loop"], conditions["rate"], conditions["in_flight"]) == ("closed", None, 2)
    assert (conditions["payload_size"], conditions["users"]) == (128, 3)


def test_stop_ends_an_open_ended_run(web_ui: WebUi, target: EchoTarget) -> None:
    run = web_ui.run(target, stop_after_s=2.2, rate="100", duration="", in_flight="1")
    assert run["complete"] is True
    assert 0 < run["conditions"]["duration_ns"] < 60_000_000_000
    assert run["messages"]["received"] > 0


def test_a_bad_value_in_the_form_starts_nothing(web_ui: WebUi, target: EchoTarget) -> None:
    before, known = target.stats(), runs.directories(web_ui.results)
    form: Document = {"user_count": 2, "spawn_rate": 10, "host": target.url, "duration": "400ms"}
    web_ui.post("/swarm", **form, rate="fast")
    web_ui.wait_until(lambda: "--rate: 'fast'" in web_ui.program.stderr(), "the complaint")
    web_ui.wait_until(lambda: web_ui.state() in ("stopped", "ready"), "the end of it")
    assert runs.directories(web_ui.results) == known
    assert target.stats()["messages_in"] == before["messages_in"]
    assert web_ui.run(target, rate="100", duration="300ms")["complete"] is True


def test_a_target_that_is_not_there_from_the_form(web_ui: WebUi, target: EchoTarget) -> None:
    known = runs.directories(web_ui.results)
    web_ui.post("/swarm", user_count=2, spawn_rate=10, host=f"ws://127.0.0.1:{free_port()}/", rate="", duration="300ms")
    web_ui.wait_until(lambda: "nothing listens on" in web_ui.program.stderr(), "the complaint")
    web_ui.wait_until(lambda: web_ui.state() in ("stopped", "ready"), "the end of it")
    assert runs.directories(web_ui.results) == known
    assert web_ui.run(target, rate="100", duration="300ms")["complete"] is True
