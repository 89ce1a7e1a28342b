"""A real browser (Debian's Chromium, driven by playwright) that fails whoever opens a page with errors in it.

While a browser is open, playwright's event loop runs in the thread that opened it: no `asyncio.run` there meanwhile.
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Route, WebSocket, sync_playwright

from .components import tool
from .process import scaled

WIDE, NARROW = 1280, 390
"""Pixels: a desk and a phone."""
_ARGUMENTS = (
    "--no-sandbox",  # Chromium refuses to sandbox itself when it is root's
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_OWN_SCHEMES = ("file", "data", "blob", "about")


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium, ended with the block."""
    program = tool("chromium")
    assert program is not None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_ARGUMENTS, timeout=scaled(60) * 1000)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def open_page(
    browser: Browser, *, width: int = WIDE, height: int = 900, dark: bool = False, offline: bool = False
) -> Iterator[Page]:
    """A page of its own (cookies, cache); at the block's end AssertionError with all that went wrong in it.

    Wrong are errors on its console, exceptions of its scripts, and whatever it wanted from beyond this machine
    (which it does not get). What it is served over https needs no certificate that anybody trusts.
    """
    problems: list[str] = []
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        offline=offline,
        ignore_https_errors=True,
    )
    context.set_default_timeout(scaled(30) * 1000)
    try:
        context.route(lambda url: not is_local(url), lambda route: _refuse(route, problems))
        page = context.new_page()
        _watch(page, problems)
        context.on("page", lambda popup: _watch(popup, problems))
        yield page
        page.evaluate("0")  # what the page has said by now is heard before its end
    finally:
        context.close()
    assert not problems, "the page went wrong:\n" + "\n".join(problems)


def is_local(url: str) -> bool:
    """Whether it is a file's, a page's own, or of a server on a loopback address."""
    parts = urlsplit(url)
    if parts.scheme in _OWN_SCHEMES or parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


def sideways(page: Page) -> int:
    """By how many pixels the page is wider than the window: 0, or there is a scroll bar that nobody wants."""
    wider: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return max(0, wider)


def picture(page: Page, path: Path, *, whole: bool = True) -> Path:
    """A PNG of the page, or of what of it is in the window."""
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path, full_page=whole, animations="disabled")
    return path


def _refuse(route: Route, problems: list[str]) -> None:
    problems.append(f"leaves this machine: {route.request.url}")
    route.abort()


def _watch(page: Page, problems: list[str]) -> None:
    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            where = message.location
            problems.append(f"console: {message.text} ({where['url'][:200]}:{where['lineNumber']})")

    def on_failed(request: Request) -> None:
        # a page that is left takes its requests with it: no error of the page
        if request.failure and "ERR_ABORTED" not in request.failure and is_local(request.url):
            problems.append(f"request failed: {request.url[:200]} ({request.failure})")

    def on_websocket(socket: WebSocket) -> None:
        if not is_local(socket.url):
            problems.append(f"leaves this machine: {socket.url}")

    page.on("console", on_console)
    page.on("pageerror", lambda error: problems.append(f"exception: {error}"))
    page.on("requestfailed", on_failed)
    page.on("websocket", on_websocket)
