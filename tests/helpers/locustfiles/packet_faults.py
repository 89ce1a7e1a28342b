"""Socket.IO users for helpers/socketio_server.py: acknowledgements, a namespace that ends, and one that is refused."""

from __future__ import annotations

from typing import Any

from locust import constant, task

from wsbench import SocketIOUser


class Answers(SocketIOUser):
    fixed_count = 1
    wait_time = constant(0.01)
    namespace = "admin"  # without a slash

    def on_connect(self) -> None:
        self.on("question", lambda data: (data["n"], data["n"] + 1))

    @task
    def question(self) -> None:
        self.check(self.call("question", {"n": 7}, count="asked"), [7, 8])
        self.check(self.call("unheard", {"n": 7}, count="asked"), None)
        self.check(self.request("ask_back", "x", match="asked back", count="asked"), ["x"])
        self.check(self.call("answered", count="asked") > 0, True)

    @task
    def rejected(self) -> None:
        reply = self.send_call("say", 5, count="asked").reply()
        reply.fail(f"{reply.data} is wrong")
        self.check(reply.data, [5])

    def check(self, found: Any, wanted: Any) -> None:
        self.count("right" if found == wanted else "wrong")


class Leaves(SocketIOUser):
    fixed_count = 1
    wait_time = constant(0.2)

    @task
    def leave(self) -> None:
        self.count("reconnected")
        self.emit("leave", count="left")


class Refused(SocketIOUser):
    fixed_count = 1
    namespace = "/secret"

    @task
    def never(self) -> None:
        self.count("never")
