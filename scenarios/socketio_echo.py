"""Socket.IO: events, acknowledgements and emitted events, against a server that echoes events.

wsbench run --target python-socketio --scenario scenarios/socketio_echo.py
wsbench run --target socketio-node --scenario scenarios/socketio_echo.py
"""

from locust import constant, task

from wsbench import SocketIOUser


class Echo(SocketIOUser):
    """A user connected to a namespace before its first task; heartbeats are answered automatically."""

    namespace = "/"
    wait_time = constant(0.01)
    sent = 0

    def on_connect(self) -> None:
        """Count events that no task waits for, such as the echo of an acknowledged event."""
        self.on("say", lambda *_: self.count("events"))

    @task
    def acknowledged(self) -> None:
        """Measure until the server acknowledges an event."""
        self.sent += 1
        message = {"n": self.sent, "pad": "x" * 64}
        if self.call("say", message, name="acknowledged") != message:
            self.count("wrong")

    @task
    def answered(self) -> None:
        """Measure until the server emits an event in return."""
        self.sent += 1
        number = self.sent
        self.request("ask", {"n": number}, match=lambda event, data: event == "ask" and data["n"] == number)
