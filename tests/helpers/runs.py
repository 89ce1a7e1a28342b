"""Runs of wsbench and of Locust, and their results read back without wsbench's own code.

`read` is what most tests need: it loads a result directory, and fails unless everything in it says the same.
"""

from __future__ import annotations

import contextlib
import csv
import itertools
import json
import math
import re
import ssl
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from . import process
from .process import CliResult, Running, scaled

ROOT = process.TESTS.parent
SCENARIO = ROOT / "scenarios" / "echo.py"
QUICK = ("--duration", "400ms", "--warmup", "100ms")
Document = dict[str, Any]

LATENCIES = ("response", "service", "send_lag", "read_lag")
CONNECTING = ("connect", "tcp", "tls", "upgrade")
AWAY = "away"
_PERCENTILES = {"p50_ns": 50.0, "p90_ns": 90.0, "p99_ns": 99.0, "p99.9_ns": 99.9, "p99.99_ns": 99.99}
_HIGHEST_NS = 3_600_000_000_000


# -- starting ----------------------------------------------------------------------------------------------------------


def locust(*args: str, cwd: Path, scenario: Path = SCENARIO, env: Mapping[str, str] | None = None) -> Running:
    """Start `locust -f scenarios/echo.py ARGS`."""
    return Running([sys.executable, "-m", "locust", "-f", str(scenario), *args], cwd=cwd, env=env)


@dataclass(frozen=True)
class EchoTarget:
    """A running `wsbench serve`: its URL, its CA file, and the process."""

    url: str
    ca: str | None
    server: Running

    def stats(self) -> Document:
        """Return its present counts."""
        parts = urlsplit(self.url)
        scheme, context = "http", None
        if self.ca is not None:
            scheme, context = "https", ssl.create_default_context(cafile=self.ca)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        with opener.open(f"{scheme}://{parts.netloc}/stats", timeout=scaled(10)) as answer:
            document: Document = json.load(answer)
        return document

    def until_measured(self, connections: int) -> None:
        """Waits until a run with so many connections, and without a warm-up, has measured something.

        Its ramp is over with the second in which the last of them is open.
        """
        deadline = time.monotonic() + scaled(30)
        while (now_open := self.stats()["connections_open"]) < connections:
            assert time.monotonic() < deadline, f"{now_open} of {connections} connections"
            time.sleep(0.05)
        time.sleep(3)


@contextlib.contextmanager
def echo_target(*options: str) -> Iterator[EchoTarget]:
    """Run `wsbench serve --port 0 OPTIONS` during the block."""
    server = process.start_cli("serve", "--port", "0", *options)
    try:
        ready = server.wait_for(r"^listening on (ws\S+)(?: \(CA: (.+)\))?$")
        yield EchoTarget(ready[1], ready[2], server)
    finally:
        server.stop()


# -- results -----------------------------------------------------------------------------------------------------------


def directories(results: Path) -> list[Path]:
    """Return all result directories, including the hidden ones of unfinished runs, by name."""
    return sorted(results.iterdir()) if results.exists() else []


def only(results: Path) -> Path:
    """Return the only result directory."""
    found = directories(results)
    assert [path.name.startswith(".") for path in found] == [False], found
    return found[0]


def read(directory: Path, *, echoed: bool = True) -> Document:
    """run.json of a result directory, checked against every other file of it.

    Args:
        echoed: every reply has the bytes of its message; not so when replies were cut, changed or re-serialised.
    """
    run: Document = json.loads((directory / "run.json").read_bytes())
    assert directory.name == run["id"]
    _check_counts(run, echoed=echoed)
    _check_examples(run)
    _check_latencies(run, log_by_tag(directory / "latency.hlog"))
    _check_distributions(run, directory)
    _check_timeline(run, timeline(directory / "timeline.csv"))
    return run


def own(run: Document) -> list[str]:
    """Return the series that a scenario has named."""
    return [name for name in run["latency"] if name not in (*LATENCIES, *CONNECTING, AWAY)]


def log_by_tag(path: Path) -> dict[str, HdrHistogram]:
    """Read a histogram log with HdrHistogram's own reader; return the sums of its intervals by tag."""
    reader = HistogramLogReader(str(path), HdrHistogram(1, _HIGHEST_NS, 3))
    totals: dict[str, HdrHistogram] = {}
    with contextlib.closing(reader):
        while (interval := reader.get_next_interval_histogram()) is not None:
            total = totals.setdefault(unquote(interval.get_tag()), HdrHistogram(1, _HIGHEST_NS, 3))
            total.add(interval)
    return totals


