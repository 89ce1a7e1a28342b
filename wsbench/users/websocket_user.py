"""`WebSocketUser`: the base class of custom scenarios, in ordinary Locust style."""

from __future__ import annotations

import dataclasses
import functools
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

from gevent.event import Event

from wsbench.errors import ConnectError, ConnectionLost, UsageError
from wsbench.locust_plugin import plugin
from wsbench.measure.phases import Phase
from wsbench.measure.tally import Tally
from wsbench.run import scenario_values, settings
from wsbench.run.options import RunOptions
from wsbench.source_addresses import is_loopback
from wsbench.users.dispatcher import Decoder
from wsbench.users.lasting_user import LastingUser
from wsbench.users.message import Message
from wsbench.users.pending_request import Disconnected, TaskFailed, in_hub
from wsbench.users.websocket import WebSocket
from wsbench.websocket.connect_options import ConnectOptions
from wsbench.websocket.server_url import with_path
from wsbench.worker.engine import Engine

plugin.register()

logger = logging.getLogger(__name__)
_OF_FIRST_CONNECTION = ("path", "headers")


class WebSocketUser(LastingUser):
    """A user that holds a WebSocket connection, `self.ws`, while its tasks run.

        class Chat(WebSocketUser):
            wait_time = between(1, 3)

            def on_open(self, ws):
                ws.request({"type": "login", "user": self.number}, match={"type": "welcome"}, name="login")

            @task
            def say(self):
                self.ws.request({"type": "say", "text": "hello"}, match={"type": "said"}, name="say")

    The connection is open before `on_start`. When it drops it is reopened (`--reconnect`) and `on_open` is called
    again; tasks that send wait until that is done.

    Attributes:
        path: the path to connect to when the URL has none, or in any case if a user sets it in its `__init__`. A
            setting's name in braces is replaced by its value. The query of the URL is kept.
        headers: headers of the upgrade request, pairs or a dict, in addition to those of `--header`.
        settings: names and defaults that `--set NAME=VALUE` can change; the default's type is the value's type.
        rate: default of `--rate`, for `ticks`; messages a second over all users.
        auto_connect: whether `ws` is opened before `on_start`; if not, tasks open connections with `connect`.
        quiet_s: at the end, connections are closed after this many seconds without a message (or when --drain is over):
            for scenarios that count pushed messages, which may still be on their way.
        number: number of this user, from 0, unique within the run.
    """

    abstract = True
    path: str = ""
    headers: Iterable[tuple[str, str]] | Mapping[str, str] = ()
    settings: ClassVar[Mapping[str, settings.Setting]] = {}
    rate: ClassVar[float | None] = None
    auto_connect: ClassVar[bool] = True
    quiet_s: ClassVar[float] = 0.0
    ws: WebSocket
    tasks: list[Any]

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._engine: Engine = plugin.engine_of(environment)
        quiet_s = scenario_values.timeout_s(self.quiet_s, "quiet_s")
        self._engine.connections.quiet_s = max(self._engine.connections.quiet_s, quiet_s)
        self.number = self._engine.new_user()
        self._sockets: list[WebSocket] = []
        self._unopened: list[WebSocket] = []
        if not self.tasks:  # the scenario consists of callbacks
            self.tasks = [WebSocketUser.idle]

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; raise AttributeError if it would have no effect, because `ws` has been opened."""
        if name in _OF_FIRST_CONNECTION and self.auto_connect and self._asked_to_connect:
            raise AttributeError(
                f"{name} is set after the connection was opened: set it in __init__, or give it to self.connect"
            )
        super().__setattr__(name, value)

    # -- to override -----------------------------------------------------------------------------------------------

    def on_open(self, ws: WebSocket) -> None:
        """Log in and subscribe on `ws`, which has just been opened or reopened. Tasks wait until this returns."""

    def on_message(self, message: Message) -> None:
        """Handle a message that answers no request and that no task waits for. Called in the hub: it must not wait.

        Without an override such messages are kept for `ws.recv`, `ws.expect` and iteration.
        """

    decoder: ClassVar[Callable[[WebSocketUser, WebSocket], Decoder] | None] = None
    """For a protocol on top of WebSocket: a method that returns a decoder for each connection that is opened.
    It gets each received message and returns the `Message` (or a subclass) that this completes, a list of those that it
    holds, or None for a part."""

    def on_drop(self, ws: WebSocket, error: ConnectionLost) -> None:
        """Handle the drop of `ws`. Called in the hub: it must not wait. The connection is reopened automatically."""

    @classmethod
    def finalize_counters(cls, counters: dict[str, int]) -> None:
        """Compute, in place, counters that depend on the sums over all workers. Called once, at the end of a run."""
        cls.conclude(counters)

    @classmethod
    def conclude(cls, counters: dict[str, int]) -> None:
        """Deprecated name of `finalize_counters`."""

    # -- for tasks -------------------------------------------------------------------------------------------------

    @property
    def options(self) -> RunOptions:
        """The options of the run."""
        return self._engine.options

    @property
    def same_host(self) -> bool:
        """Whether the target has a loopback address and so shares this machine's clock."""
        return is_loopback(self.options.connect.uri.host)

    @property
    def phase(self) -> Phase:
        """The current phase."""
        return self._engine.recorder.advance(time.time_ns()).interval.phase

    def setting(self, name: str) -> Any:
        """Return the value of a setting, in the type of its default."""
        if name not in self.settings:
            raise ValueError(f"there is no setting {name!r}: `settings` has {', '.join(self.settings) or 'none'}")
        return settings.value_of(self.settings[name], name, self.options.settings)

    def connect(
        self,
        path: str | None = None,
        *,
        headers: Iterable[tuple[str, str]] | Mapping[str, str] = (),
        subprotocols: Iterable[str] | None = None,
        on_open: Callable[[WebSocket], None] | None = None,
    ) -> WebSocket:
        """Open one more connection for this user.

        Args:
            path: another path, or a whole URL; default: the URL of the run. A path keeps the query of that URL.
            headers: additional to those of `--header` and of `self.headers`; pairs, or a dict.
            subprotocols: instead of those of `--subprotocol`.
            on_open: called each time the connection has been opened; default: `self.on_open`.

        Raise Disconnected if it cannot be opened. That is counted; uncaught, it ends the task and nothing else.
        """
        return self._open(self._socket(self._connect_options(path, headers, subprotocols), on_open))

    def _socket(self, options: ConnectOptions, on_open: Callable[[WebSocket], None] | None = None) -> WebSocket:
        return WebSocket(
            self._engine,
            options=options,
            on_open=on_open or self.on_open,
            on_drop=self.on_drop,
            on_message=self.on_message if type(self).on_message is not WebSocketUser.on_message else None,
            decoder=self.decoder,
        )

    def _open(self, socket: WebSocket) -> WebSocket:
        self._asked_to_connect = True
        tried_before, self._unopened = self._unopened, []
        try:
            socket.open()
        except ConnectError as error:
            self._unopened.append(socket)  # away until this user tries again
            raise Disconnected(error.what, remedy=error.remedy, side=error.side) from error
        except BaseException:  # this greenlet is stopped, or a timeout of the scenario has ended the wait
            socket.close()
            raise
        finally:
            for earlier in tried_before:
                earlier.close()
        self._sockets = [known for known in self._sockets if not known.closed]
        self._sockets.append(socket)
        return socket

    def ticks(self, rate: float | None = None) -> Iterator[int]:
        """Yield the due instants of an open loop (ns of CLOCK_REALTIME), each when it comes, until the run ends.

            for due_ns in self.ticks():
                self.ws.send_request(message, match, name="order", due_ns=due_ns)

        The schedule does not wait: a late task gets the missed instants at once (the latest 10,000; older ones count as
        missed), and `response` counts from the due instant. So use `send_request`; `request` waits for each reply.

        Args:
            rate: messages a second of this user; default: its share of `--rate`, which all users of the classes that
                call this without a rate send together.
        """
        schedule, ticks = self._engine.schedule, _Ticks(self._engine)
        if rate is not None:
            schedule.pace_alone(ticks, scenario_values.rate_per_s(rate))
        elif self.options.rate is not None:
            schedule.keeps(type(self).__name__)
            schedule.pace(ticks)
        else:
            raise UsageError("this scenario sends at a rate, and none was given", remedy="Give --rate.")
        try:
            yield from ticks
        finally:
            schedule.unpace(ticks)

    def sleep_until(self, instant_ns: int) -> None:
        """Sleep until an instant of CLOCK_REALTIME (ns), as exactly as `ticks`; return at once if it is past."""
        instant_ns = scenario_values.duration_ns(instant_ns, "instant_ns")
        ticks = _Ticks(self._engine)
        self._engine.schedule.wake(ticks, instant_ns)
        try:
            next(iter(ticks))
        finally:
            self._engine.schedule.unpace(ticks)

    def wait_for_ramp(self) -> None:
        """Wait until the ramp is over and all connections are open."""
        self._engine.ramped.wait()

    def record(self, name: str, value_ns: float) -> None:
        """Record a duration in the scenario's series of that name, rounded to whole ns.

        It belongs to the current second; in a callback, to the second of the message last received or sent, so that all
        records of one message stay together.
        """
        name, value_ns = scenario_values.name_of(name), scenario_values.duration_ns(value_ns, "value_ns")
        self._tally().value(name, value_ns)
        self._engine.fire_request(value_ns, 0, name=name)

    def count(self, name: str, count: int = 1) -> None:
        """Add a whole number to a counter: `counters` in run.json, over the whole run and all workers.

        For what is sent, give the counter to `send` or `request` instead: the end of a run may refuse a message.
        """
        name, count = scenario_values.name_of(name), scenario_values.count_of(count)
        self._tally().count(name, count)

    def group(self, name: str, key: int | str, *, since_ns: int, value_ns: float) -> None:
        """Record a duration as one of the group `key`, which may have members on several workers.

        The first, median and last value of each group make the series `NAME.first`, `NAME.median` and `NAME.last`.
        They belong to the second of `since_ns`, which must be the same for the whole group.
        """
        name, key = scenario_values.name_of(name), scenario_values.group_key(key)
        since_ns = scenario_values.instant_ns(since_ns, "since_ns", time.time_ns())
        value_ns = scenario_values.duration_ns(value_ns, "value_ns")
        self._engine.recorder.tally_at(since_ns).grouped(name, key, value_ns)

    def _tally(self) -> Tally:
        recorder = self._engine.recorder
        return recorder.current if in_hub() else recorder.advance(time.time_ns())

    # -- Locust's ----------------------------------------------------------------------------------------------------

    def _run_tasks(self) -> None:
        """Run the tasks, with the connection opened before and closed after them."""
        try:
            if self.auto_connect:
                self.ws = self._socket(self._connect_options())  # set first: callbacks may use it
                self._open(self.ws)
            super()._run_tasks()
        except TaskFailed:  # not connected, or raised in `on_start` or `on_stop`: callbacks go on
            self.idle()
        finally:
            for socket in (*self._sockets, *self._unopened):
                socket.close()

    def _connect_options(
        self,
        path: str | None = None,
        headers: Iterable[tuple[str, str]] | Mapping[str, str] = (),
        subprotocols: Iterable[str] | None = None,
    ) -> ConnectOptions:
        own = self._connect_base()
        changes: dict[str, Any] = {}
        if path is not None:
            if not isinstance(path, str):
                raise TypeError(f"path {path!r} is neither a path nor a URL")
            changes["url"] = with_path(own.url, path)
        elif self.path:
            url = with_path(own.url, self.path.format(**{name: self.setting(name) for name in self.settings}))
            if "path" in vars(self) or urlsplit(own.url).path in ("", "/"):
                changes["url"] = url
            elif url != own.url:
                _warn_of_unused_path(type(self).__name__, self.path, own.shown_url)
        if more := (*scenario_values.header_pairs(self.headers), *scenario_values.header_pairs(headers)):
            changes["headers"] = (*own.headers, *more)
        if subprotocols is not None:
            changes["subprotocols"] = scenario_values.subprotocol_names(subprotocols)
        return dataclasses.replace(own, **changes) if changes else own


