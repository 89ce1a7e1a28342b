"""`wsbench run` against real servers: every figure of a result against its other files and the server's own counts."""

from __future__ import annotations

import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from helpers import process, runs
from helpers.process import CliResult, http_json, no_leftovers, start_cli
from helpers.runs import QUICK, Document, EchoTarget
from helpers.web_ui import WebUi

from wsbench.launcher.locust_process import free_port

RunCli = Callable[..., CliResult]

number = (int, float)
text_or_null = (str, type(None))
int_or_null = (int, type(None))
number_or_null = (int, float, type(None))
MESSAGES = dict.fromkeys(
    ("sent", "received", "lost", "duplicated", "reordered", "corrupted", "unexpected", "missed", "late"), int
)
FIGURES = ("min_ns", "mean_ns", "stddev_ns", "p50_ns", "p90_ns", "p99_ns", "p99.9_ns", "p99.99_ns", "max_ns")
LATENCY = {"count": int, "lost": int, **dict.fromkeys(FIGURES, int_or_null)}
# the contract's run.json: a type, several, a dict of fields, [the type of each element], {str: the type of each value}
RUN: dict[str, Any] = {
    "schema": int, "id": str, "name": str, "complete": bool, "started": str, "wsbench": str, "command": [str],
    "conditions": {
        "url": str, "scenario": str, "loop": str, "rate": number_or_null, "arrivals": str, "in_flight": int,
        "users": int, "processes": int, "payload_size": int, "binary": bool, "compression": str, "tls": bool,
        "duration_ns": int, "warmup_ns": int, "timeout_ns": int,
    },
    "negotiated": dict.fromkeys(("compression", "subprotocol", "tls_version", "tls_cipher"), text_or_null),
    "target": {
        "name": text_or_null, "version": text_or_null, "started_by_wsbench": bool, "cpu_s": number_or_null,
        "cpu_us_per_message": number_or_null, "rss_bytes": int_or_null, "bytes_per_connection": int_or_null,
    },
    "environment": {
        "cpu": str, "cores": int, "kernel": str, "python": str, "packages": {str: str}, "nofile": int, "host_id": str,
        "cpu_quota": number_or_null,
    },
    "connections": {
        "asked": int, "opened": int, "failed": int, "dropped": int, "reconnected": int, "close_codes": {str: int},
    },
    "messages": MESSAGES,
    "messages_all_phases": MESSAGES,
    "bytes": dict.fromkeys(("payload_sent", "payload_received", "wire_sent", "wire_received"), int),
    "throughput": {"sent_per_s": number, "received_per_s": number},
    "latency": dict.fromkeys((*runs.LATENCIES, *runs.CONNECTING), LATENCY),
    "timestamps": {"source": text_or_null, "kernel": int, "user": int},
    "errors": [{"kind": str, "side": str, "count": int, "example": str}],
    "generator": {
        "verdict": str,
        "findings": [{"code": str, "evidence": str, "remedy": str}],
        "cpu_us_per_message": number_or_null,
        "workers": [
            {"index": int, "cpu_percent_mean": number, "cpu_percent_max": number, "rss_bytes": int, "messages": int}
        ],
    },
    "gates": [{"expression": str, "failed": bool, "value": str}],
}  # fmt: skip


def mismatches(value: object, shape: object, where: str = "run") -> Iterator[str]:
    """Return the places where a document is not as the contract says. It may have more fields."""
    if isinstance(shape, dict) and str in shape:
        assert isinstance(value, dict)
        for key, each in value.items():
            yield from mismatches(each, shape[str], f"{where}.{key}")
    elif isinstance(shape, dict):
        if not isinstance(value, dict):
            yield f"{where} is {value!r}"
            return
        for key, expected in shape.items():
            if key in value:
                yield from mismatches(value[key], expected, f"{where}.{key}")
            else:
                yield f"{where}.{key} is missing"
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield f"{where} is {value!r}"
            return
        for index, each in enumerate(value):
            yield from mismatches(each, shape[0], f"{where}[{index}]")
    else:
        kinds = shape if isinstance(shape, tuple) else (shape,)
        if type(value) not in kinds:  # not isinstance: True is no int here
            yield f"{where} is {value!r}"


