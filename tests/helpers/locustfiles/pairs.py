"""Pairs of requests whose replies come in one message, a list."""

from __future__ import annotations

from itertools import count
from typing import ClassVar

import orjson
from locust import constant, task

from wsbench import Message, WebSocket, WebSocketUser


class Pairs(WebSocketUser):
    wait_time = constant(0.05)
    settings: ClassVar = {"decode": False, "own_match": True}
    ids = count(1)

    def decoder(self, ws: WebSocket) -> object:
        def decode(message: Message) -> object:
            if not self.setting("decode"):
                return message
            parts = map(orjson.dumps, message.json())
            return [Message(part, True, message.arrived_ns, message.handled_ns) for part in parts]

        return decode

    @task
    def ask(self) -> None:
        numbers = next(self.ids), next(self.ids)
        wanted = [b'"id":%d}' % number if self.setting("own_match") else b"id" for number in numbers]
        requests = [
            self.ws.send_request({"id": n}, lambda m, part=part: part in m.payload, name="ask", timeout_s=0.3)
            for n, part in zip(numbers, wanted, strict=True)
        ]
        for request in requests:
            request.reply()
        self.count("both")
