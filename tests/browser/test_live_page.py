"""The live page, and Locust's own with what is added to it, in a browser: real runs, one after another."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import runs
from helpers.browser import NARROW, WIDE, sideways
from helpers.process import scaled
from helpers.runs import EchoTarget
from helpers.web_ui import WebUi, web_ui
from helpers.websocket_server import websocket_server
from playwright.sync_api import Page, expect
from websockets.sync.server import ServerConnection

MARKUP = "<img src=x onerror=alert(1)><b>bold</b>"
OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def target() -> Iterator[EchoTarget]:
    with runs.echo_target("--compression", "on") as target:
        yield target


@pytest.fixture(scope="module", params=[1, 2], ids=["one process", "two workers"])
def ui(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebUi]:
    with web_ui(tmp_path_factory.mktemp("live"), processes=request.param) as ui:
        yield ui


def home(ui: WebUi) -> str:
    return f"http://127.0.0.1:{ui.port}/"


def shown(page: Page, label: str) -> str:
    """The figure of a tile."""
    return page.locator(".tile", has_text=label).locator("b").inner_text()


def start_from_the_form(page: Page, where: str, target: EchoTarget, **fields: str) -> None:
    page.goto(where)
    form, again = page.get_by_text("Custom parameters"), page.get_by_role("button", name="New", exact=True)
    deadline = time.monotonic() + scaled(30)
    while not form.is_visible():  # one click has been seen not to be enough
        assert time.monotonic() < deadline, page.inner_text("body")
        if again.is_visible():
            again.click()
        page.wait_for_timeout(100)
    form.click()
    for name, value in {"userCount": "4", "spawnRate": "100", "host": target.url, **fields}.items():
        page.fill(f"input[name={name}]", value)
    page.get_by_role("button", name="Start", exact=True).click()


def test_a_run_from_the_form_to_its_files(open_page: OpenPage, ui: WebUi, target: EchoTarget, tmp_path: Path) -> None:
    page = open_page(width=WIDE)
    fields = {"rate": "300", "payloadSize": "256", "compression": "on", "warmup": "200ms", "duration": ""}
    start_from_the_form(page, home(ui), target, **fields)
    page.wait_for_selector("text=WebSocket: live page")
    page.click("text=WebSocket: live page")
    page.wait_for_selector("text=/^measure$/")
    expect(page.locator("#asked")).to_contain_text("4 connections, 300 messages/s (constant), 256 bytes")
    expect(page.locator("#asked")).to_contain_text("compression on")
    page.wait_for_selector("#verdict:not([hidden])")
    expect(page.locator("#result")).to_have_text("so far: nothing went wrong")
    before = int(page.locator("#messages tr", has_text="sent").first.locator("td").inner_text().replace(",", ""))
    version = page.evaluate("Number(document.documentElement.dataset.version)")
    page.wait_for_function("known => Number(document.documentElement.dataset.version) > known + 1", arg=version)
    later = int(page.locator("#messages tr", has_text="sent").first.locator("td").inner_text().replace(",", ""))
    assert later > before
    assert shown(page, "connections open") == "4"
    # a second that has just begun may have no reply yet
    expect(page.locator(".tile", has_text="response p99").locator("b")).to_contain_text(re.compile("s$"))
    assert "permessage-deflate" in page.locator("#negotiated").inner_text()
    assert page.locator("#workers tbody tr").count() == len(ui.live()["workers"])
    for chart in ("response", "service", "curve", "rates", "connected", "lags"):
        assert page.locator(f"#{chart} .scatterlayer .trace").count() > 0, chart
    known = ui.finished()
    page.click("#stop")
    page.wait_for_selector("text=/^over$/")
    page.wait_for_selector("text=latency.hlog")
    [directory] = ui.finished() - known
    run = runs.read(directory)
    assert (run["conditions"]["rate"], run["conditions"]["payload_size"]) == (300.0, 256)
    assert run["negotiated"]["compression"] is not None
    with page.expect_download() as download:
        page.locator(".result").first.locator("text=latency.hlog").click()
    saved = tmp_path / "latency.hlog"
    download.value.save_as(saved)
    assert runs.log_by_tag(saved)["response"].total_count == run["messages"]["received"] > 0
    with page.expect_download() as download:
        page.locator(".result").first.locator("text=run.json").click()
    assert json.loads(download.value.path().read_bytes())["id"] == directory.name
    verdict = page.locator("#word").inner_text()
    assert verdict.startswith(f"generator {run['generator']['verdict']}: ")
    assert page.locator("#result").inner_text() == run["outcome"]["result"] == "passed"


@pytest.mark.parametrize(("width", "dark"), [(NARROW, True), (WIDE, False)])
def test_it_fits_the_window(open_page: OpenPage, ui: WebUi, target: EchoTarget, width: int, dark: bool) -> None:
    ui.run(target, rate="", in_flight="1", duration="600ms")
    page = open_page(width=width, dark=dark)
    page.goto(home(ui) + "wsbench/")
    page.wait_for_selector("#charts:not([hidden])")
    assert sideways(page) == 0
    cut = page.locator(".tile, .tile b, h1, h2, .how, .result, td, figure").evaluate_all(
        "all => all.filter(it => it.clientWidth && it.scrollWidth > it.clientWidth + 1).map(it => it.outerHTML)"
    )
    assert cut == []


def test_the_tab_and_the_form_of_locusts_page(open_page: OpenPage, ui: WebUi, target: EchoTarget) -> None:
    page = open_page(width=WIDE)  # Locust hides the button for another run from phones
    start_from_the_form(page, home(ui), target, rate="fast")
    page.wait_for_selector("text=--rate: 'fast' is not a rate")
    page.fill("input[name=rate]", "200")
    page.fill("input[name=duration]", "")
    # a label is above its field and in full, though the field has no value
    label, field = (page.locator(f"{tag}[name=origin]" if tag == "input" else "label:has-text('Origin')").bounding_box()
                    for tag in ("label", "input"))  # fmt: skip
    assert label is not None and field is not None and label["y"] + label["height"] <= field["y"] + 1
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_role("tab", name="WebSocket").click()
    page.wait_for_selector("text=/^p50 .+ p99 .+ max .+/")
    expect(page.locator("table")).to_contain_text("4 open of 4 asked")
    known = ui.finished()
    ui.post("/stop")
    ui.wait_until(lambda: ui.finished() > known, "the result")


@pytest.fixture
def rude_server() -> Iterator[str]:
    """Answers the first message of every connection with markup, and closes it with markup for a reason."""

    def handler(connection: ServerConnection) -> None:
        connection.recv()
        connection.send(MARKUP)
        connection.close(4001, MARKUP)

    with websocket_server(handler) as url:
        yield url


def test_what_a_server_says_stays_text(open_page: OpenPage, ui: WebUi, rude_server: str) -> None:
    known = ui.finished()
    ui.post("/swarm", user_count=2, spawn_rate=100, host=rude_server, rate="20", duration="2s", warmup="0s")
    page = open_page()
    page.goto(home(ui) + "wsbench/")
    expect(page.locator("#errors")).to_contain_text(f"with 4001 (private use) {MARKUP}")
    expect(page.locator("#errors")).to_contain_text(f"unexpected, the first: another message: '{MARKUP[:40]}")
    expect(page.locator("#connections")).to_contain_text("closed with 4001")
    assert page.locator("#errors img, #errors b").count() == 0
    ui.wait_until(lambda: ui.finished() > known, "the result")
