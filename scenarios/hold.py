"""Hold: connections that stay open and only ping. Shows which drop, when, and with which close code.

    wsbench run --scenario scenarios/hold.py -u 10000 -d 1h --set every_s=30
    locust -f scenarios/hold.py --host ws://127.0.0.1:8765 -u 10000

For idle timeouts of servers, proxies and load balancers, for leaks, and for the memory of a connection: run.json has
`target.bytes_per_connection` (when wsbench started the target) and `generator.bytes_per_connection`.

Series: `ping`, from a ping to its pong (a ping without a pong within --timeout is lost); `lived`, how long a connection
was open before it dropped; `away`, the time until it was open again (`--reconnect never` leaves it closed).
Counters: `closed_CODE` for each close code of a drop; `connections.close_codes` includes the closes at the end.
locust.log has a line for each drop: user, time and cause.
"""

from __future__ import annotations

import logging
import random
import time

from locust import task

from wsbench import WebSocket, WebSocketUser
from wsbench.errors import ConnectionLost

logger = logging.getLogger(__name__)


class Hold(WebSocketUser):
    """One idle connection that pings now and then."""

    path = "/echo"
    settings = {"every_s": 10.0}
    opened_ns = 0

    def wait_time(self) -> float:
        """Return a random time around `every_s`, so that users do not ping in step."""
        return random.uniform(0.5, 1.5) * self.setting("every_s")

    def on_open(self, ws: WebSocket) -> None:
        """Remember when the connection was opened or reopened."""
        self.opened_ns = time.time_ns()

    def on_start(self) -> None:
        """Wait before the first ping, too."""
        self.wait()

    @task
    def ping(self) -> None:
        """Ping and wait for the pong."""
        self.ws.ping()

    def on_drop(self, ws: WebSocket, error: ConnectionLost) -> None:
        """Record how long the connection lived, and log its drop."""
        lived_ns = time.time_ns() - self.opened_ns
        self.record("lived", lived_ns)
        self.count(f"closed_{error.code or 1006}")
        logger.warning("user %d dropped after %.1f s: %s", self.number, lived_ns / 1e9, error.what)
