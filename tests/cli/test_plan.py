"""`wsbench plan`: from a calibration, from what is stated, and without either."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from helpers.sample_run import RUN
from msgspec.structs import replace

from wsbench import machine
from wsbench.cli import main
from wsbench.results.calibration_result import Calibration, LoopSpeed

LOAD = ("plan", "--connections", "1000000", "--rate", "200000")
CALIBRATION = Calibration(
    schema=1,
    environment=replace(RUN.environment, cores=4, cpu="Some CPU"),
    machine={"payload_size": 128},
    closed_loop=LoopSpeed(90_000.0, "saturated", 10.0),
    open_loop=LoopSpeed(25_000.0, "ok", 20.0),
    open_loop_limit=30_000.0,
    known_answers=[],
    tls=LoopSpeed(60_000.0, "saturated", 15.0),
    compression=LoopSpeed(30_000.0, "saturated", 30.0),
    connection_bytes=21_000,
    process_bytes=75_000_000,
)
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def store(found: Calibration = CALIBRATION, **changed: Any) -> None:
    Path("results").mkdir()
    Path("results/calibration.json").write_bytes(msgspec.json.encode(replace(found, **changed)))


def planned(capsys: Capture, *arguments: str) -> Any:
    assert main.run([*LOAD, "--json", *arguments]) == 0
    return json.loads(capsys.readouterr().out)


def test_what_was_measured_is_planned_with_and_said_to_be(capsys: Capture) -> None:
    store()
    document = planned(capsys, "--tls", "--memory", "64GB")
    costs, sizing = document["costs"], document["sizing"]
    assert {name: (basis["value"], basis["source"]) for name, basis in costs.items() if name != "ports"} == {
        "rate": (25_000.0, "measured"),
        "tls_factor": (1.5, "measured"),
        "compression_factor": (3.0, "measured"),
        "connections": (20_000, "assumed"),
        "connection_bytes": (71_000, "assumed"),  # no TLS in what was measured
        "kernel_bytes": (5_000, "assumed"),
        "process_bytes": (75_000_000, "measured"),
        "processes_per_machine": (4, "measured"),
        "memory": (64_000_000_000, "stated"),
    }
    assert document["like"] == "Some CPU, 4 cores, 6.1, 3.11"
    assert (sizing["processes"], sizing["processes_per_machine"], sizing["machines"]) == (52, 4, 13)
    assert document["commands"] == [
        "locust -f scenarios/echo.py --master --expect-workers 52 --headless -u 1000000 -r 10400 --rate 200000 "
        "--duration 60s --host wss://TARGET/echo",
        "locust -f scenarios/echo.py --worker --master-host MASTER --processes 4 --source-ip FIRST-LAST",
    ]
    assert document["settings"] == [
        "sysctl -w net.ipv4.ip_local_port_range='1024 65535'",
        "sysctl -w net.ipv4.tcp_tw_reuse=1",
        "ulimit -Hn 20000",
        "sysctl -w net.netfilter.nf_conntrack_max=160000",
    ]
    assert "The calibration is another machine's" in document["notes"][0]


def test_what_is_stated_goes_before_what_was_measured(capsys: Capture) -> None:
    store(environment=replace(CALIBRATION.environment, host_id=machine.host_id()))
    options = ("--rate-per-process", "5000", "--bytes-per-connection", "10k", "--processes", "2")
    document = planned(capsys, *options, "--connections-per-process", "50000", "--headroom", "0")
    costs = document["costs"]
    for name, value in (("rate", 5_000), ("connection_bytes", 10_000), ("processes_per_machine", 2)):
        assert (costs[name]["value"], costs[name]["source"]) == (value, "stated")
    assert document["sizing"]["processes"] == 40
    assert costs["memory"]["source"] == "measured"
    assert len(document["notes"]) == 1


def test_as_text_every_number_says_what_it_is(capsys: Capture) -> None:
    store(open_loop=LoopSpeed(2_500.0, "ok", 20.0))
    assert main.run([*LOAD, "--bandwidth", "1Gbit", "--payload-size", "4k", "--compression"]) == 0
    text = capsys.readouterr().out
    lines = text.splitlines()
    assert lines[0] == "1,000,000 connections, 200,000 messages/s of 4.00 kB, ws, compression"
    table = lines[lines.index("") + 2 : lines.index("based on") - 1]
    assert len(table) == 9
    assert all("  projected: " in line for line in table)
    rests_on = lines[lines.index("based on") + 1 :]
    for line in rests_on[: rests_on.index("")]:
        assert any(f"{source}: " in line for source in ("measured", "stated", "assumed")), line
    assert any(line.split()[:3] == ["worker", "processes", "344"] for line in table)
    assert any(line.split()[:4] == ["bandwidth,", "sent", "6.75", "Gbit/s"] for line in table)
    assert "The rate of a process was measured with 128 bytes a message; with 4000 it is lower" in text
    assert "\non the master\n  locust -f scenarios/echo.py --master --expect-workers 344 " in text
    assert " --payload-size 4000 --compression on --host ws://TARGET/echo\n" in text


def test_without_a_calibration(capsys: Capture) -> None:
    assert main.run([*LOAD]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == (
        "wsbench: error: no calibration at results: No such file or directory\n"
        "  Run `wsbench calibrate` (a minute), or state what a process can do: --rate-per-process.\n"
    )
    document = planned(capsys, "--rate-per-process", "10k")
    assert document["like"] is None
    sources = {name: basis["source"] for name, basis in document["costs"].items() if basis}
    assert [name for name, source in sources.items() if source == "measured"] == [
        "ports",
        "processes_per_machine",
        "memory",
    ]
    assert sources["tls_factor"] == "assumed"


def test_a_calibration_of_old_lacks_what_is_then_assumed(capsys: Capture) -> None:
    store(tls=None, compression=None, connection_bytes=None, process_bytes=None)
    costs = planned(capsys)["costs"]
    assert [costs[name]["source"] for name in ("rate", "tls_factor", "connection_bytes", "process_bytes")] == [
        "measured",
        "assumed",
        "assumed",
        "assumed",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--connections", "0", "--rate", "1"], "--connections"),
        (["--connections", "5"], "Missing option '--rate'"),
        ([*LOAD[1:], "--headroom", "95%"], "no percentage from 0% to 90%"),
        ([*LOAD[1:], "--bandwidth", "fast"], "no bandwidth in bits a second"),
        ([*LOAD[1:], "--memory", "64"], "'64' has no unit"),
        ([*LOAD[1:], "--bandwidth", "10"], "'10' has no unit"),
        ([*LOAD[1:], "--memory", "0GB"], "must be larger than zero"),
    ],
)
def test_wrong_usage(capsys: Capture, arguments: list[str], said: str) -> None:
    store()
    assert main.run(["plan", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_calibration_that_cannot_be_planned_with(capsys: Capture) -> None:
    store(open_loop=None)
    assert main.run([*LOAD]) == 2
    assert "while the machine is quiet" in capsys.readouterr().err
    Path("results/calibration.json").write_text('{"schema": 1}')
    assert main.run([*LOAD, "--rate-per-process", "10"]) == 2
    assert "is not a whole calibration" in capsys.readouterr().err


@pytest.mark.parametrize(("quota", "processes"), [(2.5, 2), (0.5, 1), (16.0, 4)])
def test_a_cpu_quota_limits_the_processes_of_a_machine(quota: float, processes: int, capsys: Capture) -> None:
    store(environment=replace(CALIBRATION.environment, cpu_quota=quota))
    document = planned(capsys)
    per_machine = document["costs"]["processes_per_machine"]
    assert per_machine["value"] == document["sizing"]["processes_per_machine"] == processes
    assert per_machine["how"].endswith(f"calibrated, within its CPU quota ({quota:g} cores)")
    assert document["like"] == f"Some CPU, 4 cores (CPU quota: {quota:g} cores), 6.1, 3.11"
