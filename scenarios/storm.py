"""Storm: connections that come and go, or that all reconnect at once after a restart of the server.

    wsbench run --scenario scenarios/storm.py ws://host/echo -u 200 --set churn=100      # 100 new connections a second
    wsbench run --scenario scenarios/storm.py ws://host/echo -u 5000 -d 60s              # now restart the server

With `--set churn=N` all users together open N connections a second, each for `hold_s` and one request. Without it, each
user keeps a connection and sends a request every `every_s`; restart the server meanwhile, and watch them reconnect.
They retry after 0.1 s, then after twice as long each time, up to 5 s, with jitter: as good clients do.

Series: `connect` with its steps `tcp`, `tls` and `upgrade`; `due_to_open`, from when a connection was due until it was
open (churn); `first_reply` or `alive`, the requests; `away`, from a drop until it is open again: the maximum
is the time until all were back. Refusals and other failures are in `errors`, each with its kind.
Counters: `drops` = `back` + `still_away` at the end of the run.
"""

from __future__ import annotations

import random
import time

import gevent
from locust import task

from wsbench import Disconnected, NoReply, WebSocket, WebSocketUser
from wsbench.errors import ConnectionLost


class Storm(WebSocketUser):
    """A user that opens short connections, or keeps one and reconnects it."""

    path = "/echo"
    auto_connect = False
    settings = {"churn": 0.0, "hold_s": 0.1, "every_s": 1.0}
    requests = 0
    away = False

    @task
    def run_through_it(self) -> None:
        """Run one of the two behaviours until the run ends."""
        if self.setting("churn"):
            self.come_and_go()
        else:
            self.stay()

    def come_and_go(self) -> None:
        """Open one connection after another, each when it is due."""
        for due_ns in self.ticks(self.setting("churn") / self.options.users):
            try:
                with self.connect() as ws:
                    self.record("due_to_open", time.time_ns() - due_ns)
                    self.ask(ws, "first_reply")
                    gevent.sleep(self.setting("hold_s"))
            except (Disconnected, NoReply):
                pass  # already counted; go on with the next one

    def stay(self) -> None:
        """Keep one connection, which is reopened automatically when it drops."""
        ws = self.connect()
        while True:
            gevent.sleep(random.uniform(0.5, 1.5) * self.setting("every_s"))
            try:
                self.ask(ws, "alive")
            except (Disconnected, NoReply):
                pass  # already counted; the next request waits for the reconnection

    def ask(self, ws: WebSocket, name: str) -> None:
        """Send a request with a unique number, so that no reply can match twice."""
        self.requests += 1
        question = {"user": self.number, "number": self.requests}
        ws.request(question, match=question, name=name)

    def on_drop(self, ws: WebSocket, error: ConnectionLost) -> None:
        """Count the drop."""
        self.away = True
        self.count("drops")

    def on_open(self, ws: WebSocket) -> None:
        """Count the return after a drop."""
        if self.away:
            self.away = False
            self.count("back")

    @classmethod
    def finalize_counters(cls, counters: dict[str, int]) -> None:
        """Compute what only the sums over all workers tell."""
        counters["still_away"] = counters.setdefault("drops", 0) - counters.setdefault("back", 0)
