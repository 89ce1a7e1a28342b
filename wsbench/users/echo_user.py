"""The echo user: one connection, driven by the hot path of `load.echo`."""

from __future__ import annotations

from typing import Any

import gevent
from locust import User, task

from wsbench.errors import ConnectError
from wsbench.locust_plugin import plugin
from wsbench.units import NS_PER_S
from wsbench.worker.echo import EchoDriver, driver_for
from wsbench.worker.engine import Engine
from wsbench.worker.reconnect import reconnect

plugin.register()


class EchoUser(User):
    """One connection to a server that echoes; every reply is verified and timed.

    Subclass it in a locustfile: `class Echo(EchoUser): pass`. What it sends, how often and how much is set by options
    (`--rate`, `--in-flight`, `--payload-size` and so on), on the command line, by environment or in the web form.

    The greenlet only opens the connection, and opens it again when it is lost; in between it sleeps, while the hub's
    callbacks send and receive.
    """

    abstract = True

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._driver: EchoDriver | None = None
        self._engine: Engine | None = None

    def run(self) -> None:
        """Locust's; and a user that fails before it connects is counted, or the ramp would wait for it for ever."""
        try:
            super().run()
        except Exception:
            if self._driver is None:
                plugin.engine_of(self.environment).user_failed()
            raise

    @task
    def hold(self) -> None:
        """Open the connection and keep it until the run is over."""
        engine = self._engine = plugin.engine_of(self.environment)
        driver = self._driver = driver_for(engine)
        try:
            engine.connect(driver)
        except ConnectError:
            engine.finished.wait()
        while not engine.finished.is_set():
            driver.drop_event.wait()
            driver.drop_event.clear()
            if not engine.options.reconnect:
                break
            reconnect(engine, driver)
        # A user that ends by itself would be missed by Locust: sleep until it is told to stop.
        gevent.sleep(2**31)

    def on_stop(self) -> None:
        """Locust stops this user: close the connection properly, unless the engine has done so already."""
        engine, driver = self._engine, self._driver
        if engine is None or driver is None:
            return
        if not engine.finished.is_set():  # there are to be fewer users, or another worker has come
            driver.retire()
            with gevent.Timeout(engine.options.timeout_ns / NS_PER_S, False):
                while driver.outstanding:
                    gevent.sleep(0.01)
        engine.disconnect(driver)
