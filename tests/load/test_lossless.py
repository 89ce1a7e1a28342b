"""Nothing is lost on the way from the workers to the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from helpers import process

TIMES = 20


@pytest.mark.timeout(300)
def test_four_workers_and_the_target_agree_every_time(run_cli: Callable[..., Any]) -> None:
    server, url = process.start_server("wsbench", "serve", "--port", "0")
    try:
        before = 0
        for _ in range(TIMES):
            run = run_cli(
                "run", url, "-u", "8", "--processes", "4", "-d", "300ms", "--warmup", "0s", "--in-flight", "2", "--json"
            ).json()
            messages = run["messages_all_phases"]
            seen = process.http_json(url, "/stats")["messages_in"]
            assert messages["sent"] == messages["received"] == seen - before
            assert run["latency"]["response"]["count"] == run["messages"]["received"]
            assert run["complete"] is True
            before = seen
    finally:
        server.stop()
