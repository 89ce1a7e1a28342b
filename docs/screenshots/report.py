"""report.html of a run against a target that stalls periodically, as its heat map shows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from helpers import process, runs
from helpers.browser import open_page
from playwright.sync_api import Browser

_LOAD = ("-u", "50", "--rate", "1000", "--duration", "60s", "--warmup", "2s", "--name", "stalls")
_STALLS = "300ms every 20s"


def pictures(browser: Browser) -> Iterator[tuple[str, bytes]]:
    """Yield the top of the report for a desktop, and the heat map for a phone in dark mode."""
    with tempfile.TemporaryDirectory() as directory, runs.echo_target("--stall", _STALLS) as target:
        done = process.run_cli("run", target.url, *_LOAD, cwd=directory, timeout=120)
        assert done.returncode == 0, done.stderr
        report = runs.only(Path(directory) / "results") / "report.html"
        for name, options, top in (
            ("report", {"width": 1280, "height": 1200}, "header"),
            ("report-heat-map", {"width": 1280, "height": 560}, "#heat"),
            ("report-phone", {"width": 390, "height": 844, "dark": True}, "#heat"),
        ):
            with open_page(browser, offline=True, **options) as page:
                page.goto(report.as_uri())
                page.wait_for_selector("html[data-drawn]", state="attached")
                page.evaluate(
                    "(top) => (document.querySelector(top).closest('section') || document.body).scrollIntoView()", top
                )
                page.wait_for_timeout(300)  # for the browser to scroll and draw
                yield name, page.screenshot(animations="disabled")
