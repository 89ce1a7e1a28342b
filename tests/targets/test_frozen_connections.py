"""The echo target's garbage collector: it leaves open connections alone, and finds what closed ones leave."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from wsbench.targets.echo.counters import CLOSED, OPENED, Counters
from wsbench.targets.echo.frozen_connections import FrozenConnections


class Cycle:
    """An object that only the garbage collector frees, like a connection and its protocol object."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def frozen_before() -> Iterator[int]:
    gc.unfreeze()
    yield gc.get_freeze_count()
    gc.unfreeze()


def test_what_exists_is_frozen_when_connections_have_opened(frozen_before: int) -> None:
    cells = Counters(1).row(0)
    connections = FrozenConnections(cells)
    connections.look()
    assert gc.get_freeze_count() == frozen_before == 0
    cells[OPENED] = 1000
    connections.look()
    frozen = gc.get_freeze_count()
    assert frozen > 1000
    kept = [Cycle() for _ in range(100)]
    connections.look()
    assert gc.get_freeze_count() <= frozen, "none have opened since"
    del kept


@pytest.mark.usefixtures("frozen_before")
def test_garbage_of_closed_connections_is_found_though_it_was_frozen() -> None:
    cells = Counters(1).row(0)
    connections = FrozenConnections(cells)
    cycle = Cycle()
    seen = weakref.ref(cycle)
    cells[OPENED] = 1000
    connections.look()
    del cycle
    gc.collect()
    assert seen() is not None, "the test does not freeze"
    cells[CLOSED] = 800
    connections.look()
    assert seen() is not None, "a search would stop those that are open"
    cells[CLOSED] = 950
    connections.look()
    assert seen() is None
