"""A running `wsbench serve` for the tests of what it serves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from wsbench.targets.embedded import TargetProcess

StartTarget = Callable[..., TargetProcess]


@pytest.fixture(scope="session")
def target() -> Iterator[TargetProcess]:
    """The echo target with default options; shared, so its counters are whatever they are."""
    with TargetProcess.start_embedded() as running:
        yield running


@pytest.fixture
def start_target() -> Iterator[StartTarget]:
    """Start an echo target with options of one's own; stopped with the test."""
    with ExitStack() as stack:

        def start(**options: Any) -> TargetProcess:
            return stack.enter_context(TargetProcess.start_embedded(**options))

        yield start
