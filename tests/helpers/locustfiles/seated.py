"""Echo users, and a count of those whose greenlet has a stack while their connections are open."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import gevent
from locust import events

from wsbench import EchoUser


class Echo(EchoUser):
    """An echo user without code of its own."""


class Prepared(EchoUser):
    """An echo user with `on_start`."""

    def on_start(self) -> None:
        gevent.sleep(0.1)


@events.test_start.add_listener
def look_later(environment: Any, **_: Any) -> None:
    gevent.spawn(_look, environment.runner)


def _look(runner: Any) -> None:
    users: list[Any] = []
    while not users or not all(user.args[0]._driver and user.args[0]._driver.connection for user in users):
        gevent.sleep(0.5)
        users = list(runner.user_greenlets)
    counted = {"users": runner.user_classes_count, "running": sum(user.gr_frame is not None for user in users)}
    Path(os.environ["COUNTED"]).write_text(json.dumps(counted))
