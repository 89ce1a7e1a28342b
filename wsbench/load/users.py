"""Locust users that hold a WebSocket connection."""

from __future__ import annotations

import random
from typing import Any

import gevent
from locust import User, task

from wsbench.errors import ConnectError
from wsbench.load import plugin
from wsbench.load.echo import EchoDriver
from wsbench.load.engine import Engine

_BACKOFF_FIRST_S = 0.1
_BACKOFF_MOST_S = 5.0

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
        except Exception as error:
            if self._driver is None:
                plugin.engine_of(self.environment).user_failed(error)
            raise

    @task
    def hold(self) -> None:
        """Open the connection and keep it until the run is over."""
        engine = self._engine = plugin.engine_of(self.environment)
        driver = self._driver = engine.new_driver()
        try:
            engine.connect(driver)
        except ConnectError:
            engine.finished.wait()
        while not engine.finished.is_set():
            driver.dropped.wait()
            driver.dropped.clear()
            if not engine.options.reconnect:
                break
            self._reconnect(engine, driver)
        # A user that ends by itself would be missed by Locust: sleep until it is told to stop.
        gevent.sleep(2**31)

    def on_stop(self) -> None:
        """Locust stops this user: close the connection properly, unless the engine has done so already."""
        if self._engine is not None and self._driver is not None:
            self._engine.disconnect(self._driver)

    @staticmethod
    def _reconnect(engine: Engine, driver: EchoDriver) -> None:
        pause_s = _BACKOFF_FIRST_S
        while not engine.finished.is_set():
            # Jitter, so that thousands of dropped connections do not come back in the same instant.
            gevent.sleep(pause_s * random.uniform(0.5, 1.5))
            try:
                engine.connect(driver, again=True)
            except ConnectError:
                pause_s = min(pause_s * 2, _BACKOFF_MOST_S)
            else:
                return
