"""Runs against a server that is hostile to some of its connections: each is called by its name, the others go on.

The server (helpers/hostile.py) counts what it did to whom; a run's own counts must say the same.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import process, runs

Document = dict[str, Any]
SECONDS = 3
EACH = 10
"""Messages a second on every connection."""
GOOD = ["good", "in-parts"] * 5

# manner: how its connection ended, by kind of error, and with which close code
DROPPED = {
    "masked": ("protocol-error", 1002),
    "reserved-bit": ("protocol-error", 1002),
    "reserved-opcode": ("protocol-error", 1002),
    "continuation-of-nothing": ("protocol-error", 1002),
    "length-2-to-63": ("protocol-error", 1009),
    "length-too-long": ("protocol-error", 1007),  # it takes in the header of what stands behind it
    "length-too-short": ("protocol-error", 1002),
    "long-ping": ("protocol-error", 1002),
    "not-utf8": ("protocol-error", 1007),
    "close-bad-code": ("protocol-error", 1002),
    "close-cut-code": ("protocol-error", 1002),
    "close-cut-reason": ("protocol-error", 1007),
    "closes": ("closed", 1012),
    "data-after-close": ("closed", 1000),
    "endless-fragments": ("protocol-error", 1009),
    "endless-tiny-fragments": ("flood", 1008),
    "endless-empty-fragments": ("flood", 1008),
    "endless-pings": ("flood", 1008),
    "endless-pongs": ("flood", 1008),
    "bomb": ("protocol-error", 1009),
    "bomb-in-parts": ("protocol-error", 1009),
    "half-closed": ("closed-abruptly", 1006),
    "reset-amid-frame": ("reset", 1006),
}
KEPT = {
    "never-answers-close": ("close-unanswered", 1006),
    "keeps-tcp": (None, 1000),
    "dribbles": ("close-unanswered", 1006),
}
FAILED = {
    "handshake-cut": "handshake-cut",
    "handshake-slow": "handshake-timeout",
    "handshake-silent": "handshake-timeout",
    "handshake-endless-headers": "handshake-cut",
    "handshake-wrong-accept": "wrong-accept",
    "handshake-extension": "negotiation",
    "handshake-unrequested-subprotocol": "negotiation",
    "handshake-garbage": "not-http",
    "handshake-close": "handshake-closed",
    "handshake-rst": "handshake-reset",
}

WATCHED = """
import atexit, gc, json, os, resource
import gevent, psutil
from wsbench import EchoUser

class Echo(EchoUser):
    pass

