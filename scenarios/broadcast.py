"""Broadcast: one user publishes, all receive. Measures the delivery to the first, the median and the last receiver.

    wsbench run --scenario scenarios/broadcast.py -u 500 --rate 20
    locust -f scenarios/broadcast.py --host ws://127.0.0.1:8765 -u 500 --rate 20

For chat rooms, notifications, live scores. User 0 publishes `--rate` messages a second once all are connected; each
user counts the messages that reach it. For your own server, change `publish`, and use `--set hears_itself=off` if the
server does not send a message back to its publisher.

Series: `delivery`, from the publisher's send to a receiver's kernel, for every delivery; the first, median and last
delivery of each message make `delivery.first`, `delivery.median` and `delivery.last`. Publisher and receivers must
share a clock, so all workers must run on one machine (--processes).
Counters of the whole run: `published`, `receivers`, `expected` = published x receivers, `delivered` (each once),
`missing`, `repeated`, and `drops`: how often a receiver's connection dropped, so that it missed messages.
"""

from __future__ import annotations

import time
from typing import Any

from locust import task

from wsbench import Message, WebSocket, WebSocketUser
from wsbench.errors import ConnectionLost


class Broadcast(WebSocketUser):
    """A receiver; user 0 publishes too."""

    path = "/broadcast"
    rate = 10.0
    quiet_s = 1.0  # the last message needs time to reach all receivers
    settings = {"size": 128, "hears_itself": True}

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.next = 0
        self.left_out: set[int] = set()
        self.receives = self.number > 0 or self.setting("hears_itself")

    def on_start(self) -> None:
        """Count this user as a receiver."""
        self.count("receivers", int(self.receives))

    @task
    def publish(self) -> None:
        """Publish until the run ends, if this is user 0; the others only receive."""
        if self.number > 0:
            self.idle()
        self.wait_for_ramp()
        padding = "x" * max(0, self.setting("size") - 60)
        for number, due_ns in enumerate(self.ticks(self.options.rate)):
            message = {"number": number, "sent_ns": time.time_ns(), "pad": padding}
            self.ws.send(message, due_ns=due_ns, count="published")

    def on_message(self, message: Message) -> None:
        """Count and time a delivery. Called for every message, as soon as it is read."""
        published = message.json()
        number, sent_ns = published["number"], published["sent_ns"]
        if not self.is_new(number):
            self.count("repeated")
            return
        self.count("delivered")
        latency_ns = message.arrived_ns - sent_ns
        self.record("delivery", latency_ns)
        self.group("delivery", number, since_ns=sent_ns, value_ns=latency_ns)

    def is_new(self, number: int) -> bool:
        """Return whether this message is delivered for the first time, late ones included."""
        if number < self.next:
            late = number in self.left_out
            self.left_out.discard(number)
            return late
        if number > self.next:
            self.left_out.update(range(self.next, number))
        self.next = number + 1
        return True

    def on_drop(self, ws: WebSocket, error: ConnectionLost) -> None:
        """Count the drop: messages until the connection is reopened will be missing."""
        self.count("drops")

    @classmethod
    def finalize_counters(cls, counters: dict[str, int]) -> None:
        """Compute what only the sums over all workers tell."""
        counters["expected"] = counters.get("published", 0) * counters.get("receivers", 0)
        counters["missing"] = counters["expected"] - counters.get("delivered", 0)
