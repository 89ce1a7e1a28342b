"""A scenario whose user does not reconnect after the server has closed."""

from __future__ import annotations

from locust import constant, task

from wsbench import WebSocket, WebSocketUser
from wsbench.errors import ConnectionLost


class Leaving(WebSocketUser):
    """User that sends a message and does not reconnect."""

    wait_time = constant(0.02)

    @task
    def say(self) -> None:
        self.ws.request("hello", name="hello")

    def on_drop(self, ws: WebSocket, error: ConnectionLost) -> None:
        self.count("left")
        ws.close()