@functools.cache
def _warn_of_unused_path(user: str, path: str, url: str) -> None:
    """Log once that the path of the URL comes first."""
    logger.warning("The path %s of %s is not used, because the URL %s has a path", path, user, url)


_TICKS_KEPT = 10_000
"""Limit of due instants that wait for a task, so that a rate beyond its means needs no more memory."""


class _Ticks:
    """Iterator over the due instants of a schedule; `Paced`."""

    has_waiters = True

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._due: deque[int] = deque()
        self._news = Event()

    def fire(self, due_ns: int) -> None:
        """Add a due instant; miss the oldest one if too many wait for a slow task."""
        self._due.append(due_ns)
        if len(self._due) > _TICKS_KEPT:
            self.miss(self._due.popleft(), 1)
        self._news.set()

    def miss(self, due_ns: int, count: int) -> None:
        """Count instants that passed too long ago to send for them. In the drain nothing is due any more."""
        if due_ns < self._engine.recorder.plan.drain_ns:
            self._engine.recorder.tally_at(due_ns).missed += count

    def __iter__(self) -> Iterator[int]:
        while True:
            while not self._due:
                self._news.clear()
                self._news.wait()
            due_ns = self._due.popleft()
            if due_ns < self._engine.recorder.plan.drain_ns:
                yield due_ns
