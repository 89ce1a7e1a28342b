"""Push: the server sends at a rate and the client replies. Measures how evenly messages come, and both directions.

    wsbench run --scenario scenarios/push.py -u 100 --set rate=20 --set size=256
    locust -f scenarios/push.py --host ws://127.0.0.1:8765

For feeds, dashboards, tickers, telemetry. A pushed message is a JSON object with a number, `seq`, that grows by one
from message to message. If it also has the time when it was sent (`sent_ns`) or the round trip of an earlier message
and our reply (`rtt_ns`), that is measured too. For your own server, change `on_message`.

Series: `gap`, from one message to the next; `jitter`, how far a gap differs from the requested interval; `delivery`,
from the server's send to our kernel (only when the target is on this machine: both need the same clock);
`server_round_trip`, as measured by the server. Counter: `missing`, the skipped numbers; `--fail-if 'missing > 0'`
makes them an error.
"""

from __future__ import annotations

from typing import Any

from wsbench import Message, WebSocket, WebSocketUser
from wsbench.errors import ConnectionLost


class Push(WebSocketUser):
    """A receiver of pushed messages that replies to each with its number."""

    path = "/push?rate={rate:g}&size={size}"
    settings = {"rate": 10.0, "size": 128, "reply": True}

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.expected_gap_ns = 1e9 / self.setting("rate")
        self.replies = self.setting("reply")
        self.one_clock = self.same_host
        self.last: Message | None = None

    def on_start(self) -> None:
        """Let a gate on the counter see 0 if no number is missing."""
        self.count("missing", 0)

    def on_drop(self, ws: WebSocket, error: ConnectionLost) -> None:
        """Forget the last message: the server numbers a new connection's messages from the start."""
        self.last = None

    def on_message(self, message: Message) -> None:
        """Reply to a pushed message and measure it. Called as soon as it is read."""
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
