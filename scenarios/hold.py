"""Hold: connections that stay open and do nothing but ping: who drops, when, and with which close code.

    wsbench run --scenario scenarios/hold.py -u 10000 -d 1h --set every_s=30
    locust -f scenarios/hold.py --host ws://127.0.0.1:8765 -u 10000

For idle timeouts of servers, proxies and load balancers, leaks, and what a connection costs in memory: run.json has
`target.bytes_per_connection` (when wsbench started the target) and `generator.bytes_per_connection`.

Series: `ping` from a ping to its pong (one without a pong within --timeout is lost), `lived` how long a connection was
open before it dropped, `away` until it was open again (`--reconnect never` leaves it closed).
Counted: `closed_CODE` for each close code of a drop; `connections.close_codes` has those of the end too. Who dropped,
when and why is in locust.log, line by line.
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
    """Pings now and then; does nothing else."""

    path = "/echo"
    settings = {"every_s": 10.0}
    opened_ns = 0

    def wait_time(self) -> float:
        """Around `every_s`, never in step with the others."""
        return random.uniform(0.5, 1.5) * self.setting("every_s")

    def on_open(self, ws: WebSocket) -> None:
        """Open, for the first time or again."""
        self.opened_ns = time.time_ns()

    def on_start(self) -> None:
        """The first ping comes after a while too."""
        self.wait()

    @task
    def ping(self) -> None:
        """There and back."""
        self.ws.ping()

    def on_drop(self, ws: WebSocket, error: ConnectionLost) -> None:
        """Who, when and why."""
        lived_ns = time.time_ns() - self.opened_ns
        self.record("lived", lived_ns)
        self.count(f"closed_{error.code or 1006}")
        logger.warning("user %d dropped after %.1f s: %s", self.number, lived_ns / 1e9, error.what)
