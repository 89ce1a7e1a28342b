"""Users of WebSocket and of HTTP; `WS_HOST` and `HTTP_HOST` give their classes a host of their own."""

from __future__ import annotations

import os

from locust import HttpUser, constant, task

from wsbench import EchoUser, WebSocketUser


class Asking(WebSocketUser):
    host = os.environ.get("WS_HOST")
    path = "/echo"
    wait_time = constant(0.1)

    @task
    def ask(self) -> None:
        self.ws.request({"ask": 1}, match={"ask": 1}, name="ask")


class Echo(EchoUser):
    host = os.environ.get("WS_HOST")
    fixed_count = 1


class Api(HttpUser):
    host = os.environ.get("HTTP_HOST")
    fixed_count = 2
    wait_time = constant(0.1)

    @task
    def get(self) -> None:
        self.client.get("/stats")
