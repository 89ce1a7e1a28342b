"""Nothing is lost on the way from the workers to the result, however they end: twenty times out of twenty."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import runs
from helpers.runs import EchoTarget
from helpers.web_ui import web_ui

pytestmark = pytest.mark.timeout(300)
LEAVING, STAYING = 6, 14


@pytest.fixture(scope="module")
def target() -> Iterator[EchoTarget]:
    with runs.echo_target() as target:
        yield target


def test_four_workers_that_leave_and_the_target_agree_every_time(
    run_cli: Callable[..., Any], target: EchoTarget, tmp_path: Path
) -> None:
    options = ("-u", "8", "--processes", "4", "-d", "300ms", "--warmup", "0s", "--in-flight", "2", "--json")
    for _ in range(LEAVING):
        before = target.stats()
        run = run_cli("run", target.url, *options).json()
        assert run["complete"] is True
        assert len(run["generator"]["workers"]) == 4
        assert run["latency"]["response"]["count"] == run["messages"]["received"]
        runs.assert_equals_stats(run, before, target.stats())


def test_four_workers_that_stay_and_the_target_agree_every_time(target: EchoTarget, tmp_path: Path) -> None:
    with web_ui(tmp_path, processes=4) as ui:
        for _ in range(STAYING):
            run = ui.run(target, user_count=8, duration="300ms", warmup="0s", in_flight="2", rate="")
            assert run["complete"] is True
            assert len(run["generator"]["workers"]) == 4
            assert run["latency"]["response"]["count"] == run["messages"]["received"]
