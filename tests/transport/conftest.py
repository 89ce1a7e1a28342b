"""Connections to a peer in the test's hub, and servers that all tests of transport share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from helpers.peer import Pair
from helpers.process import start_server

from wsbench.targets.embedded import EmbeddedTarget


@pytest.fixture
def pair() -> Iterator[Callable[..., Pair]]:
    """Make pairs of an open connection and its peer, which end with the test."""
    pairs: list[Pair] = []

    def make(**options: Any) -> Pair:
        pairs.append(Pair(**options))
        return pairs[-1]

    yield make
    for each in pairs:
        each.stop()


@pytest.fixture(scope="module")
def bad_server() -> Iterator[str]:
    """The server of bad handshakes, as a process; `f"{bad_server}/404"`."""
    server, url = start_server("helpers.bad_handshakes")
    try:
        yield url.removesuffix("/ok")
    finally:
        server.stop()


@pytest.fixture(scope="module")
def tls_target() -> Iterator[EmbeddedTarget]:
    with EmbeddedTarget.start(tls=True) as running:
        yield running


@pytest.fixture(scope="module")
def deflating_target() -> Iterator[EmbeddedTarget]:
    with EmbeddedTarget.start(compression="on") as running:
        yield running
