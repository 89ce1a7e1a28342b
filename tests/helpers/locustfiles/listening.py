"""asking.py with a second user, which receives the server's messages in every possible way."""

from __future__ import annotations

import gevent
from asking import Asking as Asking  # Locust finds users by looking through this module
from locust import constant, task

from wsbench import Message, WebSocket, WebSocketUser


class Listening(WebSocketUser):
    """User that receives the server's messages in every possible way."""

    fixed_count = 1
    wait_time = constant(0.01)

    def on_open(self, ws: WebSocket) -> None:
        ws.subscribe(self._priced, match={"type": "price"})
        ws.send({"type": "hello"})
        ws.expect({"type": "hello"}, name="greeting")

    def on_start(self) -> None:
        gevent.spawn(self._read)

    @task
    def say(self) -> None:
        for kind in ("price", "news"):
            self.ws.send({"type": kind, "n": 1})
        self.count("said", 2)

    @task
    def ping(self) -> None:
        self.ws.ping()
        with self.connect(on_open=lambda _: None) as other:
            other.send(b"\x00\x01")
            assert other.recv().payload == b"\x00\x01"
            self.count("said")
            self.count("heard")

    def _priced(self, message: Message) -> None:
        assert message.json()["type"] == "price"
        self.count("heard")

    def _read(self) -> None:
        for message in self.ws:
            assert message.json()["type"] == "news"
            self.count("heard")