# -- the main job -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def main_job(tmp_path_factory: pytest.TempPathFactory) -> tuple[CliResult, Path]:
    """`wsbench run --users 50 --json` against the embedded target, and the directory it was called in."""
    where = tmp_path_factory.mktemp("main-job")
    result = process.run_cli("run", "--users", "50", "--duration", "1500ms", "--warmup", "500ms", "--json", cwd=where)
    assert result.returncode == 0, result.stderr
    return result, where


def test_standard_output_is_one_document_with_every_field(main_job: tuple[CliResult, Path]) -> None:
    result, _ = main_job
    assert list(mismatches(result.json(), RUN)) == []
    phases = [line.split(":")[0].split(",")[0] for line in result.stderr.splitlines()[1:]]
    assert phases == [phase for phase in ("ramp", "warmup", "measure", "drain") if phase in phases]
    assert "measure" in phases
    no_leftovers(result)


def test_the_check_of_fields_notices_what_is_wrong(main_job: tuple[CliResult, Path]) -> None:
    document = main_job[0].json()
    document["messages"]["sent"] = True
    document["generator"]["workers"][0]["rss_bytes"] = None
    del document["latency"]["tls"]["p99.9_ns"]
    document["connections"]["close_codes"]["1000"] = "50"
    found = list(mismatches(document, RUN))
    assert [line.split(" is ")[0] for line in found] == [
        "run.connections.close_codes.1000", "run.messages.sent", "run.latency.tls.p99.9_ns",
        "run.generator.workers[0].rss_bytes",
    ]  # fmt: skip


def test_the_directory_holds_the_document_and_every_file(main_job: tuple[CliResult, Path]) -> None:
    result, where = main_job
    directory = runs.only(where / "results")
    assert (directory / "run.json").read_text() == result.stdout
    distributions = {f"{name}.hgrm" for name in (*runs.LATENCIES, "connect", "tcp", "upgrade")}
    files = {path.name for path in directory.iterdir()}
    assert files >= {"run.json", "latency.hlog", "timeline.csv", "locust.log"} | distributions
    assert not [name for name in files if name.startswith(".")]
    assert re.fullmatch(r"\d{8}T\d{6}Z-echo", directory.name)


def test_all_files_of_a_result_say_the_same(main_job: tuple[CliResult, Path]) -> None:
    run = runs.read(runs.only(main_job[1] / "results"))
    rows = runs.timeline(runs.only(main_job[1] / "results") / "timeline.csv")
    assert len([row for row in rows if row["phase"] == "measure"]) == 2  # a second and a half
    lengths = [
        line.split(",")[2]
        for line in (runs.only(main_job[1] / "results") / "latency.hlog").read_text().splitlines()
        if line.startswith("Tag=response,")
    ]
    assert lengths == ["1.000", "0.500"]
    assert run["conditions"]["duration_ns"] == 1_500_000_000


def test_mean_and_deviation_are_hdrhistograms(main_job: tuple[CliResult, Path]) -> None:
    logged = runs.log_by_tag(runs.only(main_job[1] / "results") / "latency.hlog")
    for name, latency in main_job[0].json()["latency"].items():
        if latency["count"]:
            figures = (round(logged[name].get_mean_value()), round(logged[name].get_stddev()))
            assert (latency["mean_ns"], latency["stddev_ns"]) == figures, name


def test_every_echo_came_back(main_job: tuple[CliResult, Path]) -> None:
    run = main_job[0].json()
    for messages in (run["messages"], run["messages_all_phases"]):
        assert messages["sent"] == messages["received"] > 1000
        assert not any(count for name, count in messages.items() if name not in ("sent", "received"))
    assert run["messages_all_phases"]["sent"] > run["messages"]["sent"]
    assert run["connections"] == {
        "asked": 50, "opened": 50, "failed": 0, "dropped": 0, "reconnected": 0, "close_codes": {"1000": 50},
        "tls_resumed": 0, "peers": {"127.0.0.1": 50}, "attempts": 50, "attempts_failed": 0, "reconnects_failed": 0,
    }  # fmt: skip
    assert run["outcome"] == {"result": "passed", "reasons": []} and run["ended_by"] == "duration"
    assert run["whole_run"] == {
        "attempts": 50, "failed": 0, "due": run["messages_all_phases"]["sent"], "lost": 0, "errors": 0,
    }  # fmt: skip
    assert (run["complete"], run["errors"], run["gates"]) == (True, [], [])


