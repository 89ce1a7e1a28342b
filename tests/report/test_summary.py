"""The closing summary: what a person reads in ten seconds."""

from __future__ import annotations

import msgspec
import pytest
from helpers.sample_run import RUN

from wsbench.report.summary import text
from wsbench.results import Finding, Gate, Generator, Messages, NegotiatedWith, Run

PATH = "results/20261122T091500Z-echo"


def rows(run: Run) -> dict[str, str]:
    """Rows by their first word."""
    return {row.split()[0]: row for row in text(run, PATH).splitlines() if row.strip()}


def conditions(**changes: object) -> Run:
    return msgspec.structs.replace(RUN, conditions=msgspec.structs.replace(RUN.conditions, **changes))


def test_it_says_what_was_measured_and_where_the_result_lies() -> None:
    said = text(RUN, PATH)
    assert said.startswith("ws://127.0.0.1:8765/echo")
    assert "50 connections, open loop, 1,000 messages/s, constant, 128 bytes text, compression none, 10s" in said
    assert "995 replies/s" in rows(RUN)["throughput"]
    assert rows(RUN)["messages"].endswith("10,000 sent, 9,950 received, 50 lost")
    assert said.endswith(f"result: {PATH}\n")


@pytest.mark.parametrize(
    ("run", "said"),
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
def test_conditions_out_of_the_ordinary_are_named(run: Run, said: str) -> None:
    assert said in text(run, PATH)
    assert said not in text(RUN, PATH)


def test_latencies_stand_under_their_percentile_and_what_is_not_known_is_a_dash() -> None:
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
    assert "send lag" in text(RUN, PATH)
    assert "send lag" not in text(conditions(loop="closed"), PATH)


def test_messages_that_went_wrong_are_counted_only_when_there_are_any() -> None:
    wrong = msgspec.structs.replace(RUN, messages=Messages(sent=5, received=5, reordered=1_200, late=2))
    assert rows(wrong)["messages"].endswith("0 lost, 1,200 reordered, 2 late")


def test_the_verdict_has_its_findings_and_their_remedies() -> None:
    finding = Finding("cpu-saturated", "worker 0 used 100 % of a core", "Use more --processes.", "saturated")
    said = text(msgspec.structs.replace(RUN, generator=Generator("saturated", [finding], 11.54)), PATH)
    assert "verdict      saturated   generator 11.5 µs CPU a message, kernel timestamps\n" in said
    assert "  cpu-saturated: worker 0 used 100 % of a core\n    Use more --processes.\n" in said


def test_errors_and_gates() -> None:
    assert rows(RUN)["error"] == "error        1 × the server closed the connection with 1011 [target]"
    gates = [Gate("p99 > 5ms", False, "1.20 ms"), Gate("lost > 0", True, "50")]
    said = text(msgspec.structs.replace(RUN, gates=gates), PATH)
    assert "passed       --fail-if 'p99 > 5ms'   was 1.20 ms\nFAILED       --fail-if 'lost > 0'   was 50\n" in said
