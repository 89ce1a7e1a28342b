"""The kernel's own word: latencies against a packet capture of the same run.

A reply's instant is the same in both: the kernel stamps a packet once. A message's is not: `sent` is read before the
system call, the capture sees the packet behind it. So a service time is never less than the capture's, and more by a
walk through the kernel, some microseconds; unless the sender loses its core just then, which a busy machine may do to
more than one message in a hundred. Hence a server that takes two milliseconds, beside which that is little.
"""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict, deque
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from helpers import components, process, runs

US = 1_000
ATTEMPTS = 3
MEASURE_S = 3
PAYLOAD = 128
CLIENT_FRAME, SERVER_FRAME = PAYLOAD + 8, PAYLOAD + 4
BUCKET = 0.001
EDGE = 0.01
"""The share of messages at the edges of the measure phase that may be due in it and not sent in it, or sent alone."""
PERCENTILES = {"p50_ns": 0.5, "p90_ns": 0.9, "p99_ns": 0.99}


def _service_times(capture: Path, port: int) -> list[tuple[float, float]]:
    """Return for every message when its packet was seen (s since 1970), and how long after that its reply's (ns)."""
    tshark = components.tool("tshark")
    assert tshark is not None
    fields = ["frame.time_epoch", "tcp.stream", "tcp.dstport", "tcp.len"]
    command = [tshark, "-r", str(capture), "-Y", "tcp.len>0", "-T", "fields", *(f"-e{field}" for field in fields)]
    rows = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    under_way: dict[str, deque[float]] = defaultdict(deque)
    times = []
    for row in rows:
        instant, stream, destination, size = row.split("\t")
        if int(destination) == port and int(size) == CLIENT_FRAME:
            under_way[stream].append(float(instant))
        elif int(destination) != port and int(size) == SERVER_FRAME:
            sent = under_way[stream].popleft()
            times.append((sent, (float(instant) - sent) * 1e9))
    return times


def _captured_run(run_cli: Callable[..., Any], url: str, capture: Path) -> tuple[Any, list[float]]:
    """A run's document, and the sorted service times of its measure phase according to the capture."""
    port = int(re.search(r":(\d+)/", url)[1])  # type: ignore[index]
    tshark = components.tool("tshark")
    assert tshark is not None
    sniffer = process.Running(
        [tshark, "-i", "lo", "-f", f"tcp port {port}", "-s", "96", "-B", "64", "-w", str(capture)]
    )
    try:
        # It says that it captures before it does so, and the name of its file when it does.
        sniffer.wait_for("File: ", 60)
        run = run_cli(
            "run", url, "-u", "20", "--rate", "1000", "-d", f"{MEASURE_S}s", "--warmup", "500ms", "--json",
            "--payload-size", str(PAYLOAD),
        ).json()  # fmt: skip
    finally:
        sniffer.stop()
    times = _service_times(capture, port)
    assert len(times) == run["messages_all_phases"]["received"], "the capture lost packets: nothing can be said"
    rows = runs.timeline(capture.parent / "results" / run["id"] / "timeline.csv")
    begin_s = datetime.fromisoformat(next(row["time"] for row in rows if row["phase"] == "measure")).timestamp()
    return run, sorted(time_ns for sent, time_ns in times if begin_s <= sent < begin_s + MEASURE_S)


@pytest.mark.quiet
@pytest.mark.needs("tshark")
def test_service_times_are_those_of_a_packet_capture(run_cli: Callable[..., Any], tmp_path: Path) -> None:
    server, url = process.start_server("wsbench", "serve", "--port", "0", "--delay", "2ms")
    try:
        for attempt in range(ATTEMPTS):
            run, times = _captured_run(run_cli, url, tmp_path / f"{attempt}.pcapng")
            service = run["latency"]["service"]
            assert abs(len(times) - service["count"]) <= EDGE * len(times)
            for name, share in PERCENTILES.items():
                assert service[name] >= times[int(len(times) * (share - EDGE))] * (1 - BUCKET) - US, name
            p50, p99 = (times[int(len(times) * share)] for share in (0.5, 0.99))
            close = service["p50_ns"] <= p50 + 50 * US and service["p99_ns"] <= p99 * 1.1
            if close:
                break
    finally:
        server.stop()
    assert close, (service, p50, p99)
