"""A worker whose `init` comes when the master has long told it to spawn users, as on a machine that is busy."""

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
    """As ever."""
