"""The kernel's own word: latencies against a packet capture of the same run."""

from __future__ import annotations

import csv
import re
import subprocess
from collections import defaultdict, deque
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from helpers import components, process

US = 1_000
MEASURE_S = 5
PAYLOAD = 128
CLIENT_FRAME, SERVER_FRAME = PAYLOAD + 8, PAYLOAD + 4


def _service_times(capture: Path, port: int, begin_s: float) -> list[float]:
    """Seconds from each message's packet to its reply's, for messages sent in the measure phase; sorted."""
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
            if begin_s <= sent < begin_s + MEASURE_S:
                times.append(float(instant) - sent)
    return sorted(times)


@pytest.mark.needs("tshark")
def test_service_times_are_those_of_a_packet_capture(run_cli: Callable[..., Any], tmp_path: Path) -> None:
    server, url = process.start_server("wsbench", "serve", "--port", "0")
    port = int(re.search(r":(\d+)/", url)[1])  # type: ignore[index]
    capture = tmp_path / "run.pcapng"
    tshark = components.tool("tshark")
    assert tshark is not None
    sniffer = process.Running(
        [tshark, "-i", "lo", "-f", f"tcp port {port}", "-s", "96", "-B", "64", "-w", str(capture)]
    )
    try:
        sniffer.wait_for("Capture started|Capturing on")
        # tshark says so before it does so: wait until a packet of ours has been caught.
        sniffer.wait_for("File: ")
        run = run_cli(
            "run", url, "-u", "20", "--rate", "1000", "-d", f"{MEASURE_S}s", "--warmup", "500ms", "--json",
            "--payload-size", str(PAYLOAD),
        ).json()  # fmt: skip
    finally:
        sniffer.stop()
        server.stop()
    timeline = csv.DictReader((tmp_path / "results" / run["id"] / "timeline.csv").read_text().splitlines())
    begin = next(row["time"] for row in timeline if row["phase"] == "measure")
    times = _service_times(capture, port, datetime.fromisoformat(begin).timestamp())
    service = run["latency"]["service"]
    assert abs(len(times) - service["count"]) <= 2, "the capture lost packets: nothing can be said"
    assert service["p50_ns"] == pytest.approx(times[len(times) // 2] * 1e9, abs=50 * US)
    assert service["p99_ns"] == pytest.approx(times[int(len(times) * 0.99)] * 1e9, rel=0.1, abs=20 * US)
