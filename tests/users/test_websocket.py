"""A scenario's connection as its tasks use it."""

from __future__ import annotations

import gevent
import pytest
from helpers.peer import PATIENCE_S, Peer

from wsbench import NoReply, WebSocket
from wsbench.worker.engine import Engine


def test_the_time_limit_of_a_wait_is_shown_as_an_option_has_it(engine: Engine, peer: Peer) -> None:
    ws = WebSocket(engine)
    opening = gevent.spawn(ws.open)
    peer.accept()
    opening.get(timeout=PATIENCE_S)
    for timeout_s, shown in ((1e-6, "1us"), (0.0025, "2.5ms"), (0, "0s"), (None, "1s")):
        with pytest.raises(NoReply, match=f"^no such message within {shown}$"):
            ws.expect(timeout_s=timeout_s)
