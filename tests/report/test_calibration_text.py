"""A calibration as text."""

from __future__ import annotations

import pytest
from helpers.sample_run import RUN
from msgspec.structs import replace

from wsbench.report.text.calibration_text import render
from wsbench.results.calibration_result import Calibration, KnownAnswer, LoopSpeed

MACHINE = {
    "timer": {"p50_ns": 7_000, "p99_ns": 60_000},
    "plain_timer": {"p50_ns": 100_000},
    "round_trip": {"p50_ns": 15_000, "p99_ns": 70_000},
    "exact_timer": True,
    "kernel_timestamps": True,
    "payload_size": 128,
}
CALIBRATION = Calibration(
    schema=1,
    environment=RUN.environment,
    machine=MACHINE,
    closed_loop=LoopSpeed(18_350.0, "ok", 10.0),
    open_loop=LoopSpeed(9_000.0, "ok", 20.0),
    open_loop_limit=10_000.0,
    known_answers=[KnownAnswer("p50", 5_000_000, 5_100_000, 1_000_000), KnownAnswer("p90", 255_000_000, None, 1)],
    tls=LoopSpeed(9_000.0, "ok", 22.0),
    connection_bytes=17_200,
    process_bytes=80_700_000,
)


@pytest.mark.parametrize(
    ("calibration", "line"),
    [
        (CALIBRATION, "timer           timerfd: 7.00 µs late at p50, 60.0 µs at p99 (gevent's own: 100 µs)"),
        (CALIBRATION, "loopback floor  15.0 µs per round trip at p50, 70.0 µs at p99 (bare TCP, 128 bytes)"),
        (CALIBRATION, "open loop       9,000 messages/s with verdict ok (not 10,000)"),
        (replace(CALIBRATION, open_loop=None), "open loop       no rate with verdict ok (not 10,000)"),
        (CALIBRATION, "TLS             2.20 times the CPU per round trip"),
        (CALIBRATION, "compression     –"),
        (CALIBRATION, "memory          17.2 kB per connection, 80.7 MB for a process without connections"),
        (CALIBRATION, "known answer    response p50: 5.10 ms, expected 5.00 ms ± 1.00 ms: right"),
        (CALIBRATION, "known answer    response p90: –, expected 255 ms ± 1 ns: WRONG"),
    ],
)
def test_a_line_per_figure(calibration: Calibration, line: str) -> None:
    assert line in render(calibration).splitlines()
