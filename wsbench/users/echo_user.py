"""The echo user: one connection, driven by `worker.echo`."""

from __future__ import annotations

import gevent
from gevent import Greenlet
from gevent.pool import Group
from locust import User

from wsbench.errors import ConnectError
from wsbench.locust_plugin import plugin
from wsbench.units import NS_PER_S
from wsbench.users.lasting_user import LastingUser
from wsbench.worker.echo import EchoDriver, driver_for
from wsbench.worker.engine import Engine

plugin.register()


class EchoUser(LastingUser):
    """One connection to an echo server; every reply is verified and timed.

    Subclass it in a locustfile: `class Echo(EchoUser): pass`. It may have `on_start` and `on_stop`, and no tasks.
    Options set rate, window and payload (`--rate`, `--in-flight`, `--payload-size` and so on), on the command line, by
    environment or in the web form.

    An open connection has no running greenlet: hub callbacks send and receive, and a stack would take more memory than
    all of the connection's objects. In Locust's group, a greenlet that never runs stands for the user. Another one
    opens the connection, or reopens it after a drop, and ends with that.
    """

    abstract = True
    tasks = [LastingUser.idle]  # noqa: RUF012 - as Locust declares it; it warns of a class without any
    _driver: EchoDriver | None = None
    _stopped = False

    def start(self, group: Group) -> Greenlet:
        """Take a place in Locust's group, and open the connection soon."""
        self._engine: Engine = plugin.engine_of(self.environment)
        self._group = group
        schedule = self._engine.schedule
        schedule.user_came(type(self).__name__)
        if not self._engine.options.closed_loop:
            schedule.keeps(type(self).__name__)
        place = self._greenlet = Greenlet(self.run, self)  # Locust finds the user in its `args`
        group.add(place)
        if type(self).on_start is User.on_start:
            self._register()
            self._engine.connections.open_soon(self._open)
        else:  # it may take its time
            gevent.spawn(self._open_after_on_start)
        return place

    def stop(self, force: bool = False) -> bool:  # noqa: ARG002 - Locust's signature
        """Close the connection and leave Locust's group. Locust calls this in a greenlet, and waits for it."""
        self._stopped = True
        try:
            self.on_stop()
        finally:
            self._engine.schedule.user_left(type(self).__name__)
            self._group.killone(self._greenlet)
        return True

    def on_stop(self) -> None:
        """Close the connection, unless the engine has done so already."""
        driver, engine = self._driver, self._engine
        if driver is None:
            return
        if not engine.finished.is_set():  # Locust reduces the users, or moves them to another worker
            driver.retire()
            with gevent.Timeout(engine.options.timeout_ns / NS_PER_S, False):
                while driver.outstanding:
                    gevent.sleep(0.01)
        engine.connections.disconnect(driver)

    def _open_after_on_start(self) -> None:
        try:
            self.on_start()
        except BaseException as error:  # SystemExit would end the process, and lose the run
            self._count_failure(error)
        else:
            self._register()
            self._open()

    def _register(self) -> None:
        self._connect = self._connect_base()
        self._driver = driver_for(self._engine, self._connect)
        self._driver.on_dropped = self._dropped

    def _open(self) -> None:
        assert self._driver is not None
        connections = self._engine.connections
        if self._stopped:
            connections.withdraw(self._driver)
            return
        try:
            connections.connect(self._driver, options=self._connect)
        except ConnectError:  # it is counted
            return
        if self._stopped:
            self.on_stop()

    def _dropped(self) -> None:
        if self._engine.options.reconnect and not self._stopped:
            reconnect = self._engine.connections.reconnect
            gevent.spawn(reconnect, self._driver, self._connect, wanted=lambda: not self._stopped)
