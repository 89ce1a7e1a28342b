"""A running `wsbench serve` for the tests of what it serves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from wsbench.targets.embedded import EmbeddedTarget

StartTarget = Callable[..., EmbeddedTarget]


@pytest.fixture(scope="session")
def target() -> Iterator[EmbeddedTarget]:
    """The echo target with default options; shared by all tests, so its counters are arbitrary."""
    with EmbeddedTarget.start() as running:
        yield running


@pytest.fixture
def start_target() -> Iterator[StartTarget]:
    """Start an echo target with these options; it is stopped with the test."""
    with ExitStack() as stack:

        def start(**options: Any) -> EmbeddedTarget:
            return stack.enter_context(EmbeddedTarget.start(**options))

        yield start