def tell():
    alive = [g for g in gc.get_objects() if isinstance(g, gevent.Greenlet) and not g.dead]
    of_process = ("_exit", "_postpone")  # they outlive a run: the watch over busy code, the last resort of an exit
    ours = [g for g in alive if g._run.__module__ != "locust.stats" and g._run.__name__ not in of_process]
    with open(os.environ["LEFT"], "w") as file:
        json.dump({
            "sockets": [str(c.raddr) for c in psutil.Process().net_connections("tcp")],
            "greenlets": [str(g) for g in ours],
            "peak_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        }, file)

atexit.register(tell)
"""


@contextlib.contextmanager
def hostile(manners: list[str]) -> Iterator[str]:
    server, url = process.start_server("helpers.hostile", *manners)
    try:
        yield url
    finally:
        server.stop()


def ran(url: str, users: int, *options: str, cwd: Path) -> tuple[Document, Document]:
    """A run with `users` connections: its run.json, and what its process had left at its very end."""
    (cwd / "watched.py").write_text(WATCHED)
    left = cwd / "left.json"
    result = process.run_cli(
        "run", url, "-u", str(users), "--rate", str(EACH * users), "-d", f"{SECONDS}s", "--warmup", "0s",
        "--timeout", "2s", "--drain", "2s", "--scenario", "watched.py", "--json", *options,
        cwd=cwd, env={"LEFT": str(left)}, timeout=90,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    process.no_leftovers(result)
    run = runs.read(runs.only(cwd / "results"), echoed=False)
    assert run == result.json()
    return run, json.loads(left.read_text())


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Document, Document, Document]:
    """One run with every manner once and many good ones: its result, what it left, and the server's counts."""
    manners = [*GOOD, *DROPPED, *KEPT, *FAILED]
    with hostile(manners) as url:
        run, left = ran(
            url, len(manners), "--compression", "on", "--reconnect", "never", cwd=tmp_path_factory.mktemp("mixed")
        )
        return run, left, process.http_json(url, "/counts")


def test_every_fault_is_called_by_its_name(mixed: tuple[Document, Document, Document]) -> None:
    run, _, _ = mixed
    expected = Counter(kind for kind, _ in [*DROPPED.values(), *KEPT.values()] if kind) + Counter(FAILED.values())
    assert {error["kind"]: error["count"] for error in run["errors"]} == dict(expected)
    assert {error["side"] for error in run["errors"]} == {"target"}
    assert all(error["example"] for error in run["errors"])
    connections = run["connections"]
    assert (connections["failed"], connections["dropped"]) == (len(FAILED), len(DROPPED))
    assert connections["opened"] == len(GOOD) + len(DROPPED) + len(KEPT)
    codes = Counter(str(code) for _, code in [*DROPPED.values(), *KEPT.values()]) + Counter({"1000": len(GOOD)})
    assert connections["close_codes"] == dict(codes)


def test_the_other_connections_are_not_affected(mixed: tuple[Document, Document, Document]) -> None:
    run, _, counts = mixed
    opened = run["connections"]["opened"]
    assert run["messages"]["sent"] + run["messages"]["missed"] == EACH * opened * SECONDS
    for name in ("good", "in-parts", "never-answers-close", "keeps-tcp"):
        served = counts[name]
        assert served["messages_in"] == served["replies"] >= EACH * SECONDS * served["connections"]
        assert served["closes"] == served["connections"]


def test_counts_add_up_to_what_the_server_did(mixed: tuple[Document, Document, Document]) -> None:
    run, _, counts = mixed
    messages = run["messages_all_phases"]
    assert messages["sent"] == messages["received"] + messages["lost"]
    replies = sum(served.get("replies", 0) for served in counts.values())
    assert messages["corrupted"] == 1, "the reply that stated too short a length"
    assert messages["received"] - messages["corrupted"] == replies
    assert messages["lost"] > 0


def test_memory_is_bounded_and_nothing_is_left_open(mixed: tuple[Document, Document, Document]) -> None:
    _, left, _ = mixed
    assert left["sockets"] == []
    assert left["greenlets"] == []
    assert left["peak_kb"] < 600_000, "two bombs of two GB, and a message without end"


def test_who_reads_nothing_stalls_nobody_and_who_drops_may_come_back(tmp_path: Path) -> None:
    """An open loop of long messages: full sockets, what does not fit is counted, and nothing piles up."""
    users, size = 8, 200_000
    with hostile(["good", "reads-nothing", "good", "pings-and-reads-nothing", "reset-amid-frame", "half-closed",
                  "handshake-rst", "good"]) as url:  # fmt: skip
        run, left = ran(url, users, "--payload-size", str(size), cwd=tmp_path)
        counts = process.http_json(url, "/counts")
    messages, connections = run["messages_all_phases"], run["connections"]
    assert messages["sent"] == messages["received"] + messages["lost"]
    assert messages["received"] == sum(served.get("replies", 0) for served in counts.values())
    assert counts["good"]["messages_in"] == counts["good"]["replies"]
    assert counts["good"]["replies"] >= 3 * EACH * SECONDS, "as many as were due, whatever the others did"
    assert messages["missed"] > 0
    assert connections["reconnected"] > 0
    assert connections["opened"] + connections["reconnected"] == sum(
        served["connections"] for name, served in counts.items() if not name.startswith("handshake")
    )
    kinds = {error["kind"] for error in run["errors"]}
    assert kinds == {"close-unanswered", "reset", "closed-abruptly", "handshake-reset"}
    assert {error["side"] for error in run["errors"]} == {"target"}
    assert (left["sockets"], left["greenlets"]) == ([], [])
    assert left["peak_kb"] < 600_000
