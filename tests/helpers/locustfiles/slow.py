"""A task that is too slow for its ticks."""

from __future__ import annotations

import gevent
from locust import task

from wsbench import WebSocketUser


class Slow(WebSocketUser):
    @task
    def dawdle(self) -> None:
        for due_ns in self.ticks():
            self.ws.send_request("hello", name="hello", due_ns=due_ns)
            gevent.sleep(0.01)
