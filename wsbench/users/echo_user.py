"""The echo user: one connection, driven by `worker.echo`."""

from __future__ import annotations

from typing import Any

import gevent
from locust import task

from wsbench.errors import ConnectError
from wsbench.locust_plugin import plugin
from wsbench.units import NS_PER_S
from wsbench.users.lasting_user import LastingUser
from wsbench.worker.echo import EchoDriver, driver_for
from wsbench.worker.engine import Engine

plugin.register()


class EchoUser(LastingUser):
    """One connection to an echo server; every reply is verified and timed.

    Subclass it in a locustfile: `class Echo(EchoUser): pass`. Options set rate, window and payload (`--rate`,
    `--in-flight`, `--payload-size` and so on), on the command line, by environment or in the web form.

    The greenlet opens the connection and reopens it when it drops. Otherwise it sleeps, while hub callbacks send and
    receive.
    """

    abstract = True

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._driver: EchoDriver | None = None
        self._engine: Engine | None = None

    @task
    def hold(self) -> None:
        """Open the connection and keep it until the run is over."""
        engine = self._engine = plugin.engine_of(self.environment)
        driver = self._driver = driver_for(engine)
        self._asked_to_connect = True
        try:
            engine.connections.connect(driver)
        except ConnectError:
            engine.finished.wait()
        while not engine.finished.is_set():
            driver.drop_event.wait()
            driver.drop_event.clear()
            if not engine.options.reconnect:
                break
            engine.connections.reconnect(driver)
        self.idle()

    def on_stop(self) -> None:
        """Close the connection, unless the engine has done so already."""
        engine, driver = self._engine, self._driver
        if engine is None or driver is None:
            return
        if not engine.finished.is_set():  # Locust reduces the users, or moves them to another worker
            driver.retire()
            with gevent.Timeout(engine.options.timeout_ns / NS_PER_S, False):
                while driver.outstanding:
                    gevent.sleep(0.01)
        engine.connections.disconnect(driver)