def timeline(path: Path) -> list[dict[str, str]]:
    """Return the rows of a timeline.csv."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def recorded(histogram: HdrHistogram) -> list[tuple[int, int]]:
    """Return (highest value of the bucket, count) of all buckets, lowest first; hdrh's own iterator takes 40 ms."""
    value_at, highest = histogram.get_value_from_index, histogram.get_highest_equivalent_value
    return [(highest(value_at(index)), count) for index, count in enumerate(histogram.counts) if count]


def values_at(buckets: list[tuple[int, int]], percents: Iterable[float], lost: int) -> list[int | None]:
    """Return percentiles of all due messages, with lost ones as the slowest; None for a lost one."""
    total = sum(count for _, count in buckets) + lost
    reached = list(itertools.accumulate(count for _, count in buckets))
    values: list[int | None] = []
    for percent in percents:
        rank = max(int(percent * total / 100 + 0.5), 1)
        values.append(next((value for (value, _), seen in zip(buckets, reached, strict=True) if seen >= rank), None))
    return values


def mean_and_deviation(histogram: HdrHistogram) -> tuple[float, float]:
    """Return the mean of the buckets' middle values, as HdrHistogram computes it."""
    lowest = histogram.get_lowest_equivalent_value
    middles = [((lowest(value) + value + 1) // 2, count) for value, count in recorded(histogram)]
    mean = sum(middle * count for middle, count in middles) / histogram.total_count
    square = sum((middle - mean) ** 2 * count for middle, count in middles) / histogram.total_count
    return mean, math.sqrt(square)


def _check_examples(run: Document) -> None:
    """There is one example of every kind of wrong reply that was counted, in whatever phase; none of others."""
    messages, kinds = run["messages_all_phases"], [example["kind"] for example in run["examples"]]
    assert kinds.count("unexpected") == min(messages["unexpected"], 1)
    if own(run):
        assert messages["corrupted"] >= kinds.count("rejected") and (messages["corrupted"] == 0) is (kinds == [])
    else:
        assert kinds.count("corrupted") == min(messages["corrupted"], 1) and "rejected" not in kinds
    assert all(example["difference"] for example in run["examples"])


def _check_counts(run: Document, *, echoed: bool) -> None:
    conditions, connections = run["conditions"], run["connections"]
    for name in ("messages", "messages_all_phases"):
        messages = run[name]
        replies = messages["received"] - messages["pushed"]
        assert messages["sent"] - messages["one_way"] == replies + messages["lost"], name
    messages, sent_bytes = run["messages"], run["bytes"]
    if not own(run):
        assert sent_bytes["payload_sent"] == messages["sent"] * conditions["payload_size"]
        assert messages["one_way"] == messages["pushed"] == 0
    if echoed and not own(run):
        assert sent_bytes["payload_received"] == messages["received"] * conditions["payload_size"]
    assert run["timestamps"]["kernel"] + run["timestamps"]["user"] == messages["received"]
    assert sum(worker["messages"] for worker in run["generator"]["workers"]) == messages["received"]
    assert len(run["generator"]["workers"]) == conditions["processes"]
    ended = sum(connections["close_codes"].values())
    assert ended == connections["opened"] + connections["reconnected"]
    if conditions["duration_ns"]:
        per_s = messages["sent"] * 1e9 / conditions["duration_ns"]
        assert abs(run["throughput"]["sent_per_s"] - per_s) < 0.001


def _check_latencies(run: Document, logged: Mapping[str, HdrHistogram]) -> None:
    messages, connections = run["messages"], run["connections"]
    replies = messages["received"] - messages["pushed"]
    counts = {"response": replies, "service": replies, "read_lag": run["latency"]["read_lag"]["count"]}
    assert counts["read_lag"] == messages["received"] or own(run)
    counts["send_lag"] = messages["sent"]
    counts |= dict.fromkeys(("connect", "tcp", "upgrade"), connections["opened"] + connections["reconnected"])
    counts["tls"] = counts["connect"] if run["conditions"]["tls"] else 0
    lost = {"response": messages["lost"] + messages["missed"]}
    lost |= dict.fromkeys(("service", "read_lag"), messages["lost"])
    for name in (*own(run), *run["latency"].keys() & {AWAY}):
        counts[name], lost[name] = (run["latency"][name][key] for key in ("count", "lost"))
    assert run["latency"].keys() == counts.keys()
    assert set(logged) == {name for name, count in counts.items() if count}
    for name, latency in run["latency"].items():
        assert (latency["count"], latency["lost"]) == (counts[name], lost.get(name, 0)), name
        if counts[name]:
            assert logged[name].total_count == counts[name], name
            _check_figures(latency, logged[name], name)
        else:
            assert all(value is None for key, value in latency.items() if key.endswith("_ns")), name


def _check_figures(latency: Document, histogram: HdrHistogram, name: str) -> None:
    figures = [latency[key] for key in _PERCENTILES]
    assert figures == values_at(recorded(histogram), _PERCENTILES.values(), latency["lost"]), name
    for key, percent in _PERCENTILES.items():
        if not latency["lost"]:
            assert latency[key] == histogram.get_value_at_percentile(percent), f"{name} {key}"
    assert latency["min_ns"] == histogram.get_min_value(), name
    assert latency["max_ns"] == histogram.get_max_value(), name
    mean, deviation = mean_and_deviation(histogram)
    assert abs(latency["mean_ns"] - mean) <= 1 and abs(latency["stddev_ns"] - deviation) <= 1, name


def _check_distributions(run: Document, directory: Path) -> None:
    """The .hgrm of every series: its footer in ms, and as many values as run.json has."""
    for name, latency in run["latency"].items():
        path = directory / f"{quote(name, safe='+')}.hgrm"
        if name not in LATENCIES and not latency["count"]:
            assert not path.exists(), path
            continue
        text = path.read_text()
        footer = {
            key: float(value) for key, value in re.findall(r"(Mean|StdDeviation|Max|Total count) += +([\d.]+)", text)
        }
        assert footer["Total count"] == latency["count"], path
        for key, figure in (("Mean", "mean_ns"), ("StdDeviation", "stddev_ns"), ("Max", "max_ns")):
            assert abs(footer[key] - (latency[figure] or 0) / 1e6) <= 0.001, (path, key)
        rows = [line.split() for line in text.splitlines()[1:] if line and not line.startswith("#")]
        assert bool(rows) == bool(latency["count"]), path
        if rows:
            assert (rows[-1][1], int(rows[-1][2])) == ("1.000000000000", latency["count"]), path


def _check_timeline(run: Document, rows: list[dict[str, str]]) -> None:
    assert rows, "an empty timeline"
    phases = [row["phase"] for row in rows]
    assert phases == sorted(phases, key=["ramp", "warmup", "measure", "drain"].index)
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
    everything, measured = run["messages_all_phases"], run["messages"]
    for name in ("sent", "received", "lost", "missed", "corrupted", "rejected"):
        assert sum(int(row[name]) for row in rows) == everything[name], name
        assert sum(int(row[name]) for row in rows if row["phase"] == "measure") == measured[name], name
    sent_bytes = sum(int(row["bytes_sent"]) for row in rows)
    assert sent_bytes == everything["sent"] * run["conditions"]["payload_size"] or own(run)
    assert rows[-1]["connections"] == rows[-1]["wanted"] == "0"


def assert_equals_stats(run: Document, before: Document, after: Document) -> None:
    """Assert that a `wsbench serve` counted what a run without losses reports."""
    gained = {name: after[name] - before[name] for name in after if isinstance(after[name], int)}
    messages, connections = run["messages_all_phases"], run["connections"]
    assert gained["messages_in"] == messages["sent"] and gained["messages_out"] == messages["received"]
    assert messages["received"] > 0 or own(run)
    if not own(run):
        assert messages["sent"] == messages["received"]
        assert gained["bytes_in"] == gained["bytes_out"] == messages["sent"] * run["conditions"]["payload_size"]
    assert gained["connections_opened"] == connections["opened"] + connections["reconnected"]
    assert after["connections_open"] == 0


def assert_error(result: CliResult, code: int, said: str = "") -> None:
    """Assert that a command failed as documented: its exit code, one or two lines, and nothing else."""
    lines = result.stderr.splitlines()
    assert result.returncode == code, result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert 1 <= len(lines) <= 2 and all(line.strip() for line in lines), result.stderr
    assert lines[0].startswith("wsbench: error: "), result.stderr
    assert said in result.stderr
