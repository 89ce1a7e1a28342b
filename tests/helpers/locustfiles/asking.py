"""A scenario of requests, each with a number and its own reply."""

from __future__ import annotations

from locust import constant, task

from wsbench import WebSocket, WebSocketUser


class Asking(WebSocketUser):
    """User that sends requests one after another, and optionally invalid ones."""

    wait_time = constant(0.002)
    settings = {"patience_s": 5.0, "wrong": 0, "raise_on": 0, "at_once": 1}  # noqa: RUF012
    asked = 0

    def on_open(self, ws: WebSocket) -> None:
        self.count("opened")
        ws.request({"login": self.number}, match={"login": self.number}, name="login")

    @task
    def ask(self) -> None:
        asked = [self._ask() for _ in range(self.setting("at_once"))]
        for number, each in asked:
            reply = each.reply()
            assert reply.json()["n"] == number
            if self.setting("wrong") and number % self.setting("wrong") == 0:
                reply.fail(f"{number} is no good")
            if self.setting("raise_on") == number:
                raise ValueError("the scenario's own fault")

    def _ask(self):  # type: ignore[no-untyped-def]
        self.asked += 1
        number = self.asked
        message = {"n": number, "user": self.number}
        return number, self.ws.send_request(
            message, match={"n": number}, name="ask", timeout_s=self.setting("patience_s")
        )

    def on_stop(self) -> None:
        self.ws.send("bye")  # after the end of the run, it is not sent and does not block
