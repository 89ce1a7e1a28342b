"""A scenario that names what it counts by its settings, and rejects every `wrong`th reply."""

from __future__ import annotations

from itertools import count
from typing import ClassVar

from locust import constant, task

from wsbench import WebSocketUser


class Naming(WebSocketUser):
    wait_time = constant(0.02)
    settings: ClassVar = {"counter": "seen", "series": "ask", "wrong": 5}
    ids = count(1)

    @task
    def ask(self) -> None:
        number = next(self.ids)
        reply = self.ws.request({"n": number}, match={"n": number}, name=self.setting("series"))
        if number % self.setting("wrong") == 0:
            reply.fail("not so")
        self.count(self.setting("counter"))
