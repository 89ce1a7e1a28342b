"""A sample result of a run, for tests of reports."""

from __future__ import annotations

from wsbench.measure.findings import Finding
from wsbench.measure.series import SERIES
from wsbench.results.run_result import (
    SCHEMA,
    Bytes,
    Conditions,
    ConnectionCounts,
    Environment,
    ErrorCount,
    Gate,
    Generator,
    Latency,
    MessageCounts,
    NegotiatedWith,
    Outcome,
    ReplyExample,
    Run,
    TargetResult,
    Throughput,
    Timestamps,
    WholeRun,
    Worker,
)

EXAMPLES = [
    ReplyExample("corrupted", '{"id":7}', 'You said: {"id":7}', "10 bytes before the message: 'You said: '", 0),
    ReplyExample("rejected", None, '{"error":"no funds"}', "no funds", name="order"),
    ReplyExample("unexpected", None, "<b>welcome</b>", "no message awaited a reply"),
]
"""Examples of wrong replies, which a sound run has not."""

RUN = Run(
    schema=SCHEMA,
    id="20261122T091500Z-echo",
    name="echo",
    complete=True,
    started="2026-11-22T09:15:00.000Z",
    wsbench="0.1.0",
    command=["wsbench", "run"],
    conditions=Conditions(
        url="ws://127.0.0.1:8765/echo",
        scenario="echo",
        loop="open",
        rate=1000.0,
        arrivals="constant",
        in_flight=1,
        users=50,
        processes=1,
        payload_size=128,
        binary=False,
        compression="off",
        tls=False,
        duration_ns=10_000_000_000,
        warmup_ns=2_000_000_000,
        timeout_ns=10_000_000_000,
    ),
    negotiated=NegotiatedWith(tls_version="TLSv1.3"),
    target=TargetResult(name="wsbench serve", cpu_s=1.5),
    environment=Environment("cpu", 2, "6.1", "3.11", {"locust": "2.47"}, 20_000, "abc"),
    connections=ConnectionCounts(asked=50, opened=50, close_codes={"1000": 50}),
    messages=MessageCounts(sent=10_000, received=9_950, lost=50),
    messages_all_phases=MessageCounts(sent=12_000, received=11_950, lost=50),
    bytes=Bytes(1, 2, 3, 4),
    throughput=Throughput(1000.0, 995.0),
    latency={
        **{name: Latency() for name in SERIES},
        "response": Latency(9_950, 50, 1_000, 25_000, 3_000, 24_123, 40_000, 67_600, None, None, 1_780_000),
        "service": Latency(9_950, 50, 900, 20_000, 3_000, 18_000, 30_000, 50_000, None, None, 1_700_000),
        "connect": Latency(50, 0, 1_000, 2_000, 100, 15_500_000, 1, 1, 1, 1, 35_800_000, {"p99.9_ns": 8}),
    },
    timestamps=Timestamps("kernel", 9_950, 0),
    errors=[ErrorCount("closed", "target", 1, "the server closed the connection with 1011")],
    generator=Generator("ok", [Finding("few-samples", "…", "…")], 11.5, workers=[Worker(0, 40.0, 70.0, 10**8, 9_950)]),
    gates=[Gate("p99 > 5ms", False, "1.20 ms")],
    outcome=Outcome("passed"),
    ended_by="duration",
    whole_run=WholeRun(50, 0, 12_000, 50, 51),
)
