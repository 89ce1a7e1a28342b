"""A chat room: everybody says something now and then, and hears the others. A start for a scenario of your own.

wsbench run --scenario scenarios/chat.py -u 20 -d 30s             # against the embedded target
locust -f scenarios/chat.py --host wss://chat.example/room        # against yours, in Locust's web UI
"""

from locust import between, task

from wsbench import Message, WebSocket, WebSocketUser


class Chatter(WebSocketUser):
    """One person in the room; `self.ws` is the connection, open before the first task."""

    path = "/broadcast"  # where to connect when the URL has no path of its own
    wait_time = between(0.5, 1.5)  # as everywhere in Locust: seconds between two tasks
    said = 0

    def on_open(self, ws: WebSocket) -> None:
        """Connected, for the first time or again: say who we are, before any task does anything."""
        joined = {"type": "joined", "user": self.number}
        ws.request(joined, match=joined, name="join")

    @task(10)
    def say(self) -> None:
        """Say something, and measure until the room has it: we are in the room, too."""
        self.said += 1
        words = {"type": "said", "user": self.number, "n": self.said}
        reply = self.ws.request({**words, "text": "hello"}, match=words, name="say")
        if reply.json().get("text") != "hello":
            reply.fail("somebody put words into our mouth")

    @task(1)
    def ping(self) -> None:
        """How far away is the server itself?"""
        self.ws.ping()

    def on_message(self, message: Message) -> None:
        """What no request waits for: the others. Called as soon as it is read, so it must not wait for anything."""
        if message.json()["type"] == "said":
            self.count("heard")
