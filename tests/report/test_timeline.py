"""timeline.csv: a row for every interval, and an empty cell where there is no figure."""

from __future__ import annotations

import csv
import io

from wsbench.measure.delta import IntervalDelta
from wsbench.measure.histogram import Buckets, record
from wsbench.report.timeline import COLUMNS, encode, make_row

S = 1_000_000_000
T = 1_795_000_000 * S + 250_000_000


def spread(*values: tuple[int, int]) -> Buckets:
    buckets: Buckets = {}
    for value, count in values:
        record(buckets, value, count)
    return buckets


def rows(*intervals: IntervalDelta, cpu: dict[tuple[str, int], float] | None = None) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(encode(list(map(make_row, intervals)), cpu or {}).decode())))


BUSY = IntervalDelta(
    "measure",
    T + 2 * S,
    {
        "sent": 102,
        "received": 100,
        "lost": 1,
        "missed": 1,
        "corrupted": 7,
        "rejected": 4,
        "errors_listed": 3,
        "payload_sent": 13_056,
        "payload_received": 12_800,
    },
    {
        "response": spread((1_000, 90), (1_500, 9), (1_999, 1)),
        "service": spread((500, 99), (900, 1)),
        "send_lag": spread((10, 101), (70, 1)),
        "read_lag": spread((20, 95), (80, 5)),
    },
)


def test_the_columns() -> None:
    assert encode([], {}).decode() == ",".join(COLUMNS) + "\n"
    names = """
        time elapsed_s phase connections sent received lost bytes_sent bytes_received
        response_p50_ns response_p99_ns response_max_ns service_p50_ns service_p99_ns service_max_ns
        send_lag_p99_ns read_lag_p99_ns worker_cpu_percent
        missed corrupted connect_failed dropped errors wanted away_s rejected"""
    assert list(COLUMNS) == names.split()


def test_a_row_has_the_figures_of_its_interval() -> None:
    (row,) = rows(BUSY, cpu={("measure", T + 2 * S): 41.26})
    assert row == {
        "time": "2026-11-18T11:06:42.250Z",
        "elapsed_s": "0.000",
        "phase": "measure",
        "connections": "0",
        "sent": "102",
        "received": "100",
        "lost": "1",
        "bytes_sent": "13056",
        "bytes_received": "12800",
        "response_p50_ns": "1000",
        "response_p99_ns": "",  # the lost and the missed one rank above 98 %
        "response_max_ns": "1999",
        "service_p50_ns": "500",
        "service_p99_ns": "900",  # what was never sent was not lost by the server
        "service_max_ns": "900",
        "send_lag_p99_ns": "10",
        "read_lag_p99_ns": "80",
        "worker_cpu_percent": "41.3",
        "missed": "1",
        "corrupted": "7",
        "connect_failed": "0",
        "dropped": "0",
        "errors": "12",
        "wanted": "0",
        "away_s": "0.000",
        "rejected": "4",  # among the corrupted
    }


def test_every_interval_has_a_row_even_when_nothing_happened_in_it() -> None:
    quiet = IntervalDelta("drain", T + 5 * S)
    found = rows(IntervalDelta("ramp", T), IntervalDelta("warmup", T + S), BUSY, quiet)
    assert [(row["phase"], row["elapsed_s"]) for row in found] == [
        ("ramp", "0.000"),
        ("warmup", "1.000"),
        ("measure", "2.000"),
        ("drain", "5.000"),
    ]
    empty = {name for name, cell in found[-1].items() if cell == ""}
    assert empty == {name for name in COLUMNS if name.endswith("_ns")} | {"worker_cpu_percent"}
    assert [found[-1][name] for name in ("sent", "received", "lost", "bytes_sent")] == ["0"] * 4


def test_connections_are_those_open_at_the_intervals_end() -> None:
    found = rows(
        IntervalDelta("ramp", T, {"connections_opened": 30}),
        IntervalDelta("measure", T + S, {"connections_opened": 20, "connections_closed": 5}),
        IntervalDelta("measure", T + 2 * S),
        IntervalDelta("drain", T + 3 * S, {"connections_closed": 45}),
    )
    assert [row["connections"] for row in found] == ["30", "45", "45", "0"]


def test_connections_that_are_away_are_wanted_all_the_same() -> None:
    found = rows(
        IntervalDelta("ramp", T, {"connections_opened": 5, "connections_wanted": 5}),
        IntervalDelta("measure", T + S, {"connections_closed": 4, "dropped": 4, "away_ns": 2 * S + S // 2}),
        IntervalDelta("measure", T + 2 * S, {"connections_opened": 3, "connect_failed": 7, "away_ns": S // 1000}),
        IntervalDelta("drain", T + 3 * S, {"connections_closed": 4, "connections_wanted": -5}),
    )
    names = ("connections", "wanted", "dropped", "connect_failed", "away_s")
    assert [tuple(row[name] for name in names) for row in found] == [
        ("5", "5", "0", "0", "0.000"),
        ("1", "5", "4", "0", "2.500"),
        ("4", "5", "0", "7", "0.001"),
        ("0", "0", "0", "0", "0.000"),
    ]


def test_lines_end_in_a_newline_alone() -> None:
    text = encode([make_row(BUSY)], {})
    assert text.count(b"\n") == 2
    assert text.endswith(b"\n")
    assert b"\r" not in text
