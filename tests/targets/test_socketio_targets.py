"""The Socket.IO servers of the catalogue, driven with python-socketio's client on its WebSocket transport."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import socketio
from helpers.process import scaled
from websockets.sync.client import connect

from wsbench.targets import catalogue
from wsbench.targets.running import RunningTarget

NAMES = [
    pytest.param("python-socketio", marks=pytest.mark.needs("target python-socketio")),
    pytest.param("socketio-node", marks=pytest.mark.needs("target socketio-node")),
    pytest.param("nginx>socketio-node", marks=pytest.mark.needs("nginx", "target socketio-node")),
]
DATA = ["grüße", {"id": 7, "list": [1, None, "x"]}, b"\x00\xff", "x" * 200_000]


@contextlib.asynccontextmanager
async def client(target: RunningTarget) -> AsyncIterator[Any]:
    """On asyncio: python-socketio's other client uses one TLS socket from two threads, which can lose what was read."""
    parts = urlsplit(target.url)
    extra = {"ssl": ssl.create_default_context(cafile=str(target.ca_file))} if target.ca_file else {}
    connection = socketio.AsyncClient(reconnection=False, websocket_extra_options=extra)
    scheme = "https" if target.ca_file else "http"
    await connection.connect(f"{scheme}://{parts.netloc}", transports=["websocket"], wait_timeout=scaled(10))
    try:
        yield connection
    finally:
        await connection.disconnect()
        await nothing_open()


async def nothing_open() -> None:
    """Waits until all sockets of this loop are closed. aiohttp does not, and one left over warns in a later test."""
    transports = asyncio.get_running_loop()._transports  # type: ignore[attr-defined]
    async with asyncio.timeout(scaled(20)):
        while any(transport._sock is not None for transport in list(transports.values())):
            await asyncio.sleep(0.01)


async def emits_back(connection: Any) -> None:
    """Every event with its data, in order."""
    came: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
    connection.on("*", lambda event, *data: came.put_nowait((event, *data)))
    sent = [(event, data) for event in ("message", "echo") for data in DATA]
    for event, data in sent:
        await connection.emit(event, data)
    async with asyncio.timeout(scaled(10)):
        assert [await came.get() for _ in sent] == sent


async def acknowledges(connection: Any) -> None:
    """The acknowledgement has the data of the event."""
    for data in DATA:
        assert await connection.call("message", data, timeout=scaled(10)) == data


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_events_come_back_and_are_acknowledged(name: str, tls: bool) -> None:
    async def drive(running: RunningTarget) -> None:
        async with client(running) as connection:
            await emits_back(connection)
        async with client(running) as connection:
            await acknowledges(connection)

    target = catalogue.find(name)
    assert target.protocol == "socket.io"
    with target.start(tls=tls) as running:
        asyncio.run(drive(running))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("compression", ["off", "on"])
def test_its_url_is_that_of_the_websocket_and_compression_as_asked_for(name: str, compression: str) -> None:
    with (
        catalogue.find(name).start(compression=compression) as running,
        connect(running.url, proxy=None, compression="deflate") as connection,
    ):
        assert len(connection.protocol.extensions) == (1 if compression == "on" else 0)
        assert str(connection.recv(scaled(10))).startswith('0{"sid":')  # Engine.IO's OPEN
