"""The live page of a scenario: its name, counters and gates, while it runs and after it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from helpers import runs, web_ui
from helpers.browser import WIDE, sideways
from helpers.process import TESTS
from playwright.sync_api import Page, expect

SCENARIO = Path(TESTS, "helpers", "locustfiles", "gated.py")
GATES = ('"GET /api".p99 > 20s', '"replies seen" > 5', "connect.p99 > 20s", "throughput < 1/s", "nothing > 1")


def test_a_scenario_with_counters_and_gates(open_page: Callable[..., Page], tmp_path: Path) -> None:
    with runs.echo_target() as target, web_ui.web_ui(tmp_path, scenario=SCENARIO) as ui:
        page = open_page(width=WIDE)
        form = {"user_count": 3, "spawn_rate": 100, "host": target.url, "duration": "", "warmup": "0s"}
        assert ui.post("/swarm", **form, fail_if=",".join(GATES))["success"] is True
        page.goto(f"http://127.0.0.1:{ui.port}/wsbench/")
        expect(page.locator("#asked")).to_have_text("3 connections, scenario gated, until stopped")
        expect(page.locator("#counters")).to_contain_text("replies seen")
        expect(page.locator("#gates-word")).to_have_text("2 of 5 gates would fail now")
        shown = page.locator("#gates li").all_inner_texts()
        assert [text.startswith("FAILED") for text in shown] == [False, True, False, False, True]
        assert '"GET /api".p99 > 20s: ' in shown[0] and "–" not in "".join(shown[:4])
        assert "no counter is called nothing" in shown[4]
        assert sideways(page) == 0
        assert "NaN" not in page.inner_text("main")
        ui.post("/stop")
        expect(page.locator("#gates-word")).to_have_text("2 of 5 gates failed")
        ui.wait_until(ui.finished, "a result")
        [directory] = ui.finished()
        run = runs.read(directory, echoed=False)
        assert [gate["failed"] for gate in run["gates"]] == [False, True, False, False, True]
        expect(page.locator("#counters")).to_contain_text(f"{run['counters']['replies seen']:,}")
