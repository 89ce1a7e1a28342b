"""A typical hand-written locustfile: websocket-client, one greenlet per user, one request event per message.

PEERS_PAYLOAD is the message, PEERS_OPTIONS the options of `create_connection`, as JSON.
"""

from __future__ import annotations

import json
import os
import time

import websocket
from locust import User, task

PAYLOAD = os.environ["PEERS_PAYLOAD"]
OPTIONS = json.loads(os.environ["PEERS_OPTIONS"])


class Echo(User):
    """User that sends, waits for any message, and reports the duration to Locust."""

    def on_start(self) -> None:
        self.socket = websocket.create_connection(self.host, **OPTIONS)

    def on_stop(self) -> None:
        self.socket.close()

    @task
    def echo(self) -> None:
        started = time.perf_counter()
        self.socket.send(PAYLOAD)
        reply = self.socket.recv()
        self.environment.events.request.fire(
            request_type="WS",
            name="echo",
            response_time=(time.perf_counter() - started) * 1000,
            response_length=len(reply),
            exception=None,
            context={},
        )
