"""A browser (Debian's Chromium, controlled by playwright) that fails a test if its page has errors.

While a browser is open, playwright's event loop runs in its thread, so `asyncio.run` does not work there.
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
"""Widths of a desktop and of a phone, in pixels."""
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
    """Run a headless Chromium during the block."""
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
    """Open a page with its own cookies and cache; at the end of the block, raise AssertionError with its errors.

    Errors are those on its console, exceptions of its scripts, and requests to other machines (which are blocked).
    Certificates are not verified.
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
        page.evaluate("0")  # pending console messages arrive before the page closes
    finally:
        context.close()
    assert not problems, "the page went wrong:\n" + "\n".join(problems)


def is_local(url: str) -> bool:
    """Return whether the URL is a file's, within the page, or of a server on a loopback address."""
    parts = urlsplit(url)
    if parts.scheme in _OWN_SCHEMES or parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


def sideways(page: Page) -> int:
    """Return by how many pixels the page is wider than the window; above 0 it has a horizontal scroll bar."""
    wider: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return max(0, wider)


def picture(page: Page, path: Path, *, whole: bool = True) -> Path:
    """Write a PNG of the whole page, or of its visible part."""
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
        # requests aborted by leaving a page are no errors
        if request.failure and "ERR_ABORTED" not in request.failure and is_local(request.url):
            problems.append(f"request failed: {request.url[:200]} ({request.failure})")

    def on_websocket(socket: WebSocket) -> None:
        if not is_local(socket.url):
            problems.append(f"leaves this machine: {socket.url}")

    page.on("console", on_console)
    page.on("pageerror", lambda error: problems.append(f"exception: {error}"))
    page.on("requestfailed", on_failed)
    page.on("websocket", on_websocket)
