"""An address as host, in a process in which gevent has replaced `socket`, as in Locust's."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
from gevent import monkey
monkey.patch_all()
import gevent
from wsbench.transport.connect import Connector
from wsbench.transport.traffic import Traffic
from wsbench.websocket.connect_options import ConnectOptions

others = []
gevent.spawn(others.append, "ran")
attempt = Connector(ConnectOptions("ws://127.0.0.1:9/"), context=None, traffic=Traffic()).attempt()
steps = attempt.steps()
print(next(steps), others)
steps.close()
"""


def test_an_address_is_not_looked_up_in_a_thread() -> None:
    """A thread would take time from the timeout, and a name server would be blamed."""
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert (result.stdout, result.stderr) == ("dns []\n", "")
