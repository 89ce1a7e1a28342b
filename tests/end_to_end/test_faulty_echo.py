"""Counts of a run against a server that counts every fault it commits: they agree to the message."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import FaultyEcho
from helpers import runs
from helpers.process import CliResult, scaled
from helpers.runs import Document

RunCli = Callable[..., CliResult]
StartFaultyEcho = Callable[..., FaultyEcho]
Counts = dict[str, int]

USERS = 4
RATE = 200
LOOPS = {"one": ["--in-flight", "1"], "four": ["--in-flight", "4"], "open": ["--rate", str(RATE)]}


def run_against(faulty_echo: FaultyEcho, run_cli: RunCli, tmp_path: Path, *args: str, echoed: bool = True) -> Document:
    """A short run, to its end."""
    # lost ones are given up after a second: a closed loop waits for them
    options = ("-u", str(USERS), "-d", "400ms", "--warmup", "100ms", "--timeout", "1s", "--drain", "2s")
    result = run_cli("run", faulty_echo.url, *options, *args, "--json")
    run = runs.read(runs.only(tmp_path / "results"), echoed=echoed)
    # some faults leave not one right reply
    assert result.returncode == {"passed": 0, "not-measured": 3}[run["outcome"]["result"]], result.stderr
    assert run["complete"] and run["connections"]["opened"] == run["conditions"]["users"]
    return run


def settled(faulty_echo: FaultyEcho) -> Counts:
    """The server's counts, when it has noticed the end of every connection."""
    deadline = time.monotonic() + scaled(10)
    while True:
        counts = faulty_echo.counts()
        gone = counts["replies_sent"] + counts["dropped"] + counts["unanswered"]
        if counts["messages_in"] + counts["duplicated"] == gone or time.monotonic() > deadline:
            return counts
        time.sleep(0.05)


def told_by(counts: Counts, *, unread: int = 0, late: int = 0) -> Counts:
    """Return the counts to be reported. `unread`: lost on their way to the server; `late`: answered too late."""
    return {
        "sent": counts["messages_in"] + unread,
        "received": counts["replies_sent"] - counts["duplicated"] - late,
        "lost": counts["dropped"] + counts["unanswered"] + unread + late,
        "duplicated": counts["duplicated"],
        "reordered": counts["reordered"],
        "corrupted": counts["corrupted"],
        "unexpected": counts["greetings"],
        "rejected": 0,
        "late": late,
        "one_way": 0,
        "pushed": 0,
    }


def reported(run: Document) -> Counts:
    """All it reports of messages that were sent, that is all but those that could not be."""
    return {name: count for name, count in run["messages_all_phases"].items() if name != "missed"}


def ended_by_both(connections: int) -> bool:
    """Whether so many can have been at their last message just when the run was over and closed them."""
    return 0 <= connections <= USERS


FAULTS: dict[str, dict[str, object]] = {
    "drop": {"drop": 9},
    "duplicate": {"duplicate": 7},
    "reorder": {"reorder": 5},
    "corrupt": {"corrupt": 7},
    "corrupt-anywhere": {"corrupt_anywhere": 3},
    "harmless": {"fragment": 3, "reserialize": 5, "split": 9},
    "mixed": {"drop": 23, "duplicate": 7, "reorder": 6, "fragment": 5, "reserialize": 4, "split": 19},
}
# with one message in flight there is no order, and mixed is best mixed with many
LEFT_OUT = {("reorder", "one"), ("mixed", "one"), ("mixed", "open")}
CASES = [case for case in itertools.product(FAULTS, LOOPS) if case not in LEFT_OUT]


@pytest.mark.parametrize(("fault", "loop"), CASES)
def test_replies_that_are_not_as_they_should_be(
    faulty_echo: StartFaultyEcho, run_cli: RunCli, tmp_path: Path, fault: str, loop: str
) -> None:
    options = FAULTS[fault]
    server = faulty_echo(**options)
    run = run_against(server, run_cli, tmp_path, *LOOPS[loop], echoed="reserialize" not in options)
    counts = settled(server)
    assert reported(run) == told_by(counts)
    assert run["connections"]["close_codes"] == {"1000": USERS}
    assert counts["connections"] == USERS and not run["errors"]
    # it did happen
    done = {"drop": "dropped", "duplicate": "duplicated", "reorder": "reordered", "corrupt": "corrupted"}
    done |= {"corrupt_anywhere": "corrupted", "fragment": "fragmented", "reserialize": "reserialized", "split": "split"}
    assert all(counts[done[name]] > 0 for name in options), counts
    assert counts["pongs_in"] == counts["pings_sent"]
    if loop == "open":
        due = run["messages"]["sent"] + run["messages"]["missed"]
        assert abs(due - RATE * 0.4) <= USERS and run["messages"]["missed"] == 0


@pytest.mark.parametrize("loop", LOOPS)
def test_connections_that_are_closed(faulty_echo: StartFaultyEcho, run_cli: RunCli, tmp_path: Path, loop: str) -> None:
    """Opened again each time; and what comes before anything was asked is unexpected."""
    server = faulty_echo(close_after=8, greet="hello")
    run = run_against(server, run_cli, tmp_path, *LOOPS[loop])
    counts, connections = settled(server), run["connections"]
    assert connections["opened"] + connections["reconnected"] == counts["connections"] == counts["greetings"]
    assert reported(run) == told_by(counts)
    assert connections["dropped"] > USERS and ended_by_both(counts["closed"] - connections["dropped"])
    assert connections["close_codes"].get("1011") == counts["closed"]
    assert connections["close_codes"].get("1000", 0) == counts["connections"] - counts["closed"]
    [error] = run["errors"]
    assert (error["count"], error["side"]) == (connections["dropped"], "target")
    assert "1011" in error["example"] and "asked to close after 8 messages" in error["example"]


