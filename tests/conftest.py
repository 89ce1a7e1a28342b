"""Common fixtures and hooks: `@pytest.mark.needs(...)`, servers to test against, and wsbench as a process.

Tests run in random order (the seed is in the head of the output: `--randomly-seed=N` repeats it, `-p no:randomly` keeps
the order of the files), and in `make test` in several processes, a file in one of them (`ARGS=-n0` for one process).
Every timeout is multiplied by WSBENCH_TEST_TIMEOUT_SCALE, for machines that are slow or busy.
"""

from __future__ import annotations

import contextlib
import os
import signal
import urllib.request
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from helpers import components, exclusive, process
from helpers.bad_handshakes import BadHandshakes
from helpers.process import CliResult, Running, scaled
from hypothesis import HealthCheck, settings

from wsbench.targets import catalogue

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# How long an example takes, or a thousand of them take to be made up, is the machine's business.
settings.register_profile("wsbench", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("wsbench")

FIXTURE_NEEDS = {
    "picows_echo": "picows",
    "node_echo": "node",
    "node_echo_deflate": "node",
    "browser": "chromium",
    "open_page": "chromium",
}


def pytest_configure() -> None:
    """Undo what the processes of the tests would inherit: ignored signals (background jobs, nohup), and proxies."""
    _heed_signals()
    for name in urllib.request.getproxies_environment():
        os.environ.pop(f"{name}_proxy", None)
        os.environ.pop(f"{name}_proxy".upper(), None)


def _heed_signals() -> None:
    """Undo ignored signals, which the processes of a test would inherit."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _needs(item: pytest.Item) -> list[str]:
    names = [str(name) for mark in item.iter_markers("needs") for name in mark.args]
    names += [need for fixture, need in FIXTURE_NEEDS.items() if fixture in getattr(item, "fixturenames", ())]
    unknown = set(names) - set(components.COMPONENTS)
    if unknown:
        raise pytest.UsageError(f"{item.nodeid} needs {', '.join(sorted(unknown))}: not in helpers/components.py")
    return list(dict.fromkeys(names))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests to skip here and not in their setup, so that the summary names the test's own file."""
    for item in items:
        reasons = [reason for name in _needs(item) if (reason := components.missing(name))]
        if reasons and not components.all_required():
            item.add_marker(pytest.mark.skip(reason="; ".join(reasons)))
        _scale_timeout(item)


def _scale_timeout(item: pytest.Item) -> None:
    if item.config.getoption("timeout") is not None:
        return  # set on the command line
    mark = item.get_closest_marker("timeout")
    seconds = float(mark.args[0] if mark else item.config.getini("timeout"))
    item.add_marker(pytest.mark.timeout(scaled(seconds)), append=False)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Wait for the lock outside of everything else, so that the time counts for no test's timeout or duration."""
    with exclusive.slot(alone=item.get_closest_marker("quiet") is not None):
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    _heed_signals()  # a test before may have left them
    if components.all_required():
        for name in _needs(item):
            if reason := components.missing(name):
                pytest.fail(f"{reason}; WSBENCH_REQUIRE=all lets nothing be skipped", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        report.sections += [(f"process {each.pid}", each.told()[-20_000:]) for each in Running.live]
    return report


@dataclass(frozen=True)
class FaultyEcho:
    """A faulty echo server (helpers/faulty_echo.py): its URL and its counts."""

    url: str

    def counts(self) -> dict[str, int]:
        counts: dict[str, int] = process.http_json(self.url, "/counts")
        return counts

    def url_with(self, **options: object) -> str:
        """Return the URL for connections with other faults than the server's."""
        return f"{self.url}?{urlencode(options)}"


@pytest.fixture
def picows_echo() -> Iterator[str]:
    """URL of a fast echo server."""
    with catalogue.find("picows").start() as target:
        yield target.url


@pytest.fixture
def node_echo() -> Iterator[str]:
    """URL of an echo server on Node's ws, compression refused; `http_json(url, "/stats")` has its counts."""
    with catalogue.find("ws").start() as target:
        yield target.url


@pytest.fixture
def node_echo_deflate() -> Iterator[str]:
    """The same with permessage-deflate, for messages of every size."""
    with catalogue.find("ws").start(compression="on") as target:
        yield target.url


@pytest.fixture
def faulty_echo() -> Iterator[Callable[..., FaultyEcho]]:
    """Starts faulty echo servers: `faulty_echo(drop=100, delay_ms=20)`; the options are those of helpers/faults.py."""
    servers: list[Running] = []

    def start(**faults: object) -> FaultyEcho:
        options = [f"--{name.replace('_', '-')}={value}" for name, value in faults.items()]
        server, url = process.start_server("helpers.faulty_echo", *options)
        servers.append(server)
        return FaultyEcho(url)

    try:
        yield start
    finally:
        for server in servers:
            server.stop()


@pytest.fixture
def bad_handshakes() -> Iterator[BadHandshakes]:
    """A server whose path selects a fault of the handshake: `bad_handshakes.url("/404")`."""
    with BadHandshakes() as server:
        yield server


@pytest.fixture
def run_cli(tmp_path: Path) -> Iterator[Callable[..., CliResult]]:
    """`helpers.process.run_cli`, in the test's own empty directory, and with nothing left running after the test."""
    results: list[CliResult] = []

    def run(*args: str, **options: object) -> CliResult:
        result = process.run_cli(*args, **{"cwd": tmp_path, **options})  # type: ignore[arg-type]
        results.append(result)
        return result

    yield run
    for result in results:
        for left in process.leftovers(result.session, result.mark):
            left.kill()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium. No longer than a module: as long as it is open, `asyncio.run` fails in this thread."""
    from helpers.browser import chromium  # noqa: PLC0415  # playwright may be missing

    with chromium() as started:
        yield started


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """`helpers.browser.open_page` for this test: `open_page(width=390, dark=True, offline=True)` is an empty page."""
    from helpers import browser as helper  # noqa: PLC0415  # playwright may be missing

    with contextlib.ExitStack() as pages:
        yield lambda **options: pages.enter_context(helper.open_page(browser, **options))
