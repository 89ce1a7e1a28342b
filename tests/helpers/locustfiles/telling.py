"""A scenario that tells its secret: it prints it, logs it, and names it in its errors."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path

from locust import constant, task

from wsbench import WebSocketUser

numbers = itertools.count()


class Telling(WebSocketUser):
    """User whose every tenth request fails."""

    wait_time = constant(0.005)
    settings = {"token": "none", "room": "lobby"}  # noqa: RUF012

    def on_start(self) -> None:
        secret = self.setting("token")
        print("printed", secret, flush=True)
        logging.getLogger(__name__).info("logged %s", secret)
        Path("cmdline.txt").write_bytes(Path("/proc/self/cmdline").read_bytes())

    @task
    def ask(self) -> None:
        number, secret = next(numbers), self.setting("token")
        reply = self.ws.request({"n": number, "mine": secret}, match={"n": number}, name="ask")
        if number % 10 == 3:
            reply.fail(f"unwanted: {reply.text}")
        if number % 10 == 6:
            raise ValueError(f"{secret} is no good")