@pytest.mark.parametrize("loop", [LOOPS["one"], LOOPS["four"], ["--rate", "8000"]], ids=["one", "four", "open"])
def test_connections_that_are_reset(
    faulty_echo: StartFaultyEcho, run_cli: RunCli, tmp_path: Path, loop: list[str]
) -> None:
    """Messages on their way when the reset came are sent, never read, and lost; the replies before it count.

    At 8,000 a second, sending fails while replies are still unread.
    """
    server = faulty_echo(rst_after=8)
    run = run_against(server, run_cli, tmp_path, *loop)
    counts = settled(server)
    unread = run["messages_all_phases"]["sent"] - counts["messages_in"]
    assert unread >= 0
    assert reported(run) == told_by(counts, unread=unread)
    connections = run["connections"]
    assert connections["dropped"] > USERS and ended_by_both(counts["reset"] - connections["dropped"])
    assert connections["opened"] + connections["reconnected"] == counts["connections"]
    assert connections["close_codes"].get("1006") == counts["reset"]
    assert sum(error["count"] for error in run["errors"]) == counts["reset"]


def test_without_reconnecting_what_is_due_is_missed(
    faulty_echo: StartFaultyEcho, run_cli: RunCli, tmp_path: Path
) -> None:
    server = faulty_echo(close_after=3)
    run = run_against(server, run_cli, tmp_path, *LOOPS["open"], "--reconnect", "never")
    assert run["connections"]["dropped"] == USERS and run["connections"]["reconnected"] == 0
    assert run["messages_all_phases"]["sent"] == settled(server)["messages_in"] == USERS * 3
    due = run["messages"]["sent"] + run["messages"]["missed"]
    assert abs(due - RATE * 0.4) <= USERS


@pytest.mark.parametrize(
    ("faults", "options"),
    [
        ({"delay": 4, "delay_ms": 600}, ["--rate", "200", "--timeout", "200ms"]),
        ({"delay": 1, "delay_ms": 1500}, ["-u", "1", "--rate", "4000", "--timeout", "200ms"]),
        ({"delay": 1, "delay_ms": 400}, ["--rate", "200", "--drain", "0s"]),
    ],
    ids=["some", "thousands", "at-the-end"],
)
def test_replies_that_come_too_late(
    faulty_echo: StartFaultyEcho, run_cli: RunCli, tmp_path: Path, faults: Document, options: list[str]
) -> None:
    """They are lost, and counted as late when they come after all; never as duplicates."""
    server = faulty_echo(**faults)
    run = run_against(server, run_cli, tmp_path, *options)
    counts, late = settled(server), run["messages_all_phases"]["late"]
    assert late > 0
    assert reported(run) == told_by(counts, late=late)
    longest_ns = run["latency"]["response"]["max_ns"]
    assert longest_ns is None or longest_ns <= run["conditions"]["timeout_ns"] * 1.001  # a bucket is that wide


def test_no_reply_is_faster_than_the_server(faulty_echo: StartFaultyEcho, run_cli: RunCli, tmp_path: Path) -> None:
    server = faulty_echo(delay=1, delay_ms=50)
    run = run_against(server, run_cli, tmp_path, *LOOPS["open"])
    assert reported(run) == told_by(settled(server))
    for name in ("response", "service"):
        # to the resolution of a bucket, and of two clocks
        assert run["latency"][name]["min_ns"] >= 49_900_000, name


@pytest.mark.parametrize(
    "options",
    [
        ["--request-events"],
        ["--processes", "2"],
        ["--binary", "--payload-size", "48"],
        ["--payload-size", "70000", "-d", "2s"],  # time for 31 of them on a connection, however busy the machine
    ],
    ids=" ".join,
)
def test_other_ways_to_send_count_alike(
    faulty_echo: StartFaultyEcho, run_cli: RunCli, tmp_path: Path, options: list[str]
) -> None:
    server = faulty_echo(drop=31, duplicate=7, corrupt=11, fragment=5)
    run = run_against(server, run_cli, tmp_path, *LOOPS["four"], *options)
    counts = settled(server)
    # every 77th is corrupted, and that twice: the second one is like nothing that was sent
    both = run["messages_all_phases"]["unexpected"]
    expected = told_by(counts)
    expected["duplicated"] -= both
    expected["unexpected"] += both
    assert both <= counts["duplicated"] / 11 + USERS
    assert reported(run) == expected
    assert all(counts[name] > 0 for name in ("dropped", "duplicated", "corrupted", "fragmented"))


def test_a_message_without_a_number_is_matched_in_order(
    faulty_echo: StartFaultyEcho, run_cli: RunCli, tmp_path: Path
) -> None:
    """A second copy looks like the reply to the next message; no reply is counted twice or not at all for it."""
    (tmp_path / "message").write_text('{"always": "the same"}')
    server = faulty_echo(duplicate=7, corrupt=5)
    run = run_against(server, run_cli, tmp_path, *LOOPS["open"], "--payload-file", "message")
    counts, messages = settled(server), run["messages_all_phases"]
    assert messages["sent"] == messages["received"] == counts["messages_in"]
    replies = messages["received"] + messages["duplicated"] + messages["unexpected"] + messages["late"]
    assert replies == counts["replies_sent"]
    assert messages["corrupted"] + messages["unexpected"] >= counts["corrupted"]