def test_what_was_done_is_recorded(main_job: tuple[CliResult, Path]) -> None:
    run = main_job[0].json()
    assert run["command"][0] == "wsbench" and run["command"][1:3] == ["run", "--users"]
    conditions = run["conditions"]
    assert (conditions["loop"], conditions["rate"], conditions["users"]) == ("closed", None, 50)
    assert (conditions["payload_size"], conditions["warmup_ns"]) == (128, 500_000_000)
    assert run["target"]["started_by_wsbench"] is True and run["target"]["name"] == "websockets"
    assert run["target"]["cpu_s"] > 0 and run["target"]["rss_bytes"] > 1_000_000
    wire = run["bytes"]
    # a masked header has 6 bytes (8 from 126 bytes of payload on), an unmasked one 2 (4)
    assert wire["wire_sent"] == pytest.approx(wire["payload_sent"] * 136 / 128, rel=0.02)
    assert wire["wire_received"] == pytest.approx(wire["payload_received"] * 132 / 128, rel=0.02)


# -- every setting, against the server's own counts --------------------------------------------------------------------

JSON_PAYLOAD = '{"op": "subscribe", "topics": ["trades", "quotes"], "note": "grüße"}\n'.encode()
RAW_PAYLOAD = b"\x00\x01\xfe\xff" * 25

