"""Users that count each request before they send it, and let the run count those that were sent."""

from __future__ import annotations

from locust import constant, task

from wsbench import WebSocketUser


class Counting(WebSocketUser):
    path = "/echo"
    wait_time = constant(0.05)
    quiet_s = 0.5  # so that they wake up while the run drains

    @task
    def ask(self) -> None:
        self.count("before")
        self.ws.request({"ask": 1}, name="ask", count="asked")
        self.ws.send({"tell": 1}, count="told")
