"""Servers that the scenarios are run against."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helpers import runs
from helpers.runs import EchoTarget


@pytest.fixture(scope="session")
def echo_target() -> Iterator[EchoTarget]:
    """The embedded target, with its counts."""
    with runs.echo_target() as target:
        yield target
