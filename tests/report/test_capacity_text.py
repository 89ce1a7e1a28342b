"""A capacity as text."""

from __future__ import annotations

import pytest
from helpers.sample_capacity import CAPACITY, STEPS, step
from msgspec.structs import replace

from wsbench.report.text import capacity_text
from wsbench.results.capacity_result import BOUND, CONNECTIONS, GENERATOR, Bounds, Capacity


def test_the_whole_text() -> None:
    assert capacity_text.render(CAPACITY, "results/x") == (
        "ws://127.0.0.1:8765/echo\n"
        "the highest rate at which p99 < 10ms and lost == 0; "
        "50 connections, constant arrivals, 128 B text, compression off, 1 process\n"
        "\n"
        "messages/s        p50        p99      p99.9    runs\n"
        "       100     500 µs    2.00 ms  (4.00 ms)       1  held\n"
        "       200     525 µs    2.10 ms  (4.20 ms)       1  held\n"
        "       400     600 µs    2.40 ms  (4.80 ms)       1  held\n"
        "       476    1.00 ms    4.00 ms  (8.00 ms)       1  held\n"
        "       497    2.00 ms    8.00 ms  (16.0 ms)       3  held\n"
        "       519    10.0 ms    40.0 ms  (80.0 ms)       2  did not hold\n"
        "       566    30.0 ms     120 ms   (240 ms)       2  did not hold\n"
        "       800    1.00 ms     900 ms   (1.80 s)       2  did not hold\n"
        "\n"
        "capacity     497 messages/s hold the objectives; 519 do not\n"
        "limited by   the target: at 519 messages/s, p99 was 50.0 ms\n"
        "knee         476 messages/s: p99 is 4.00 ms there, and rises steeply above it\n"
        "\n"
        "result: results/x\n"
    )


GAVE_OUT = [
    *STEPS[:3],
    step(800, GENERATOR, 40.0, why="p99 was 40.0 ms; generator saturated: it used 99 % of a core"),
    step(800, GENERATOR, 50.0, why="p99 was 50.0 ms; generator saturated: it used 100 % of a core"),
]


def searched_connections() -> Capacity:
    bounds = Bounds(10.0, 1.0, 100.0)
    conditions = replace(CAPACITY.conditions, connections=None, rate_per_connection=2.5, processes=2, tls=True)
    return replace(CAPACITY, searched=CONNECTIONS, bounds=bounds, conditions=conditions)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (CAPACITY, "the target: at 519 messages/s, p99 was 50.0 ms"),
        (
            replace(CAPACITY, limited_by=GENERATOR, failed_at=800.0, steps=GAVE_OUT),
            "the generator, not the target: at 800 messages/s, p99 was 50.0 ms; "
            "generator saturated: it used 100 % of a core",
        ),
        (
            replace(CAPACITY, limited_by=BOUND, failed_at=None),
            "the bound: 1,000,000 messages/s hold, and --max allows no more",
        ),
        (
            replace(searched_connections(), limited_by=GENERATOR, failed_at=None),
            "the generator: more than 100 connections need more open files than 2 processes may have on this machine",
        ),
    ],
)
def test_the_limit_names_its_owner(found: Capacity, expected: str) -> None:
    assert capacity_text.describe_limit(found) == expected


def test_other_ends() -> None:
    none = replace(CAPACITY, answer=None, failed_at=100.0)
    assert "\ncapacity     none: not even 100 messages/s hold the objectives\n" in capacity_text.render(none, "")
    stopped = replace(CAPACITY, complete=False, limited_by=None, stopped="interrupted", knee=None)
    text = capacity_text.render(stopped, "")
    assert "\nSTOPPED      interrupted\n             Held so far: 497 messages/s.\n" in text
    assert "limited by" not in text
    assert "\nknee         none: latency does not rise steeply within the measured loads\n" in text
    nothing = capacity_text.render(replace(stopped, answer=None), "")
    assert "No load has held so far." in nothing
    assert CAPACITY.answer is not None
    unsteady = replace(CAPACITY, answer=replace(CAPACITY.answer, settled=False))
    assert "Runs near this load contradict each other" in capacity_text.render(unsteady, "")
    generator = capacity_text.render(replace(CAPACITY, limited_by=GENERATOR), "")
    assert "capacity     at least 497 messages/s hold" in generator
    assert "use more --processes" in generator


def test_connections() -> None:
    found = searched_connections()
    assert capacity_text.describe(found) == (
        "the highest number of connections at which p99 < 10ms and lost == 0; "
        "2.5 messages/s per connection, constant arrivals, 128 B text, compression off, TLS, 2 processes"
    )
    assert (capacity_text.format_load(found, 1.0), capacity_text.format_load(found, 1200.0)) == (
        "1 connection",
        "1,200 connections",
    )
    assert capacity_text.step_started(found, 20.0, 10.0, None) == "[14] 20 connections (10 held)"
