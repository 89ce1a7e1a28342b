"""The Socket.IO servers of the catalogue, driven with python-socketio's client on its WebSocket transport."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
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


@contextlib.contextmanager
def client(target: RunningTarget) -> Iterator[Any]:
    parts = urlsplit(target.url)
    with requests.Session() as session:
        session.verify = str(target.ca_file)
        connection = socketio.Client(http_session=session, reconnection=False)
        scheme = "https" if target.ca_file else "http"
        connection.connect(f"{scheme}://{parts.netloc}", transports=["websocket"], wait_timeout=scaled(10))
        try:
            yield connection
        finally:
            connection.disconnect()
            connection.eio.wait()  # for its threads, which close its socket


def emits_back(connection: Any) -> None:
    """Every event with its data, in order."""
    came: queue.Queue[tuple[str, Any]] = queue.Queue()
    connection.on("*", lambda event, *data: came.put((event, *data)))
    sent = [(event, data) for event in ("message", "echo") for data in DATA]
    for event, data in sent:
        connection.emit(event, data)
    assert [came.get(timeout=scaled(10)) for _ in sent] == sent


def acknowledges(connection: Any) -> None:
    """With the data of the event."""
    for data in DATA:
        assert connection.call("message", data, timeout=scaled(10)) == data


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_events_come_back_and_are_acknowledged(name: str, tls: bool) -> None:
    target = catalogue.find(name)
    assert target.protocol == "socket.io"
    with target.start(tls=tls) as running:
        with client(running) as connection:
            emits_back(connection)
        with client(running) as connection:
            acknowledges(connection)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("compression", ["off", "on"])
def test_its_url_is_that_of_the_websocket_and_compression_as_asked_for(name: str, compression: str) -> None:
    with (
        catalogue.find(name).start(compression=compression) as running,
        connect(running.url, proxy=None, compression="deflate") as connection,
    ):
        assert len(connection.protocol.extensions) == (1 if compression == "on" else 0)
        assert str(connection.recv(scaled(10))).startswith('0{"sid":')  # Engine.IO's OPEN
