"""Master and workers on hosts of their own: network namespaces, joined by a cable of our own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from helpers import components, process

SCENARIO = str(process.TESTS.parent / "scenarios" / "echo.py")
NETWORK = "10.213.77"
READ = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())"


def _ip(*arguments: str) -> None:
    ip = components.tool("ip")
    assert ip is not None
    subprocess.run([ip, *arguments], check=True, capture_output=True, timeout=process.scaled(20))


@contextmanager
def hosts() -> Iterator[tuple[str, str]]:
    """Two namespaces that reach each other as NETWORK.1 and NETWORK.2; removed with all that is in them."""
    names = tuple(f"wsbench-{role}-{os.getpid()}" for role in ("a", "b"))
    with ExitStack() as stack:
        for name in names:
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "delete", name)
        _ip("link", "add", "cable", "netns", names[0], "type", "veth", "peer", "name", "cable", "netns", names[1])
        for number, name in enumerate(names, 1):
            _ip("-n", name, "address", "add", f"{NETWORK}.{number}/24", "dev", "cable")
            for device in ("cable", "lo"):
                _ip("-n", name, "link", "set", device, "up")
        yield names


@pytest.mark.needs("netns")
def test_workers_on_another_host_deliver_everything_to_the_master(tmp_path: Path) -> None:
    locust = [sys.executable, "-m", "locust", "-f", SCENARIO, "--headless"]
    with hosts() as (here, there), ExitStack() as stack:

        def on(host: str, *command: str) -> process.Running:
            ip = components.tool("ip")
            running = process.Running([str(ip), "netns", "exec", host, *command], cwd=tmp_path)
            stack.callback(running.stop)
            return running

        target = on(here, sys.executable, "-m", "wsbench", "serve", "--host", f"{NETWORK}.1", "--port", "8765")
        url = target.wait_for(r"^listening on (ws\S+)")[1]
        master = on(
            here, *locust, "--master", "--master-bind-host", f"{NETWORK}.1", "--expect-workers", "2", "-u", "20",
            "--rate", "400", "--duration", "3s", "--warmup", "500ms", "--host", url,
        )  # fmt: skip
        workers = [on(there, *locust, "--worker", "--master-host", f"{NETWORK}.1") for _ in range(2)]
        assert master.finish(60).returncode == 0
        for worker in workers:
            assert worker.finish(30).returncode == 0
        stats = on(here, sys.executable, "-c", READ, f"http://{NETWORK}.1:8765/stats")
        seen = json.loads(stats.finish(20).stdout)["messages_in"]
    (found,) = (tmp_path / "results").glob("*/run.json")
    run = json.loads(found.read_text())
    assert run["messages_all_phases"]["sent"] == run["messages_all_phases"]["received"] == seen
    assert run["messages"]["sent"] == 1200
    assert run["complete"] is True
    assert len(run["generator"]["workers"]) == 2
    assert run["timestamps"]["source"] == "kernel"