PAYLOADS = {"message.json": JSON_PAYLOAD, "message.bin": RAW_PAYLOAD}
SETTINGS: dict[str, tuple[list[str], Document]] = {
    "rate": (["--rate", "2000"], {"loop": "open", "rate": 2000.0, "arrivals": "constant"}),
    "poisson": (["--rate", "1k", "--arrivals", "poisson"], {"loop": "open", "rate": 1000.0, "arrivals": "poisson"}),
    "binary, in flight": (["--binary", "--in-flight", "8"], {"loop": "closed", "binary": True, "in_flight": 8}),
    "processes": (["--processes", "2"], {"processes": 2, "users": 10}),
    "payload-size": (["--payload-size", "5000"], {"payload_size": 5000, "binary": False}),
    "payload-json": (["--payload-file", "message.json"], {"payload_size": len(JSON_PAYLOAD), "binary": False}),
    "payload-raw": (["--payload-file", "message.bin"], {"payload_size": 100, "binary": True}),
    "request": (
        ["--subprotocol", "chat.v2", "--subprotocol", "chat.v1", "--header", "X-Token: a=b; c",
         "--origin", "https://example.org"],
        {},
    ),
    "compression": (["--compression", "on"], {"compression": "on"}),
    "compression-parameters": (
        ["--compression", "client_max_window_bits=12; server_no_context_takeover"],
        {"compression": "client_max_window_bits=12; server_no_context_takeover"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def target() -> Iterator[EchoTarget]:
    with runs.echo_target("--compression", "on") as target:
        yield target


def run_against(target: EchoTarget, run_cli: RunCli, tmp_path: Path, *args: str) -> Document:
    """A run of ten connections, complete and without error, its figures held against the server's."""
    before = target.stats()
    result = run_cli("run", target.url, "-u", "10", *QUICK, "--json", *args)
    assert result.returncode == 0, result.stderr
    run = runs.read(runs.only(tmp_path / "results"))
    assert result.json() == run
    assert run["complete"] and not run["errors"]
    runs.assert_equals_stats(run, before, target.stats())
    return run


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_result_equals_what_the_server_counted(
    target: EchoTarget, run_cli: RunCli, tmp_path: Path, setting: str
) -> None:
    for name, content in PAYLOADS.items():
        (tmp_path / name).write_bytes(content)
    arguments, conditions = SETTINGS[setting]
    run = run_against(target, run_cli, tmp_path, *arguments)
    assert {name: run["conditions"][name] for name in conditions} == conditions
    messages, wire = run["messages"], run["bytes"]
    assert not any(count for name, count in messages.items() if name not in ("sent", "received"))
    assert all(worker["messages"] for worker in run["generator"]["workers"])
    if setting == "rate":
        assert abs(messages["sent"] - 800) <= 10  # at either edge, one of each connection
    if run["conditions"]["loop"] == "open":
        assert run["latency"]["response"]["mean_ns"] >= run["latency"]["service"]["mean_ns"]
        assert run["latency"]["send_lag"]["max_ns"] > 0
    else:
        assert run["latency"]["response"] == run["latency"]["service"]
        assert run["latency"]["send_lag"]["max_ns"] == 0
    granted = run["negotiated"]
    assert granted["tls_version"] is None and granted["tls_cipher"] is None
    assert granted["subprotocol"] == ("chat.v2" if setting == "request" else None)
    if setting == "compression":
        assert granted["compression"].startswith("permessage-deflate")
        assert wire["wire_sent"] < wire["payload_sent"]
    elif setting == "compression-parameters":
        assert "client_max_window_bits=12" in granted["compression"]
        assert "server_no_context_takeover" in granted["compression"]
    else:
        assert granted["compression"] is None
        assert wire["wire_sent"] > wire["payload_sent"]


def test_a_server_with_tls(run_cli: RunCli, tmp_path: Path) -> None:
    with runs.echo_target("--tls") as target:
        assert target.ca is not None
        run = run_against(target, run_cli, tmp_path, "--ca", target.ca, "--rate", "500")
    assert run["conditions"]["tls"] is True
    assert run["negotiated"]["tls_version"].startswith("TLSv1.") and run["negotiated"]["tls_cipher"]
    assert run["latency"]["tls"]["count"] == 10
    assert run["bytes"]["wire_sent"] > run["bytes"]["payload_sent"]


def test_the_embedded_target_with_tls(run_cli: RunCli, tmp_path: Path) -> None:
    result = run_cli("run", "--tls", "--compression", "on", "-u", "6", *QUICK, "--json")
    assert result.returncode == 0, result.stderr
    run = runs.read(runs.only(tmp_path / "results"))
    assert run["conditions"]["url"].startswith("wss://127.0.0.1:")
    assert run["negotiated"]["tls_version"].startswith("TLSv1.")
    assert run["negotiated"]["compression"].startswith("permessage-deflate")
    assert run["messages_all_phases"]["sent"] == run["messages_all_phases"]["received"] > 0
    no_leftovers(result)


def test_more_than_the_generator_can_send_is_counted_as_missed(run_cli: RunCli, tmp_path: Path) -> None:
    """Nothing that was due may vanish because its sender never got round to it."""
    arguments = ("-u", "4", "--rate", "400k", "-d", "500ms", "--warmup", "0s", "--drain", "0s")
    result = run_cli("run", *arguments, "--json")
    assert result.returncode in (0, 3), result.stderr  # 3: still busy with the ramp's, it sent none of these
    run = runs.read(runs.only(tmp_path / "results"))
    assert abs(run["messages"]["sent"] + run["messages"]["missed"] - 200_000) <= 4
    assert run["messages"]["missed"] > 0
    assert run["latency"]["response"]["p99.9_ns"] is None
    assert run["generator"]["verdict"] == "saturated"
    overdue = [finding for finding in run["generator"]["findings"] if finding["code"] == "overdue"]
    assert overdue and overdue[0]["evidence"].startswith(f"{run['messages']['missed']:,} messages were due")


# -- foreign servers --------------------------------------------------------------------------------------------------


def node_run(run_cli: RunCli, tmp_path: Path, url: str, *args: str) -> tuple[Document, Document]:
    result = run_cli("run", url, "-u", "10", *QUICK, "--json", *args)
    assert result.returncode == 0, result.stderr
    run = runs.read(runs.only(tmp_path / "results"))
    counted = http_json(url, "/stats")
    messages = run["messages_all_phases"]
    assert counted["messages_in"] == messages["sent"] == messages["received"] > 0
    assert counted["bytes_in"] == messages["sent"] * run["conditions"]["payload_size"]
    assert counted["connections"] == run["connections"]["opened"] == 10
    assert run["target"]["started_by_wsbench"] is False and run["target"]["cpu_s"] is None
    return run, counted


def test_node(node_echo: str, run_cli: RunCli, tmp_path: Path) -> None:
    run, counted = node_run(run_cli, tmp_path, node_echo, "--in-flight", "4", "--compression", "on")
    assert run["negotiated"]["compression"] is None
    assert counted["extensions"] == {"": 10}
    # asked for and not granted: never silence
    assert "compression" in " ".join(finding["code"] for finding in run["generator"]["findings"])


def test_node_with_compression(node_echo_deflate: str, run_cli: RunCli, tmp_path: Path) -> None:
    run, counted = node_run(run_cli, tmp_path, node_echo_deflate, "--compression", "on", "--payload-size", "2000")
    assert run["negotiated"]["compression"].startswith("permessage-deflate")
    assert counted["extensions"] == {"permessage-deflate": 10}
    assert run["bytes"]["wire_received"] < run["bytes"]["payload_received"]


def test_picows(picows_echo: str, run_cli: RunCli, tmp_path: Path) -> None:
    result = run_cli("run", picows_echo, "-u", "10", "--in-flight", "16", *QUICK, "--json")
    assert result.returncode == 0, result.stderr
    run = runs.read(runs.only(tmp_path / "results"))
    assert run["messages_all_phases"]["sent"] == run["messages_all_phases"]["received"] > 0
    assert run["connections"]["close_codes"] == {"1000": 10}


# -- the results directory and the gates -------------------------------------------------------------------------------


def test_failed_gates_and_a_result_that_overwrites_none(target: EchoTarget, run_cli: RunCli, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    taken = [f"{now + timedelta(seconds=second):%Y%m%dT%H%M%SZ}-twice" for second in range(120)]
    for name in taken:
        (tmp_path / "out" / name).mkdir(parents=True)
        (tmp_path / "out" / name / "run.json").write_text("of another run")
    gates = ["p50 > 1ns", "service.p99 > 1h", "lost > 0", "throughput < 1000000/s"]
    arguments = [argument for gate in gates for argument in ("--fail-if", gate)]
    result = run_cli("run", target.url, "-u", "2", *QUICK, "--json", "--results", "out", "--name", "twice", *arguments)
    assert result.returncode == 1, result.stderr
    run = result.json()
    assert [(gate["expression"], gate["failed"]) for gate in run["gates"]] == list(
        zip(gates, (True, False, False, True), strict=True)
    )
    assert run["gates"][2]["value"] == "0"
    made = {path.name for path in runs.directories(tmp_path / "out")} - set(taken)
    assert made == {run["id"]} and run["id"].endswith("-twice-2")
    assert runs.read(tmp_path / "out" / run["id"]) == run
    assert {(tmp_path / "out" / name / "run.json").read_text() for name in taken} == {"of another run"}


def test_passed_gates_and_a_summary_for_people(target: EchoTarget, run_cli: RunCli, tmp_path: Path) -> None:
    gates = ("--fail-if", "p99 > 1h", "--fail-if", "errors > 0.1%")
    result = run_cli("run", target.url, "-u", "2", "--rate", "100", *QUICK, *gates)
    assert result.returncode == 0, result.stderr
    run = runs.read(runs.only(tmp_path / "results"))
    assert [gate["failed"] for gate in run["gates"]] == [False, False]
    assert re.search(r"passed +--fail-if 'p99 > 1h'", result.stdout)
    assert f"{run['messages']['sent']:,} sent, {run['messages']['received']:,} received, 0 lost" in result.stdout
    assert f"result: results/{run['id']}" in result.stdout
    assert re.search("^ramp", result.stderr, re.MULTILINE)


def test_strict_agrees_with_the_verdict(target: EchoTarget, run_cli: RunCli) -> None:
    result = run_cli("run", target.url, "-u", "20", "--run-time", "4s", "--warmup", "100ms", "--strict", "--json")
    run = result.json()
    assert run["complete"] and 0 < run["conditions"]["duration_ns"] < 4_000_000_000
    generator = run["generator"]
    assert generator["verdict"] in ("ok", "late", "saturated")
    assert result.returncode == (0 if generator["verdict"] == "ok" else 4)
    assert generator["verdict"] == "ok" or generator["findings"]


# -- what goes wrong in the middle -------------------------------------------------------------------------------------


@pytest.mark.parametrize("processes", ["1", "2"])
def test_ctrl_c_saves_what_was_measured(tmp_path: Path, processes: str) -> None:
    program = start_cli("run", "-u", "4", "-d", "60s", "--warmup", "100ms", "--processes", processes, cwd=tmp_path)
    try:
        program.wait_for("^measure", 30)
        time.sleep(1.2)  # at least one interval
        program.signal(signal.SIGINT)
        result = program.finish(30)
    finally:
        program.stop()
    assert result.returncode == 130, result.stderr
    assert "Traceback" not in result.stderr and "INCOMPLETE" in result.stdout
    run = runs.read(runs.only(tmp_path / "results"))
    assert run["complete"] is False
    assert run["messages"]["received"] > 0
    assert 1_000_000_000 <= run["conditions"]["duration_ns"] < 60_000_000_000
    assert run["messages_all_phases"]["lost"] == 0  # it drained before it left
    assert run["connections"]["close_codes"] == {"1000": 4}
    no_leftovers(result)


def test_ctrl_c_before_anything_was_measured(bad_handshakes: Any, tmp_path: Path) -> None:
    program = start_cli("run", bad_handshakes.url("/silent"), "-u", "2", cwd=tmp_path)
    try:
        program.wait_for("^ramp", 30)
        program.signal(signal.SIGINT)
        result = program.finish(30)
    finally:
        program.stop()
    assert result.returncode == 130
    assert result.stdout == "" and result.stderr.splitlines()[-1].startswith("wsbench: error: interrupted")
    assert runs.directories(tmp_path / "results") == []
    no_leftovers(result)


@pytest.mark.parametrize("loop", [[], ["--rate", "200"]], ids=["closed", "open"])
def test_the_server_dies_in_the_middle(tmp_path: Path, loop: list[str]) -> None:
    with runs.echo_target() as target:
        program = start_cli(
            "run", target.url, "-u", "5", "-d", "2s", "--warmup", "0s", "--timeout", "1s", "--drain", "1s", *loop,
            cwd=tmp_path,
        )  # fmt: skip
        try:
            program.wait_for("^measure", 30)
            target.server.signal(signal.SIGKILL)
            result = program.finish(30)
        finally:
            program.stop()
    assert result.returncode == 0, result.stderr
    run = runs.read(runs.only(tmp_path / "results"))
    assert run["complete"] is True
    assert (run["connections"]["opened"], run["connections"]["dropped"]) == (5, 5)
    assert run["connections"]["reconnected"] == 0
    assert run["connections"]["close_codes"] == {"1006": 5}
    refused = [error for error in run["errors"] if "refused" in error["example"]]
    assert refused and refused[0]["count"] >= 5  # every connection tried again
    messages = run["messages_all_phases"]
    if loop:
        assert run["messages"]["missed"] > 0
        assert "missed" in [finding["code"] for finding in run["generator"]["findings"]]
        assert abs(run["messages"]["sent"] + run["messages"]["missed"] - 400) <= 5
    else:
        assert 0 < messages["lost"] <= 5
    no_leftovers(result)


# -- a scenario of the user's own --------------------------------------------------------------------------------------


def test_a_scenario_of_ones_own(target: EchoTarget, run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "trading.py").write_text(
        "from pathlib import Path\n"
        "from wsbench import EchoUser\n"
        "class Trader(EchoUser):\n"
        "    def on_start(self):\n"
        "        with Path('started').open('a') as file:\n"
        "            file.write('x')\n"
    )
    run = run_against(target, run_cli, tmp_path, "--scenario", "trading.py")
    assert (run["conditions"]["scenario"], run["name"]) == ("trading", "trading")
    assert (run["conditions"]["loop"], run["conditions"]["in_flight"], run["conditions"]["rate"]) == ("closed", 1, None)
    assert (tmp_path / "started").read_text() == "x" * 10


ASKING = """
import time

from locust import task

from wsbench import WebSocketUser


class Asking(WebSocketUser):
    @task
    def ask(self):
        {loop}
"""


@pytest.mark.parametrize(
    ("loop", "unscheduled"),
    [
        ("time.sleep(0.02); self.ws.request('now')", True),
        ("for due_ns in self.ticks(): self.ws.ask('on time', due_ns=due_ns)", False),
    ],
    ids=["when it likes", "on schedule"],
)
def test_a_rate_that_a_scenario_does_not_keep_to_is_found(
    target: EchoTarget, run_cli: RunCli, tmp_path: Path, loop: str, unscheduled: bool
) -> None:
    (tmp_path / "asking.py").write_text(ASKING.format(loop=loop))
    result = run_cli("run", "--scenario", "asking.py", target.url, "-u", "2", "--rate", "50", "-d", "500ms", "--json")
    findings = {finding["code"]: finding for finding in result.json()["generator"]["findings"]}
    assert ("unscheduled" in findings) is unscheduled
    if unscheduled:
        assert "self.ticks()" in findings["unscheduled"]["remedy"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("from wsbench import EchoUser\nclass Broken(EchoUser:\n    pass\n", "(broken.py, line 2)"),
        ("import no_such_module\n", "'no_such_module' (broken.py, line 1)"),
        ("x = 1\n", "no user of wsbench"),
        ("from locust import User\nclass Other(User):\n    tasks = [print]\n", "no user of wsbench"),
        ("from wsbench import EchoUser\nx = 1\n", "No User class found!"),
    ],
    ids=["syntax", "import", "no-user", "no-user-of-ours", "no-class"],
)
def test_a_scenario_that_cannot_be_used(run_cli: RunCli, tmp_path: Path, source: str, said: str) -> None:
    (tmp_path / "broken.py").write_text(source)
    result = run_cli("run", "ws://127.0.0.1:1/echo", *QUICK, "--scenario", "broken.py", "--json", "--quiet")
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("wsbench: error: ") and said in result.stderr
    assert "Traceback" not in result.stderr and len(result.stderr.splitlines()) == 2
    assert runs.directories(tmp_path / "results") == []
    no_leftovers(result)


def test_users_without_a_connection_do_not_hold_up_the_run(target: EchoTarget, run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "mixed.py").write_text(
        "from locust import User, constant, task\n"
        "from wsbench import EchoUser\n"
        "class Echo(EchoUser): pass\n"
        "class Other(User):\n"
        "    wait_time = constant(0.1)\n"
        "    @task\n"
        "    def nothing(self): pass\n"
    )
    run = run_against(target, run_cli, tmp_path, "--scenario", "mixed.py", "-u", "4")
    assert run["connections"]["opened"] == 2
    assert run["messages"]["received"] > 0


def test_users_that_fail_before_they_connect_are_counted(target: EchoTarget, run_cli: RunCli, tmp_path: Path) -> None:
    """The ramp does not wait for them; and when all of them fail, that is why nothing was measured."""
    source = (
        "import itertools\n"
        "from wsbench import EchoUser\n"
        "numbers = itertools.count()\n"
        "class Fragile(EchoUser):\n"
        "    def on_start(self):\n"
        "        if next(numbers) % {}:\n"
        "            return\n"
        "        raise LookupError('no ticket left')\n"
    )
    (tmp_path / "some.py").write_text(source.format(2))
    result = run_cli("run", target.url, "-u", "6", *QUICK, "--scenario", "some.py", "--json")
    assert result.returncode == 0, result.stderr
    run = runs.read(runs.only(tmp_path / "results"))
    assert (run["connections"]["asked"], run["connections"]["opened"], run["connections"]["failed"]) == (6, 3, 3)
    [error] = run["errors"]
    assert (error["count"], error["side"], error["kind"]) == (3, "generator", "scenario")
    assert "LookupError: no ticket left" in error["example"]
    (tmp_path / "all.py").write_text(source.format(1))
    result = run_cli("run", target.url, "-u", "3", *QUICK, "--scenario", "all.py", "--json", "--quiet")
    runs.assert_error(result, 3, "no ticket left")


def test_with_the_web_ui_there_can_be_another_run(target: EchoTarget, tmp_path: Path) -> None:
    port = free_port()
    options = ("-u", "2", "--rate", "100", "-d", "300ms", "--warmup", "0s", "--web")
    environment = {"LOCUST_WEB_PORT": str(port), "LOCUST_WEB_HOST": "127.0.0.1"}
    program = start_cli("run", target.url, *options, env=environment, cwd=tmp_path)
    try:
        ui = WebUi(program, port, tmp_path / "results")
        ui.wait_until(ui.is_up, "the web UI")
        ui.wait_until(ui.finished, "the first result")  # nobody had to start that one
        ui.wait_until(lambda: ui.state() == "stopped", "the end of the first run")
        run = ui.run(target, duration="400ms", user_count=3)
        program.signal(signal.SIGINT)
        result = program.finish(30)
    finally:
        program.stop()
    assert run["complete"] and run["conditions"]["users"] == 3 and run["command"][0] == "wsbench"
    assert result.returncode == 130 and "Traceback" not in result.stderr
    first, second = runs.directories(tmp_path / "results")
    assert (second.name, runs.read(first)["conditions"]["users"]) == (run["id"], 2)
    assert [runs.read(each)["conditions"]["rate"] for each in (first, second)] == [100.0, 100.0], "the form has it"
    assert first.name in result.stdout
    assert (second / "locust.log").stat().st_size > 0
    no_leftovers(result)


def test_what_steers_locust_does_not_steer_a_run(run_cli: RunCli, target: EchoTarget, tmp_path: Path) -> None:
    (tmp_path / "locust.conf").write_text("master = true\ntags = smoke\nrate = 100\ncsv = stats\nno-such-option = 1\n")
    (tmp_path / "pyproject.toml").write_text('[tool.locust]\nlogfile = "elsewhere.log"\nheadless = true\n')
    home = tmp_path / "home"
    home.mkdir()
    (home / ".locust.conf").write_text("expect-workers = 9\n")
    environment = {
        "HOME": str(home),
        "LOCUST_MODE_WORKER": "true",
        "LOCUST_RUN_TIME": "1s",
        "LOCUST_LOGLEVEL": "LOUD",
        "LOCUST_SKIP_LOG_SETUP": "true",
        "LOCUST_SKIP_MONKEY_PATCH": "1",
        "LOCUST_USER_CLASSES": "Nobody",
        "WSBENCH_RECONNECT": "sometimes",  # the command line's comes first
    }
    arguments = ("-u", "2", *QUICK, "--reconnect", "never", "--json")
    result = run_cli("run", target.url, *arguments, env=environment)
    assert result.returncode == 0, result.stderr
    assert "closed loop" in result.stderr
    directory = runs.only(tmp_path / "results")
    run = runs.read(directory)
    assert (run["complete"], run["conditions"]["loop"], run["conditions"]["users"]) == (True, "closed", 2)
    assert (directory / "locust.log").stat().st_size > 0
    assert {path.name for path in tmp_path.iterdir()} == {"locust.conf", "pyproject.toml", "home", "results"}


def test_a_signal_to_the_process_and_to_its_group_is_one_wish(tmp_path: Path) -> None:
    running = process.start_cli("run", "-u", "3", "--duration", "30s", "--warmup", "0s", cwd=tmp_path)
    running.wait_for("^measure")
    running.signal(signal.SIGINT)
    running.signal(signal.SIGINT)
    assert running.finish(30).returncode == 130
    assert runs.read(runs.only(tmp_path / "results"))["complete"] is False


def test_the_target_holds_as_many_connections_as_are_let_through(tmp_path: Path) -> None:
    """The limit of open files of the target is another than the generator's, which would allow for both of these."""
    limited = "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))"
    program = f"{limited}; from wsbench.cli.main import run; sys.exit(run(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "run", *QUICK, "-u"]
    refused = process.Running([*command, "76"], cwd=tmp_path).finish(30)
    runs.assert_error(refused, 2, "target websockets, which wsbench starts, can hold 75 connections")
    accepted = process.Running([*command, "75"], cwd=tmp_path).finish(60)
    assert accepted.returncode == 0, accepted.stderr
    assert runs.read(runs.only(tmp_path / "results"))["connections"]["opened"] == 75
