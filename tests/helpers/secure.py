"""A WebSocket client for wss:// that one thread alone uses.

`websockets`' own client for threads reads in one and writes in another, which an SSLSocket of Python does not stand:
now and then a request or a reply is lost, and who waits for it waits for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from helpers.process import scaled


class Client:
    """An open connection. Nothing is read but in `recv`: not fit for a server that pings."""

    def __init__(self, runner: asyncio.Runner, connection: ClientConnection) -> None:
        self._runner = runner
        self._connection = connection

    def send(self, message: str | bytes) -> None:
        """Send a text or binary message."""
        self._runner.run(self._connection.send(message))

    def recv(self, timeout: float | None = None) -> str | bytes:
        """The next message, within so many seconds, or 20 by default."""
        return self._runner.run(asyncio.wait_for(self._connection.recv(), scaled(20) if timeout is None else timeout))


@contextmanager
def connected(url: str, **options: Any) -> Iterator[Client]:
    """Connect, with options as `websockets` has them, and close in the end."""
    with asyncio.Runner() as runner:
        connection = runner.run(_open(url, options))
        try:
            yield Client(runner, connection)
        finally:
            runner.run(connection.close())


async def _open(url: str, options: dict[str, Any]) -> ClientConnection:
    return await connect(url, proxy=None, ping_interval=None, open_timeout=scaled(20), **options)
