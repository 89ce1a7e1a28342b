"""A scenario that leaves for good when the server sends it away."""

from __future__ import annotations

from locust import constant, task

from wsbench import WebSocket, WebSocketUser
from wsbench.errors import ConnectionLost


class Leaving(WebSocketUser):
    """Says something, and does not come back."""

    wait_time = constant(0.02)

    @task
    def say(self) -> None:
        self.ws.request("hello", name="hello")

    def on_drop(self, ws: WebSocket, error: ConnectionLost) -> None:
        self.count("left")
        ws.close()
