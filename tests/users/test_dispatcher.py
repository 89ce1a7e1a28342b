"""Messages that a protocol on top of WebSocket cannot read."""

from __future__ import annotations

import gevent
import helpers.unpatched_locust  # noqa: F401 - imports Locust without its patches
from helpers.peer import PATIENCE_S, Peer, until

from wsbench.users.dispatcher import MessageDispatcher
from wsbench.users.message import Message
from wsbench.worker.engine import Engine


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
