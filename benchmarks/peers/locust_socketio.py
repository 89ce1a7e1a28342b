"""Locust's Socket.IO user: a round trip is an event and its acknowledgement with the same data."""

from __future__ import annotations

import os

from locust import task
from locust.contrib.socketio import SocketIOUser

PAYLOAD = os.environ["PEERS_PAYLOAD"]


class Echo(SocketIOUser):
    """User whose `call` waits for the acknowledgement and reports its duration to Locust."""

    def on_start(self) -> None:
        self.sio.connect(self.host, transports=["websocket"])

    def on_stop(self) -> None:
        self.sio.disconnect()

    @task
    def echo(self) -> None:
        self.sio.call("echo", PAYLOAD)
