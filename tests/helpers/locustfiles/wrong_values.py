"""A scenario that gives every wrong value to the API, counts which are refused, and then measures on."""

from __future__ import annotations

import time
from itertools import count

from locust import constant, task

from wsbench import WebSocketUser

WRONG = {
    "record_nan": lambda user: user.record("x", float("nan")),
    "record_name": lambda user: user.record(5, 1),
    "count_half": lambda user: user.count("c", 0.5),
    "count_huge": lambda user: user.count("c", 2**70),
    "group_float": lambda user: user.group("g", 0.5, since_ns=time.time_ns(), value_ns=1),
    "group_since": lambda user: user.group("g", 1, since_ns=time.time(), value_ns=1),
    "setting": lambda user: user.setting("missing"),
    "ticks": lambda user: next(user.ticks(-1)),
    "ticks_text": lambda user: next(user.ticks("10")),
    "sleep_until": lambda user: user.sleep_until(None),
    "send_set": lambda user: user.ws.send({1, 2}),
    "send_surrogate": lambda user: user.ws.send("\ud800"),
    "send_due": lambda user: user.ws.send("x", due_ns=5),
    "request_timeout": lambda user: user.ws.request("x", timeout_s="1"),
    "request_match": lambda user: user.ws.request("x", "match"),
    "request_name": lambda user: user.ws.request("x", name=b"x"),
    "expect_timeout": lambda user: user.ws.expect(timeout_s=-1),
    "recv_timeout": lambda user: user.ws.recv(timeout_s=float("nan")),
    "ping_name": lambda user: user.ws.ping(name="connect"),
    "subscribe": lambda user: user.ws.subscribe(None),
    "close_code": lambda user: user.ws.close(1005),
    "close_reason": lambda user: user.ws.close(1000, "x" * 124),
    "connect_path": lambda user: user.connect(5),
    "connect_http": lambda user: user.connect("http://127.0.0.1/"),
    "connect_header": lambda user: user.connect(headers=[("X", "a\r\nb")]),
    "connect_names": lambda user: user.connect(subprotocols="chat"),
}


class Wrong(WebSocketUser):
    """User that gives wrong values once, and then requests one echo after another."""

    wait_time = constant(0.01)
    ids = count(1)

    def on_start(self) -> None:
        for name, give in WRONG.items():
            try:
                give(self)
            except Exception:
                self.count(f"refused_{name}")
        self.wait_for_ramp()
        self.record("rounded", 2.5e6)
        minute_ns = time.time_ns() // 60_000_000_000 * 60_000_000_000  # the same for all users
        self.group("parts", "a text", since_ns=minute_ns, value_ns=1e6)
        self.group("parts", 7, since_ns=minute_ns, value_ns=1e6)

    @task
    def ask(self) -> None:
        number = next(self.ids)
        self.ws.request({"n": number}, match={"n": number}, name="ask")
        if number == 1:
            self.count("c", 0.5)
