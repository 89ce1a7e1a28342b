"""A worker whose `init` event comes after the master's order to spawn users, as on a busy machine."""

from __future__ import annotations

from typing import Any

import gevent
from locust import events
from locust.runners import WorkerRunner


def _dawdle(runner: Any, **_: Any) -> None:
    if isinstance(runner, WorkerRunner):
        gevent.sleep(1.5)


events.init.add_listener(_dawdle)  # before wsbench's own, which its import adds

from wsbench import EchoUser  # noqa: E402


class Echo(EchoUser):
    """The default echo user."""
