"""Push: the server sends at a rate, the client replies: how evenly it comes, and what the server sees of its clients.

    wsbench run --scenario scenarios/push.py -u 100 --set rate=20 --set size=256
    locust -f scenarios/push.py --host ws://127.0.0.1:8765

For feeds, dashboards, tickers, telemetry. A pushed message is a JSON object with a number, `seq`, that grows by one
from message to message; if it also says when it was sent (`sent_ns`), or how long an earlier one took until our reply
was back (`rtt_ns`), that is measured too. For a server of your own, change `on_message`.

Series: `gap` from one message to the next, `jitter` how far that is from the interval asked for, `delivery` from the
server's send to our kernel (one clock for both: only when the target is on this machine), `server_round_trip` as the
server measured it. Counted: `missing`, numbers that were left out; `--fail-if 'missing > 0'` makes that an error.
"""

from __future__ import annotations

from typing import Any

from wsbench import Message, WebSocket, WebSocketUser
from wsbench.errors import ConnectionLost


class Push(WebSocketUser):
    """Receives what the server pushes, and replies to each message with its number."""

    path = "/push?rate={rate:g}&size={size}"
    settings = {"rate": 10.0, "size": 128, "reply": True}

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.expected_gap_ns = 1e9 / self.setting("rate")
        self.replies = self.setting("reply")
        self.one_clock = self.same_host
        self.last: Message | None = None

    def on_drop(self, ws: WebSocket, error: ConnectionLost) -> None:
        """What comes after that is numbered anew, and has nothing before it."""
        self.last = None

    def on_message(self, message: Message) -> None:
        """Called for every message, as soon as it is read."""
        pushed, last, self.last = message.json(), self.last, message
        if self.replies:
            self.ws.send({"seq": pushed["seq"]})
        if "sent_ns" in pushed and self.one_clock:
            self.record("delivery", message.arrived_ns - pushed["sent_ns"])
        if "rtt_ns" in pushed:
            self.record("server_round_trip", pushed["rtt_ns"])
        if last is None:
            return
        left_out = pushed["seq"] - last.json()["seq"] - 1
        if left_out:
            self.count("missing", left_out)
        else:
            gap_ns = message.arrived_ns - last.arrived_ns
            self.record("gap", gap_ns)
            self.record("jitter", abs(round(gap_ns - self.expected_gap_ns)))
