"""The live page and Locust's tab during a real run, the echo target's page, and `wsbench run` in a terminal."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from helpers import runs
from helpers.browser import NARROW, WIDE, open_page
from helpers.runs import EchoTarget
from helpers.web_ui import WebUi, web_ui
from playwright.sync_api import Browser
from rich.console import Console
from rich.text import Text

_FORM = {"user_count": 50, "spawn_rate": 100, "rate": "2000", "compression": "on", "warmup": "1s", "duration": ""}
_SECONDS = 12
_SUMMARY = ("-u", "50", "--rate", "2000", "-d", "5s", "--warmup", "1s")


def pictures(browser: Browser) -> Iterator[tuple[str, bytes]]:
    """Yield each picture for a desktop, and those of pages also for a phone in dark mode."""
    with tempfile.TemporaryDirectory() as directory, runs.echo_target("--compression", "on") as target:
        yield from _echo_page(browser, target)
        yield "terminal", _terminal(browser, target, Path(directory))
        with web_ui(Path(directory)) as ui:
            yield from _live(browser, ui, target)


def _live(browser: Browser, ui: WebUi, target: EchoTarget) -> Iterator[tuple[str, bytes]]:
    home = f"http://127.0.0.1:{ui.port}/"
    with open_page(browser, width=WIDE) as page:
        page.goto(home)
        page.click("text=Custom parameters")
        page.locator("input[name=rate]").scroll_into_view_if_needed()
        page.wait_for_timeout(500)  # for the form to unfold
        yield "start-form", page.screenshot(animations="disabled")
    ui.post("/swarm", host=target.url, **_FORM)
    ui.wait_until(lambda: len(ui.live().get("points", [])) > _SECONDS, "some seconds of a run")
    for name, options in (
        ("live", {"width": WIDE, "height": 1200}),
        ("live-phone", {"width": NARROW, "height": 844, "dark": True}),
    ):
        with open_page(browser, **options) as page:
            page.goto(f"{home}wsbench/")
            page.wait_for_selector("#charts:not([hidden])")
            yield name, page.screenshot(animations="disabled")
    with open_page(browser, width=WIDE) as page:
        page.goto(f"{home}?tab=websocket")
        page.wait_for_selector("text=/^p50 .+ p99 .+/")
        yield "locust-tab", page.screenshot(animations="disabled")
    known = ui.finished()
    ui.post("/stop")
    ui.wait_until(lambda: ui.finished() > known, "the result")


def _echo_page(browser: Browser, target: EchoTarget) -> Iterator[tuple[str, bytes]]:
    for name, width, dark in (("echo-page", WIDE, False), ("echo-page-phone", NARROW, True)):
        with open_page(browser, width=width, dark=dark) as page:
            page.goto(target.url.replace("ws", "http", 1).replace("/echo", "/"))
            page.fill("#subprotocols", "chat")
            page.click("#open")
            page.click("#send")
            page.wait_for_selector("li.RECEIVE")
            page.click("#series")
            page.wait_for_selector("text=100 replies")
            page.click("#close")
            page.wait_for_selector("li.CLOSE")
            yield name, page.screenshot(animations="disabled", full_page=True)


def _terminal(browser: Browser, target: EchoTarget, directory: Path) -> bytes:
    """Return the output of `wsbench run`, drawn by rich. It goes to a pipe, so there are no progress lines."""
    command = [sys.executable, "-m", "wsbench", "run", target.url, *_SUMMARY]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=60, check=True)
    console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True)
    console.print(Text(f"$ wsbench run {target.url} {' '.join(_SUMMARY)}", "bold"))
    console.print(Text(done.stdout))
    with open_page(browser, width=1300) as page:
        # rich's page would load the font from another server
        drawing = re.sub(r"@font-face \{.*?\}", "", console.export_svg(title="wsbench"), flags=re.DOTALL)
        page.set_content(drawing.replace("Fira Code", "DejaVu Sans Mono"))
        return page.locator("svg").screenshot()
