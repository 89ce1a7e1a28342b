"""The example of README.md with shorter pauses and one more method."""

from itertools import count

from locust import between, task

from wsbench import WebSocketUser


class Trader(WebSocketUser):
    """User that requests quotes and trades."""

    wait_time = between(0.01, 0.03)
    ids = count(1)  # of this process: every request has an id of its own

    def on_open(self, ws):  # connected, for the first time or again: log in, subscribe
        self.call(ws, "login", user=self.number)
        ws.subscribe(self.on_price, match={"method": "price"})

    @task
    def order(self):
        reply = self.call(self.ws, "order", symbol="X", amount=3)
        if "error" in reply.json():
            reply.fail(reply.json()["error"]["message"])  # counted as corrupted; a --fail-if can see it

    @task(3)
    def quote(self):
        self.call(self.ws, "quote", symbol="X")

    def call(self, ws, method, **params):
        message = {"jsonrpc": "2.0", "id": next(self.ids), "method": method, "params": params}
        return ws.request(message, match={"id": message["id"]}, name=method)

    def on_price(self, message):  # called as soon as it is read: it must not wait
        self.count("prices")
