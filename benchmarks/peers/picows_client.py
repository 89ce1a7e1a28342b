"""A minimal Python client: picows on uvloop, which sends a constant message after each reply.

python picows_client.py URL CONNECTIONS SECONDS PAYLOAD
"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect


class Client(WSListener):
    """Listener with one message in flight; it verifies, counts and times nothing."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload

    def on_ws_connected(self, transport: WSTransport) -> None:
        transport.send(WSMsgType.TEXT, self._payload)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        transport.send(WSMsgType.TEXT, self._payload)


async def main(url: str, connections: int, seconds: float, payload: bytes) -> None:
    opened = [await ws_connect(lambda: Client(payload), url) for _ in range(connections)]
    await asyncio.sleep(seconds)
    for transport, _ in opened:
        transport.disconnect()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4].encode()))
