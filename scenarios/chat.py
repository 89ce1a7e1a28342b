"""A chat room: each user says something now and then, and hears the others. A start for your own scenario.

wsbench run --scenario scenarios/chat.py -u 20 -d 30s             # against the embedded target
locust -f scenarios/chat.py --host wss://chat.example/room        # against yours, in Locust's web UI
"""

from locust import between, task

from wsbench import Message, WebSocket, WebSocketUser


class Chatter(WebSocketUser):
    """One person in the room; `self.ws` is the connection, open before the first task."""

    path = "/broadcast"  # the path to connect to when the URL has none
    wait_time = between(0.5, 1.5)  # as everywhere in Locust: seconds between two tasks
    said = 0

    def on_open(self, ws: WebSocket) -> None:
        """Introduce the user, after connecting or reconnecting and before any task runs."""
        joined = {"type": "joined", "user": self.number}
        ws.request(joined, match=joined, name="join")

    @task(10)
    def say(self) -> None:
        """Say something, and measure until the room echoes it to us."""
        self.said += 1
        words = {"type": "said", "user": self.number, "n": self.said}
        reply = self.ws.request({**words, "text": "hello"}, match=words, name="say")
        if reply.json().get("text") != "hello":
            reply.fail("the text is not what was sent")

    @task(1)
    def ping(self) -> None:
        """Measure the round trip to the server itself."""
        self.ws.ping()

    def on_message(self, message: Message) -> None:
        """Count messages of other users. Called as soon as each is read, so it must not wait."""
        if message.json()["type"] == "said":
            self.count("heard")
