"""Users that ask, and count; their gates and counters are on the live page."""

from __future__ import annotations

from locust import constant, task

from wsbench import WebSocketUser


class Gated(WebSocketUser):
    path = "/echo"
    wait_time = constant(0.02)

    @task
    def ask(self) -> None:
        self.ws.request({"ask": 1}, match={"ask": 1}, name="GET /api")
        self.count("replies seen")
