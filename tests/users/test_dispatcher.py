"""Messages that a protocol on top of WebSocket cannot read."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import helpers.unpatched_locust  # noqa: F401 - imports Locust without its patches
import pytest
from helpers.peer import PATIENCE_S, Peer, until

from wsbench.run.options import RunOptions
from wsbench.users.dispatcher import MessageDispatcher
from wsbench.users.message import Message
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


def test_a_message_that_cannot_be_decoded_is_shown(engine: Engine, peer: Peer) -> None:
    def decode(message: Message) -> Message:
        raise ValueError("no packet")

    dispatcher = MessageDispatcher(engine, None, lambda: decode)
    engine.connections.register(dispatcher)
    connecting = gevent.spawn(engine.connections.connect, dispatcher)
    peer.accept()
    connecting.get(timeout=PATIENCE_S)
    peer.message(b"welcome\n")
    until(lambda: engine.errors.tallies)
    [error] = engine.errors.tallies
    assert (error.kind, error.side) == ("protocol-on-top", "target")
    assert error.example.endswith(": ValueError: no packet, in 'welcome\\n'")
