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


@pytest.fixture
def cells() -> memoryview:
    return Counters(1).row(0)


@pytest.fixture
def connections(cells: memoryview) -> FrozenConnections:
    return FrozenConnections(cells)


@pytest.fixture
def garbage(frozen_before: int, cells: memoryview, connections: FrozenConnections) -> weakref.ref[Cycle]:
    """Return an object that a worker with 1,000 open connections has frozen, and that is garbage now."""
    cycle = Cycle()
    cells[OPENED] = 1000
    connections.look()
    assert gc.get_freeze_count() > frozen_before
    seen = weakref.ref(cycle)
    del cycle
    gc.collect()
    assert seen() is not None, "it is not frozen"
    return seen


def test_what_exists_is_frozen_when_connections_have_opened(
    frozen_before: int, cells: memoryview, connections: FrozenConnections
) -> None:
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


def test_garbage_of_closed_connections_is_found_when_no_more_close(
    cells: memoryview, connections: FrozenConnections, garbage: weakref.ref[Cycle]
) -> None:
    for closed in (400, 700, 950):
        cells[CLOSED] = closed
        connections.look()
        assert garbage() is not None, "others wait for the answer to their close frame"
    connections.look()
    assert garbage() is None


def test_garbage_of_a_worker_that_is_never_calm_is_found(
    cells: memoryview, connections: FrozenConnections, garbage: weakref.ref[Cycle]
) -> None:
    for closed in range(100, 2100, 100):
        cells[OPENED], cells[CLOSED] = 1000 + closed, closed
        connections.look()
    assert garbage() is not None
    cells[OPENED], cells[CLOSED] = 3100, 2100
    connections.look()
    assert garbage() is None


def test_a_few_that_close_cost_those_that_are_open_no_pause(
    cells: memoryview, connections: FrozenConnections, garbage: weakref.ref[Cycle]
) -> None:
    cells[CLOSED] = 400
    connections.look()
    connections.look()
    assert garbage() is not None
