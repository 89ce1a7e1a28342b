"""The summary at the end of a run: read in ten seconds."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from helpers.sample_run import EXAMPLES, RUN

from wsbench.measure.findings import Finding
from wsbench.report.html import tables
from wsbench.report.text.summary import render
from wsbench.results.run_result import (
    ConnectionCounts,
    Gate,
    Generator,
    Latency,
    MessageCounts,
    NegotiatedWith,
    Run,
    TargetResult,
)

PATH = "results/20261122T091500Z-echo"


def rows(run: Run) -> dict[str, str]:
    """Return the rows by their first word."""
    return {row.split()[0]: row for row in render(run, PATH).splitlines() if row.strip()}


def conditions(**changes: object) -> Run:
    return msgspec.structs.replace(RUN, conditions=msgspec.structs.replace(RUN.conditions, **changes))


def test_the_summary_has_the_conditions_and_the_results_path() -> None:
    text = render(RUN, PATH)
    assert text.startswith("passed\n\nws://127.0.0.1:8765/echo")
    assert "50 connections, open loop, 1,000 messages/s, constant, 128 bytes text, compression none, 10s" in text
    assert "995 replies/s" in rows(RUN)["throughput"]
    assert rows(RUN)["messages"].endswith("10,000 sent, 9,950 received, 50 lost")
    assert text.endswith(f"result: {PATH}\n")


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (conditions(loop="closed", in_flight=8), "closed loop, 8 in flight"),
        (conditions(binary=True), "128 bytes binary"),
        (conditions(processes=2), "50 connections from 2 processes"),
        (conditions(compression="on"), "compression none granted"),
        (
            msgspec.structs.replace(RUN, negotiated=NegotiatedWith(compression="permessage-deflate")),
            "compression permessage-deflate",
        ),
        (conditions(tls=True), ", TLSv1.3, 10s"),
        (msgspec.structs.replace(RUN, complete=False), "\nINCOMPLETE: "),
    ],
)
def test_unusual_conditions_are_named(run: Run, expected: str) -> None:
    assert expected in render(run, PATH)
    assert expected not in render(RUN, PATH)


def test_latencies_are_under_their_percentile_and_unknown_ones_are_a_dash() -> None:
    head = rows(RUN)["latency"]
    assert head.split() == ["latency", "p50", "p90", "p99", "p99.9", "max"]
    row = rows(RUN)["response"]
    assert len(row) == len(head)
    assert [row[12 + 11 * n : 23 + 11 * n].strip() for n in range(5)] == [
        "24.1 µs",
        "40.0 µs",
        "67.6 µs",
        "–",
        "1.78 ms",
    ]


def test_a_closed_loop_has_no_send_lag() -> None:
    assert "send lag" in render(RUN, PATH)
    assert "send lag" not in render(conditions(loop="closed"), PATH)


def test_response_is_one_row_where_it_is_service() -> None:
    shown = rows(msgspec.structs.replace(RUN, latency={**RUN.latency, "service": RUN.latency["response"]}))
    assert shown["response"].startswith("  response = service    24.1 µs") and "service" not in shown


def test_counters_are_a_table_of_the_whole_run() -> None:
    text = render(msgspec.structs.replace(RUN, counters={"good": 1_200, "of a long name": 3}), PATH)
    assert (
        "counted           of the whole run\n  good                       1,200\n  of a long name                 3\n"
        in text
    )


def test_the_report_is_named_if_it_could_be_made(tmp_path: Path) -> None:
    assert "report:" not in render(RUN, str(tmp_path))
    (tmp_path / "report.html").touch()
    assert render(RUN, str(tmp_path)).endswith(f"\nresult: {tmp_path}\nreport: {tmp_path}/report.html\n")


def test_counts_of_faulty_messages_are_shown_only_when_not_zero() -> None:
    wrong = msgspec.structs.replace(RUN, messages=MessageCounts(sent=5, received=5, reordered=1_200, late=2))
    assert rows(wrong)["messages"].endswith("0 lost, 1,200 reordered, 2 late")


def test_a_reply_that_the_scenario_failed_is_not_called_corrupted() -> None:
    failed = MessageCounts(sent=5, received=5, corrupted=3, rejected=2)
    run = msgspec.structs.replace(RUN, messages=failed)
    assert rows(run)["messages"].endswith("0 lost, 1 corrupted, 2 failed by the scenario")


def of_scenario(**changes: object) -> Run:
    """Return a run of a scenario without round trips."""
    empty = {name: Latency() for name in RUN.latency}
    run = msgspec.structs.replace(RUN, latency={**empty, "ping": Latency(7, 1, 1_000)}, messages=MessageCounts())
    return msgspec.structs.replace(run, **changes)


def test_a_scenario_without_round_trips_shows_its_series() -> None:
    found = rows(of_scenario())
    assert found["messages"] == "messages     none" and "throughput" not in found
    assert "ping" in found and "response" not in found and "read" not in found
    lost = of_scenario(messages=MessageCounts(sent=3, lost=3), latency={**RUN.latency, "response": Latency(lost=3)})
    assert "response" in rows(lost)


def test_a_message_that_the_server_pushes_is_no_reply() -> None:
    pushed = MessageCounts(sent=0, received=9_950, pushed=9_950)
    assert "995 messages/s received" in rows(of_scenario(messages=pushed))["throughput"]


def test_settings_of_a_scenario_are_conditions() -> None:
    push = msgspec.structs.replace(RUN.conditions, scenario="push", settings={"rate": "5", "reply": "on"})
    text = render(of_scenario(conditions=push), PATH)
    assert ", scenario push (rate=5, reply=on), compression none" in text


def test_a_scenario_that_reopens_connections_shows_the_connect_series() -> None:
    again = of_scenario(latency={**of_scenario().latency, "connect": Latency(70, 0, 1_000), "upgrade": Latency(70)})
    assert "upgrade" not in rows(again)
    found = rows(msgspec.structs.replace(again, connections=ConnectionCounts(asked=70, opened=70)))
    assert found["connect"].endswith(" 70") and found["upgrade"].endswith(" 70") and "TCP" not in found
    assert "upgrade" in rows(msgspec.structs.replace(again, connections=ConnectionCounts(50, 50, reconnected=20)))


@pytest.mark.parametrize(
    ("peers", "text"),
    [
        ({"fd00::2": 0, "10.0.0.1": 50}, "addresses    50 to 10.0.0.1, 0 to fd00::2"),
        ({"10.0.0.1": 50}, None),
        ({}, None),
        (
            {f"10.0.0.{n}": n for n in range(1, 7)},
            "addresses    6 to 10.0.0.6, 5 to 10.0.0.5, 4 to 10.0.0.4, 3 to 10.0.0.3, 2 other addresses",
        ),
    ],
)
def test_the_servers_addresses_are_shown_if_there_are_several(peers: dict[str, int], text: str | None) -> None:
    run = msgspec.structs.replace(RUN, connections=msgspec.structs.replace(RUN.connections, peers=peers))
    assert rows(run).get("addresses") == text
    opened = [name for name, _ in tables.connections(run) if name.startswith("opened to ")]
    assert opened == ([f"opened to {address}" for address in peers] if text else [])


def test_memory_of_many_connections() -> None:
    generator = msgspec.structs.replace(RUN.generator, bytes_per_connection=21_500)
    few = msgspec.structs.replace(RUN, generator=generator)
    assert "memory" not in rows(few)
    many = msgspec.structs.replace(few, connections=ConnectionCounts(asked=5000, opened=5000))
    assert rows(many)["memory"] == "memory       generator 21.5 kB per connection"
    both = msgspec.structs.replace(many, target=TargetResult(bytes_per_connection=15_000))
    assert rows(both)["memory"] == "memory       target 15.0 kB, generator 21.5 kB per connection"


def test_the_verdict_has_its_findings_and_their_remedies() -> None:
    finding = Finding("cpu-saturated", "worker 0 used 100 % of a core", "Use more --processes.", "saturated")
    text = render(msgspec.structs.replace(RUN, generator=Generator("saturated", [finding], 11.54)), PATH)
    assert "generator    saturated   11.5 µs CPU per message, kernel timestamps\n" in text
    assert "  cpu-saturated: worker 0 used 100 % of a core\n    Use more --processes.\n" in text


def test_errors_and_gates() -> None:
    assert rows(RUN)["error"] == "error        1 × the server closed the connection with 1011 [target]"
    gates = [Gate("p99 > 5ms", False, "1.20 ms"), Gate("lost > 0", True, "50")]
    text = render(msgspec.structs.replace(RUN, gates=gates), PATH)
    assert "passed       --fail-if 'p99 > 5ms'   was 1.20 ms\nFAILED       --fail-if 'lost > 0'   was 50\n" in text


def test_the_first_wrong_replies_are_shown_after_the_errors() -> None:
    text = render(msgspec.structs.replace(RUN, examples=EXAMPLES), PATH)
    assert (
        "[target]\n"
        "corrupted    the first: 10 bytes before the message: 'You said: '\n"
        "             received 'You said: {\"id\":7}'\n"
        "rejected     order, the first: no funds\n"
        '             received \'{"error":"no funds"}\'\n'
    ) in text
