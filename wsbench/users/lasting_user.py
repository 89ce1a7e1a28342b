"""`LastingUser`: what Locust and the ramp count on, whatever the scenario's code does."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import gevent
from gevent import GreenletExit
from locust import User

from wsbench.locust_plugin import plugin
from wsbench.users.pending_request import being_stopped
from wsbench.websocket.connect_options import ConnectOptions


class _Creation(type(User)):  # type: ignore[misc]
    """Metaclass: a user whose `__init__` fails is counted, and idles. Otherwise Locust would end its ramp there."""

    def __call__(cls, environment: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(environment, *args, **kwargs)
        except Exception as error:
            _count_failed_user(environment, error)
            user: Any = cls.__new__(cls)
            User.__init__(user, environment)
            user.run, user.start, user.stop = user.idle, partial(User.start, user), partial(User.stop, user)
            return user


class LastingUser(User, metaclass=_Creation):
    """A user that stays until Locust stops it, also when an exception has ended its tasks. The exception is counted."""

    abstract = True
    _asked_to_connect = False
    _holds_connections = True

    def run(self) -> None:
        """Run the tasks, then stay until Locust stops the user."""
        schedule, kind = plugin.engine_of(self.environment).schedule, type(self).__name__
        schedule.user_came(kind)
        try:
            self._stay()
        finally:
            schedule.user_left(kind)

    def _stay(self) -> None:
        try:
            self._run_tasks()
        except GreenletExit:
            raise
        except BaseException as error:  # SystemExit would end the process, and lose the run
            self._count_failure(error)
            self.idle()

    def _count_failure(self, error: BaseException) -> None:
        if self._asked_to_connect:
            plugin.engine_of(self.environment).errors.count_scenario_failure(error)
        else:
            _count_failed_user(self.environment, error)

    def _connect_base(self) -> ConnectOptions:
        """Return the options of this user's connections: those of the run, with the class's host if it has its own."""
        of_run = plugin.engine_of(self.environment).options.connect
        if self.environment.host or not self.host or self.host == of_run.url:
            return of_run
        return replace(of_run, url=self.host)

    def _run_tasks(self) -> None:
        super().run()

    def idle(self) -> None:
        """Sleep until Locust stops this user, while callbacks handle what comes."""
        if not being_stopped():  # Locust counts on users that run until it stops them
            gevent.sleep(2**31)


def _count_failed_user(environment: Any, error: BaseException) -> None:
    engine = plugin.engine_of(environment)
    engine.errors.count_scenario_failure(error)
    engine.connections.count_failed_user()
