"""A scenario that logs in as its connection opens, and then asks now and then."""

from __future__ import annotations

from locust import constant, task

from wsbench import WebSocket, WebSocketUser


class LoggingIn(WebSocketUser):
    """User whose login is a request of its own."""

    wait_time = constant(0.05)
    settings = {"refuse": 0}  # noqa: RUF012

    def on_open(self, ws: WebSocket) -> None:
        reply = ws.request({"login": self.number}, match={"login": self.number}, name="login", timeout_s=0.3)
        if self.setting("refuse"):
            reply.fail("no such user")

    @task
    def ask(self) -> None:
        if not self.setting("refuse"):
            self.ws.request({"n": 1}, match={"n": 1}, name="ask")
