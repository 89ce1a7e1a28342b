"""A scenario in which each of the first users fails in another place, and the others ask for echoes."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from itertools import count

import gevent
from locust import task
from locust.exception import StopUser

from wsbench import Message, NoReply, WebSocket, WebSocketUser

PLACES = [
    "init", "path", "on_start", "on_open", "on_message", "subscriber", "match", "wait_time", "task", "greenlet",
    "timeout", "cancelled", "generator", "exit", "exit in on_open", "exit in a callback", "interrupt",
    "surrogate \ud800", "on_stop",
]  # fmt: skip
"""Each is in the text of the exception."""


class Failing(WebSocketUser):
    """User that fails in the place of its number."""

    ids = count(1)
    number = -1

    def __init__(self, environment: object) -> None:
        super().__init__(environment)
        self.fail("init")

    @property
    def path(self) -> str:  # type: ignore[override]
        self.fail("path")
        return "/echo"

    def on_start(self) -> None:
        self.fail("on_start")
        self.fail("surrogate \ud800")
        if self.fails("greenlet"):
            gevent.spawn(self.fail, "greenlet")
        if self.fails("timeout"):
            with gevent.Timeout(0.1, RuntimeError("failed in timeout")):
                gevent.sleep(9)
        self.fail("cancelled", asyncio.CancelledError)
        self.fail("generator", GeneratorExit)
        self.fail("exit", sys.exit)
        self.fail("interrupt", KeyboardInterrupt)

    def on_open(self, ws: WebSocket) -> None:
        self.fail("on_open")
        self.fail("exit in on_open", sys.exit)
        if self.fails("subscriber") or self.fails("exit in a callback"):
            ws.subscribe(self.heard)
        ws.send("hello")
        if self.fails("match"):
            with contextlib.suppress(NoReply):
                ws.expect(lambda _: self.fail("match"), timeout_s=0.5)

    def on_message(self, message: Message) -> None:
        self.fail("on_message")

    def heard(self, message: Message) -> None:
        self.fail("subscriber")
        self.fail("exit in a callback", sys.exit)

    def wait_time(self) -> float:
        self.fail("wait_time")
        return 0.02

    @task
    def ask(self) -> None:
        number = next(self.ids)
        self.ws.request({"n": number}, match={"n": number}, name="ask")
        self.fail("task")
        if self.fails("on_stop"):
            raise StopUser

    def on_stop(self) -> None:
        self.fail("on_stop")

    def fails(self, place: str) -> bool:
        """Return whether this user is to fail in a place."""
        return 0 <= self.number < len(PLACES) and PLACES[self.number] == place

    def fail(self, place: str, error: object = RuntimeError) -> None:
        """Raise an error, if this user is to fail in this place."""
        if self.fails(place):
            raised = error(f"failed in {place}")  # type: ignore[operator]
            raise raised
