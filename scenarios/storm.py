"""Storm: connections that come and go, and all of them coming back at once after the server was restarted.

    wsbench run --scenario scenarios/storm.py ws://host/echo -u 200 --set churn=100      # 100 new connections a second
    wsbench run --scenario scenarios/storm.py ws://host/echo -u 5000 -d 60s              # now restart the server

With `--set churn=N` users open N connections a second together, each for `hold_s` and one request. Without, every
user keeps a connection and asks something every `every_s`; restart the server meanwhile, and see them come back. They
try again after 0.1 s, and then after twice as long each time, up to 5 s, with jitter: as good clients do.

Series: `connect` with its phases `tcp`, `tls` and `upgrade`; `due_to_open`, from when a connection was due until it was
open (churn); `first_reply` or `alive`, the requests; `away`, from a drop to being open again: its maximum is the time
until all were back. Refusals and other failures are in `errors`, each with its kind.
Counted: `drops` = `back` + `still_away` at the end of the run.
"""

from __future__ import annotations

import random
import time

import gevent
from locust import task

from wsbench import Disconnected, NoReply, WebSocket, WebSocketUser
from wsbench.errors import ConnectionLost


class Storm(WebSocketUser):
    """Comes and goes, or stays and comes back."""

    path = "/echo"
    auto_connect = False
    settings = {"churn": 0.0, "hold_s": 0.1, "every_s": 1.0}
    asked = 0
    away = False

    @task
    def run_through_it(self) -> None:
        """One task for as long as the run goes on."""
        if self.setting("churn"):
            self.come_and_go()
        else:
            self.stay()

    def come_and_go(self) -> None:
        """One connection after another, as they are due."""
        for due_ns in self.ticks(self.setting("churn") / self.options.users):
            try:
                with self.connect() as ws:
                    self.record("due_to_open", time.time_ns() - due_ns)
                    self.ask(ws, "first_reply")
                    gevent.sleep(self.setting("hold_s"))
            except (Disconnected, NoReply):
                pass  # it has been counted; the next one comes when it is due

    def stay(self) -> None:
        """One connection, which is opened again by itself whenever it drops."""
        ws = self.connect()
        while True:
            gevent.sleep(random.uniform(0.5, 1.5) * self.setting("every_s"))
            try:
                self.ask(ws, "alive")
            except (Disconnected, NoReply):
                pass  # lost, and counted; the next one waits until it is open again

    def ask(self, ws: WebSocket, name: str) -> None:
        """A request of which there is no other: no reply can be counted twice."""
        self.asked += 1
        question = {"user": self.number, "number": self.asked}
        ws.request(question, match=question, name=name)

    def on_drop(self, ws: WebSocket, error: ConnectionLost) -> None:
        """The server is gone."""
        self.away = True
        self.count("drops")

    def on_open(self, ws: WebSocket) -> None:
        """It is there, or there again."""
        if self.away:
            self.away = False
            self.count("back")

    @classmethod
    def conclude(cls, counters: dict[str, int]) -> None:
        """When all workers have told what they counted."""
        counters["still_away"] = counters.setdefault("drops", 0) - counters.setdefault("back", 0)
