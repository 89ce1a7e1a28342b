"""Socket.IO users: one sends binary attachments, the other connects to a namespace that does not exist."""

from __future__ import annotations

from typing import Any

from locust import constant, task

from wsbench import SocketIOUser


class Binary(SocketIOUser):
    fixed_count = 1
    wait_time = constant(0.01)

    def on_connect(self) -> None:
        for wrong in (
            lambda: self.on(5, print),
            lambda: self.on("event", "no function"),
            lambda: self.emit(5),
            lambda: self.call(None),
            lambda: self.request("event", match=5),
            lambda: self.emit("event", {1, 2}),
        ):
            try:
                wrong()
            except TypeError:
                self.count("refused")

    @task
    def call_(self) -> None:
        data = {"blob": b"\x00\xff" * 100, "list": [b"a", "b"]}
        self.check(self.call("blob", data, name="binary"), data)

    @task
    def several(self) -> None:
        self.check(self.call("several", 1, "zwei", [3], name="text"), [1, "zwei", [3]])

    @task
    def answered(self) -> None:
        self.check(self.request("with-bytes", b"\x01", {"n": 1}, name="answered"), [b"\x01", {"n": 1}])

    def check(self, found: Any, wanted: Any) -> None:
        self.count("right" if found == wanted else "wrong")


class Refused(SocketIOUser):
    fixed_count = 1
    wait_time = constant(0.1)
    namespace = "/nowhere"

    @task
    def never(self) -> None:
        self.count("never")
        self.stop_for_good()

    def stop_for_good(self) -> None:
        """Do nothing: there is no namespace."""
        self.ws.close()
