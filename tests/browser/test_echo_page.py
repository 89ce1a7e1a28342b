"""The echo target's page in a browser, over ws and wss."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

import pytest
from helpers import runs
from helpers.browser import NARROW, WIDE, sideways
from helpers.runs import EchoTarget
from helpers.websocket_server import websocket_server
from playwright.sync_api import Page, expect
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection

from wsbench.targets.echo.try_page import PAGE, content_security_policy

MARKUP = "<img src=x onerror=alert(1)> <b>bold</b> &amp;"
OpenPage = Callable[..., Page]


@pytest.fixture(scope="module", params=["ws", "wss"])
def target(request: pytest.FixtureRequest) -> Iterator[EchoTarget]:
    options = ["--compression", "on", *(["--tls"] if request.param == "wss" else [])]
    with runs.echo_target(*options) as target:
        yield target


def home(target: EchoTarget) -> str:
    return target.url.replace("ws", "http", 1).replace("/echo", "/")


def log(page: Page) -> list[tuple[str, str, str]]:
    """(kind, text, round trip) of every line."""
    rows: list[Any] = page.locator("#log li").evaluate_all(
        "items => items.map(item => ['kind', 'text', 'trip'].map(name => item.querySelector('.' + name).textContent))"
    )
    return [(kind, text, trip) for kind, text, trip in rows]


def opened(page: Page, where: str) -> Page:
    page.goto(where)
    page.click("#open")
    page.wait_for_selector("li.OPEN")
    return page


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_open_send_close(open_page: OpenPage, target: EchoTarget, width: int) -> None:
    page = open_page(width=width, dark=width == NARROW)
    page.goto(home(target))
    assert page.input_value("#url") == target.url
    page.fill("#subprotocols", "chat, v2")
    page.click("#open")
    page.wait_for_selector("li.OPEN")
    page.fill("#message", MARKUP)
    page.click("#send")
    expect(page.locator("li.RECEIVE")).to_have_count(1)
    page.check("#binary")
    page.click("#send")
    expect(page.locator("li.RECEIVE")).to_have_count(2)
    page.click("#close")
    page.wait_for_selector("li.CLOSE")
    kinds = [kind for kind, _, _ in log(page)]
    assert kinds == ["OPEN", "SEND", "RECEIVE", "SEND", "RECEIVE", "CLOSE"]
    texts = [text for _, text, _ in log(page)]
    # a browser tells no parameters of the extension
    assert texts[0] == f"{target.url}: compression permessage-deflate, subprotocol chat"
    assert texts[1:3] == [MARKUP, MARKUP]
    assert texts[3:5] == [f"[{len(MARKUP)} bytes] {MARKUP}"] * 2
    assert texts[5] == "1000"
    trips = [trip for kind, _, trip in log(page) if kind in ("OPEN", "RECEIVE")]
    assert all(re.fullmatch(r"\d+\.\d+ ms", trip) for trip in trips), trips
    assert page.locator("#log img, #log b").count() == 0
    assert page.inner_text("#negotiated") == "negotiated: compression permessage-deflate, subprotocol chat"
    assert "2 round trips: p50 " in page.inner_text("#state")
    assert sideways(page) == 0


def test_send_n_times_draws_a_histogram(open_page: OpenPage, target: EchoTarget) -> None:
    page = opened(open_page(), home(target))
    before = target.stats()
    page.fill("#times", "300")
    page.click("text=Send 300 times")
    page.wait_for_selector("text=300 replies")
    gained = target.stats()["messages_in"] - before["messages_in"]
    assert gained == 300
    rows = page.locator("#trips tr")
    counts = [int(text.replace(",", "")) for text in rows.locator("td:last-child").all_inner_texts()]
    assert sum(counts) == 300
    assert all(text.startswith("≤ ") and text.endswith(" ms") for text in rows.locator("th").all_inner_texts())
    widths = rows.locator("div").evaluate_all("bars => bars.map(bar => bar.getBoundingClientRect().width)")
    assert widths.index(max(widths)) == counts.index(max(counts))
    assert [kind for kind, _, _ in log(page)] == ["OPEN", "SEND", "RECEIVE"]
    assert re.fullmatch(r"p50 .+ ms, p99 .+ ms, max .+ ms", log(page)[-1][2])


def test_a_finished_histogram_is_not_drawn_again(open_page: OpenPage, target: EchoTarget) -> None:
    """A row that is selected stays as it is, or its selected text would be lost."""
    page = opened(open_page(), home(target))
    page.evaluate(
        """() => new MutationObserver((_, observer) => {
          if (!document.querySelector("#log .RECEIVE")) return;
          observer.disconnect();
          window.row = document.querySelector("#trips tr");
        }).observe(document.getElementById("log"), {childList: true})"""
    )
    page.fill("#times", "300")
    page.click("#series")
    page.wait_for_function("() => window.row")
    page.wait_for_timeout(300)  # longer than the page waits with what it shows soon
    assert page.evaluate("() => window.row.isConnected")


def test_a_series_can_be_stopped_and_a_single_message_follows(open_page: OpenPage, target: EchoTarget) -> None:
    page = opened(open_page(), home(target))
    page.fill("#times", "100000")
    page.click("#series")
    page.click("text=/^Stop \\(/")
    page.wait_for_selector("li.RECEIVE")
    page.click("#send")
    expect(page.locator("li.RECEIVE")).to_have_count(2)


@pytest.fixture
def rude_server() -> Iterator[str]:
    """Serves the page; closes a connection at its first message, with markup for a reason."""

    def handler(connection: ServerConnection) -> None:
        connection.recv()
        connection.close(4001, MARKUP)

    def page(connection: ServerConnection, request: Request) -> Response | None:
        if "Upgrade" in request.headers:
            return None
        response = connection.respond(HTTPStatus.OK, PAGE.decode())
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "text/html; charset=utf-8"
        response.headers["Content-Security-Policy"] = content_security_policy([request.headers["Host"]])
        return response

    with websocket_server(handler, process_request=page) as url:
        yield url.replace("ws:", "http:")


def test_a_close_code_and_its_reason_are_shown_as_text(open_page: OpenPage, rude_server: str) -> None:
    page = opened(open_page(), rude_server)
    page.click("text=Send 100 times")
    page.wait_for_selector("li.CLOSE")
    assert log(page)[1:] == [
        ("SEND", '100 times, each after the reply to the previous one: {"text": "hello"}', ""),
        ("ERROR", "the connection closed with 100 of 100 messages unanswered", ""),
        ("CLOSE", f"4001 {MARKUP}", ""),
    ]
    assert page.locator("#log img, #log b").count() == 0
    assert page.locator("#send").is_disabled() and page.locator("#open").is_enabled()


def test_a_target_that_ends_says_so(open_page: OpenPage) -> None:
    with runs.echo_target() as target:
        page = opened(open_page(), home(target))
        target.server.stop()
        page.wait_for_selector("li.CLOSE")
        assert log(page)[-1][:2] == ("CLOSE", "1001")
