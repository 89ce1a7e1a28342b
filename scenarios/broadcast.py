"""Broadcast: one publishes, all receive: how long until the first, the median and the last has it, and who has not.

    wsbench run --scenario scenarios/broadcast.py -u 500 --rate 20
    locust -f scenarios/broadcast.py --host ws://127.0.0.1:8765 -u 500 --rate 20

For chat rooms, notifications, live scores. User 0 publishes `--rate` messages a second once all are connected; every
user counts what reaches it. For a server of your own, change `publish`, and say `--set hears_itself=off` if it sends a
message to all but the one who published it.

Series: `delivery`, from the publisher's send to a receiver's kernel, for every single delivery; of each message's
deliveries the first, the median and the last make `delivery.first`, `delivery.median` and `delivery.last`. All of it
needs publisher and receivers on one machine (--processes), for they must share a clock.
Counted over the whole run: `published`, `receivers`, `expected` = published x receivers, `delivered` (each once),
`missing`, `repeated`, and `dropped`, the times that a receiver lost its connection and so what came meanwhile.
"""

from __future__ import annotations

import time
from typing import Any

from locust import task

from wsbench import Message, WebSocket, WebSocketUser
from wsbench.errors import ConnectionLost


class Broadcast(WebSocketUser):
    """Receives; the first of all users publishes as well."""

    path = "/broadcast"
    rate = 10.0
    quiet_s = 1.0  # what was published last still has to reach everybody
    settings = {"size": 128, "hears_itself": True}

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.next = 0
        self.left_out: set[int] = set()
        self.receives = self.number > 0 or self.setting("hears_itself")

    def on_start(self) -> None:
        """Connected: one receiver more."""
        self.count("receivers", int(self.receives))

    @task
    def publish(self) -> None:
        """User 0 publishes as long as the run goes on; for the others `on_message` is all."""
        if self.number > 0:
            self.idle()
        self.wait_for_ramp()
        padding = "x" * max(0, self.setting("size") - 60)
        for number, due_ns in enumerate(self.ticks(self.options.rate)):
            self.ws.send({"number": number, "sent_ns": time.time_ns(), "pad": padding}, due_ns=due_ns)
            self.count("published")

    def on_message(self, message: Message) -> None:
        """Called for every message, as soon as it is read."""
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
        """Whether this one has not been delivered before, be it late."""
        if number < self.next:
            late = number in self.left_out
            self.left_out.discard(number)
            return late
        if number > self.next:
            self.left_out.update(range(self.next, number))
        self.next = number + 1
        return True

    def on_drop(self, ws: WebSocket, error: ConnectionLost) -> None:
        """What is published until it is open again will be missing."""
        self.count("dropped")

    @classmethod
    def conclude(cls, counters: dict[str, int]) -> None:
        """When all workers have told what they counted."""
        counters["expected"] = counters.get("published", 0) * counters.get("receivers", 0)
        counters["missing"] = counters["expected"] - counters.get("delivered", 0)
