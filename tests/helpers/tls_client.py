"""A WebSocket client for wss:// that uses only one thread.

`websockets`' client for threads reads in one thread and writes in another. Python's SSLSocket does not support that:
sometimes a request or a reply is lost, and the client waits for it without end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from helpers.process import scaled


class TlsClient:
    """An open connection. It reads only in `recv`, so it does not answer a server's pings."""

    def __init__(self, runner: asyncio.Runner, connection: ClientConnection) -> None:
        self._runner = runner
        self._connection = connection

    def send(self, message: str | bytes) -> None:
        """Send a text or binary message."""
        self._runner.run(self._connection.send(message))

    def recv(self, timeout: float | None = None) -> str | bytes:
        """Return the next message; wait at most `timeout` seconds (default 20)."""
        return self._runner.run(asyncio.wait_for(self._connection.recv(), scaled(20) if timeout is None else timeout))


@contextmanager
def connected(url: str, **options: Any) -> Iterator[TlsClient]:
    """Connect with `websockets`' options, and close at the end of the block."""
    with asyncio.Runner() as runner:
        connection = runner.run(_open(url, options))
        try:
            yield TlsClient(runner, connection)
        finally:
            runner.run(connection.close())


async def _open(url: str, options: dict[str, Any]) -> ClientConnection:
    return await connect(url, proxy=None, ping_interval=None, open_timeout=scaled(20), **options)
