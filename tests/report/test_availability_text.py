"""The time without connections in words: nothing to say where none was away."""

from __future__ import annotations

import pytest
from helpers.sample_run import RUN
from msgspec.structs import replace

from wsbench.report.availability_text import describe
from wsbench.report.html import tables
from wsbench.report.markdown import run_summary
from wsbench.report.openmetrics import encode
from wsbench.report.text.summary import render
from wsbench.results.run_result import Availability, Latency, Run

S = 1_000_000_000


def away(availability: Availability, failed: int, latency: Latency | None) -> Run:
    series = {} if latency is None else {"away": latency}
    connections = replace(RUN.connections, reconnects_failed=failed)
    return replace(RUN, availability=availability, connections=connections, latency={**RUN.latency, **series})


ALL_BACK = away(Availability(82.149, 500 * S, 89 * S, 8_200_000_000), 36, Latency(10, 0, p50_ns=8_400_000_000))


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (RUN, ""),
        (away(Availability(100.0, 500 * S), 0, None), ""),
        (
            ALL_BACK,
            "82.14 %, no connection at all for 8.20 s, back after 8.40 s (p50), 36 attempts to reconnect failed",
        ),
        (
            away(Availability(99.99999, 500 * S, 5, 0), 0, Latency(2, 1, p50_ns=5)),
            "99.99 %, back after 5 ns (p50), 1 not back at the end",
        ),
        (away(Availability(60.0, 500 * S, 200 * S, 30 * S), 0, Latency(0, 10)),
         "60 %, no connection at all for 30.0 s, 10 not back at the end"),
        (away(Availability(90.0, 500 * S, 50 * S), 0, None), "90 %"),  # one of ten was never open
    ],
)  # fmt: skip
def test_a_line_of_what_was_away(run: Run, said: str) -> None:
    assert describe(run) == said


def test_every_report_has_it() -> None:
    assert f"available    {describe(ALL_BACK)}" in render(ALL_BACK, "results/x").splitlines()
    assert "available" not in render(RUN, "results/x")
    assert "**Available:** 82.14 %, " in run_summary(ALL_BACK)
    assert ("available", describe(ALL_BACK)) in tables.connections(ALL_BACK)
    exported = encode(ALL_BACK, []).decode()
    assert "wsbench_availability_ratio 0.82149\n" in exported and "wsbench_outage_seconds 8.2\n" in exported
