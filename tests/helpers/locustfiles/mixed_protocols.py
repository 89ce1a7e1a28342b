"""Users of HTTP and of WebSocket in one locustfile, against one port; `PAGES` has the paths of HTTP."""

from __future__ import annotations

import os
from urllib.parse import urljoin

from locust import HttpUser, constant, task

from wsbench import WebSocketUser


class Pages(HttpUser):
    """User that asks for pages."""

    fixed_count = 1
    wait_time = constant(0.02)

    @task
    def get(self) -> None:
        for page in os.environ["PAGES"].split():
            self.client.get(urljoin(str(self.host).replace("ws://", "http://"), page), name=page)


class Asking(WebSocketUser):
    """User whose requests are answered."""

    wait_time = constant(0.02)

    @task
    def ask(self) -> None:
        self.ws.request({"n": 1}, match={"n": 1}, name="ask")
