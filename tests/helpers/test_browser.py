"""The browser that other tests use: it must notice what goes wrong in a page."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Browser, Page

from helpers import browser as helper

pytestmark = pytest.mark.needs("chromium")


def _write(tmp_path: Path, body: str) -> str:
    file = tmp_path / "page.html"
    file.write_text(f"<!doctype html><meta charset=utf-8><title>page</title>{body}")
    return file.as_uri()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("<script>console.error('bad thing')</script>", "console: bad thing"),
        ("<script>nowhere()</script>", "exception: nowhere is not defined"),
        ("<img src='http://192.0.2.1/x.png'>", r"leaves this machine: http://192\.0\.2\.1/x\.png"),
        ("<script>new WebSocket('ws://192.0.2.1/')</script>", r"leaves this machine: ws://192\.0\.2\.1/"),
        ("<script src='missing.js'></script>", r"request failed: file:.*missing\.js"),
    ],
)
def test_what_goes_wrong_in_a_page_fails_whoever_opened_it(
    browser: Browser, tmp_path: Path, body: str, said: str
) -> None:
    with pytest.raises(AssertionError, match=said), helper.open_page(browser) as page:
        page.goto(_write(tmp_path, body))
        page.wait_for_timeout(50)


def test_a_good_page_passes_and_can_be_looked_at(open_page: object, tmp_path: Path) -> None:
    page: Page = open_page(width=helper.NARROW, dark=True, offline=True)  # type: ignore[operator]
    page.goto(_write(tmp_path, "<h1>Hello</h1><script>console.warn('only a warning')</script>"))
    assert page.get_by_role("heading").inner_text() == "Hello"
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert helper.sideways(page) == 0
    assert helper.picture(page, tmp_path / "pictures" / "page.png").read_bytes().startswith(b"\x89PNG")


def test_a_page_wider_than_its_window_is_noticed(open_page: object, tmp_path: Path) -> None:
    page: Page = open_page(width=helper.NARROW)  # type: ignore[operator]
    page.goto(_write(tmp_path, "<div style='width:500px'>wide</div>"))
    assert helper.sideways(page) >= 100


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.2:80/x", True),
        ("ws://[::1]:1/", True),
        ("https://localhost/", True),
        ("data:text/html,x", True),
        ("http://10.0.0.1/", False),
        ("https://cdn.example/", False),
    ],
)
def test_loopback_is_local_and_nothing_else(url: str, local: bool) -> None:
    assert helper.is_local(url) == local
