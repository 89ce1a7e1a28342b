"""Locust's own Socket.IO user: an event, and its acknowledgement with the data in it, are a round trip."""

from __future__ import annotations

import os

from locust import task
from locust.contrib.socketio import SocketIOUser

PAYLOAD = os.environ["PEERS_PAYLOAD"]


class Echo(SocketIOUser):
    """`call` waits for the acknowledgement and tells Locust how long it took."""

    def on_start(self) -> None:
        self.sio.connect(self.host, transports=["websocket"])

    def on_stop(self) -> None:
        self.sio.disconnect()

    @task
    def echo(self) -> None:
        self.sio.call("echo", PAYLOAD)
