"""Users with a path and headers of their own; user 1 sets its path in `__init__`, and user 0 too late."""

from typing import Any

from wsbench import WebSocket, WebSocketUser


class Placed(WebSocketUser):
    path = "/ok?room=class"
    headers = (("X-Team", "blue"),)

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        if self.number == 1:
            self.path = "/ok?room=own"

    def on_open(self, ws: WebSocket) -> None:
        self.count("opened")

    def on_start(self) -> None:
        if self.number == 0:
            self.connect("/ok?room=more")
            self.path = "/late"
