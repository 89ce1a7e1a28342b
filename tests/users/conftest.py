"""A server and an engine for the connections of a scenario."""

from __future__ import annotations

from collections.abc import Iterator

import helpers.unpatched_locust  # noqa: F401 - imports Locust without its patches
import pytest
from helpers.peer import Peer

from wsbench.run.options import RunOptions
from wsbench.worker.engine import Engine


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.stop()


@pytest.fixture
def engine(peer: Peer) -> Iterator[Engine]:
    engine = Engine(RunOptions.from_texts({"timeout": "1s"}, url=peer.url, users=1), worker=0, send=lambda _: None)
    yield engine
    engine.finish()
