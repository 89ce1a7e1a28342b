"""`WebSocketUser`: the base of scenarios of one's own, in ordinary Locust style."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar
from urllib.parse import urljoin, urlsplit

import gevent
from gevent.event import Event
from locust import User

from wsbench.errors import ConnectError, ConnectionLost, UsageError
from wsbench.locust_plugin import plugin
from wsbench.measure.phases import Phase
from wsbench.measure.series import check_name
from wsbench.measure.tally import Tally
from wsbench.run import settings
from wsbench.run.options import RunOptions
from wsbench.source_addresses import is_loopback
from wsbench.users.dispatcher import Decoder
from wsbench.users.message import Message
from wsbench.users.pending_request import Disconnected, TaskFailed, being_stopped, in_hub
from wsbench.users.websocket import WebSocket
from wsbench.websocket.handshake import ConnectOptions
from wsbench.worker.engine import Engine

plugin.register()


class WebSocketUser(User):
    """A user that holds a WebSocket connection, `self.ws`, while its tasks run.

        class Chat(WebSocketUser):
            wait_time = between(1, 3)

            def on_open(self, ws):
                ws.request({"type": "login", "user": self.number}, match={"type": "welcome"}, name="login")

            @task
            def say(self):
                self.ws.request({"type": "say", "text": "hello"}, match={"type": "said"}, name="say")

    The connection is open before `on_start`. When it drops it is opened again (`--reconnect`), `on_open` is called
    again, and tasks that want to send wait for that meanwhile.

    Attributes:
        path: where to connect when the URL has no path of its own; a setting's name in braces stands for its value.
        settings: what `--set NAME=VALUE` can change, with defaults; the type of each says what may be given.
        rate: what `ticks` takes when `--rate` is not given, messages a second over all users.
        auto_connect: whether `ws` is opened before `on_start`; if not, tasks open their own with `connect`.
        quiet_s: at the end connections are closed when nothing has come for so long (or --drain is over): for scenarios
            that count what the server sends on its own accord, which may still be under way.
        number: of this user, from 0; no other user of the run has it.
    """

    abstract = True
    path: ClassVar[str] = ""
    settings: ClassVar[Mapping[str, settings.Setting]] = {}
    rate: ClassVar[float | None] = None
    auto_connect: ClassVar[bool] = True
    quiet_s: ClassVar[float] = 0.0
    ws: WebSocket
    tasks: list[Any]

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._engine: Engine = plugin.engine_of(environment)
        self._engine.quiet_s = max(self._engine.quiet_s, self.quiet_s)
        self.number = self._engine.new_user()
        self._sockets: list[WebSocket] = []
        if not self.tasks:  # callbacks are all of it
            self.tasks = [WebSocketUser.idle]

    # -- to override -----------------------------------------------------------------------------------------------

    def on_open(self, ws: WebSocket) -> None:
        """`ws` has just been opened, for the first time or again: log in, subscribe. Tasks wait until this is done."""

    def on_message(self, message: Message) -> None:
        """A message that answers no request and that nobody waits for. Called in the hub: it must not wait.

        Without an override such messages are kept for `ws.recv`, `ws.expect` and iteration.
        """

    decoder: ClassVar[Callable[[WebSocketUser, WebSocket], Decoder] | None] = None
    """For a protocol on top of WebSocket: a method that makes, for every connection that is opened, a function from
    what came to the message that it completes (a `Message` or a subclass of it), or None when it completes none."""

    def on_drop(self, ws: WebSocket, error: ConnectionLost) -> None:
        """`ws` is gone without our asking. Called in the hub: it must not wait. It is opened again by itself."""

    @classmethod
    def conclude(cls, counters: dict[str, int]) -> None:
        """At the end of a run, where it is directed: work out what only all counters together tell, in place."""

    # -- for tasks -------------------------------------------------------------------------------------------------

    @property
    def options(self) -> RunOptions:
        """The options of the run."""
        return self._engine.options

    @property
    def same_host(self) -> bool:
        """Whether the target is on this machine (a loopback address), so that its clock is ours."""
        host = self.options.connect.uri.host
        return host == "::1" or is_loopback(host)

    @property
    def phase(self) -> Phase:
        """The phase of now."""
        return self._engine.recorder.advance(time.time_ns()).interval.phase

    def setting(self, name: str) -> Any:
        """The value of a setting, of its default's kind."""
        return settings.value_of(self.settings[name], name, self.options.settings)

    def connect(
        self,
        path: str | None = None,
        *,
        headers: Iterable[tuple[str, str]] = (),
        subprotocols: Iterable[str] | None = None,
        on_open: Callable[[WebSocket], None] | None = None,
    ) -> WebSocket:
        """Open one more connection of this user's.

        Args:
            path: another path, or a whole URL; None for where all go.
            headers: of its own, beside those of `--header`.
            subprotocols: instead of those of `--subprotocol`.
            on_open: called whenever it has been opened; `self.on_open`, if not given.

        Raises:
            Disconnected: it did not come about. It is counted; uncaught, it ends the task and nothing else.
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
        try:
            socket.open()
        except ConnectError as error:
            raise Disconnected(error.what, remedy=error.remedy, side=error.side) from error
        self._sockets = [known for known in self._sockets if known.connection is not None]
        self._sockets.append(socket)
        return socket

    def ticks(self, rate: float | None = None) -> Iterator[int]:
        """An open loop: instants at which messages are due (ns of CLOCK_REALTIME), as each comes, until the run ends.

            for due_ns in self.ticks():
                self.ws.ask(message, match, name="order", due_ns=due_ns)

        The schedule does not wait: whoever is late gets the next instants at once, and `response` counts from when the
        message was due. So `ask` and do not `request`, unless replies are to be waited for.

        Args:
            rate: messages a second of this user; its share of `--rate` if not given.
        """
        users = self.options.users
        total = rate * users if rate is not None else self.options.rate
        if total is None:
            raise UsageError("this scenario sends at a rate, and none was given", remedy="Give --rate.")
        ticks = _Ticks(self._engine)
        self._engine.pace(ticks, total)
        try:
            yield from ticks
        finally:
            self._engine.unpace(ticks)

    def sleep_until(self, instant_ns: int) -> None:
        """Until an instant of CLOCK_REALTIME (ns), as exactly as `ticks`; at once, if it is past."""
        ticks = _Ticks(self._engine)
        self._engine.wake(ticks, instant_ns)
        try:
            next(iter(ticks))
        finally:
            self._engine.unpace(ticks)

    def wait_for_ramp(self) -> None:
        """Until the ramp is over and all connections are open."""
        self._engine.ramped.wait()

    def idle(self) -> None:
        """Do nothing until Locust stops this user: what comes meanwhile is seen to by callbacks."""
        if not being_stopped():  # a user that ended by itself would be missed by Locust
            gevent.sleep(2**31)

    def record(self, name: str, value_ns: int) -> None:
        """Count a duration of the scenario's own in a series of that name.

        It belongs to the second of now; in a callback, to that of what was last received or sent, so that what is
        recorded of one message stays together.
        """
        check_name(name)
        self._tally().value(name, value_ns)
        self._engine.fire_request(value_ns, 0, name=name)

    def count(self, name: str, count: int = 1) -> None:
        """Add to a counter of the scenario's own: `counters` in run.json, over the whole run and all workers."""
        check_name(name)
        self._tally().count(name, count)

    def group(self, name: str, key: int, *, since_ns: int, value_ns: int) -> None:
        """Count a duration that belongs with others of the same `key`, whichever worker has them.

        Of each group the first, the median and the last value make the series `NAME.first`, `NAME.median` and
        `NAME.last`. It belongs to the second of `since_ns`, which must be the same for the whole group.
        """
        check_name(name)
        self._engine.recorder.tally_at(since_ns).grouped(name, key, value_ns)

    def _tally(self) -> Tally:
        recorder = self._engine.recorder
        return recorder.current if in_hub() else recorder.advance(time.time_ns())

    # -- Locust's ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Locust's, with the connection around it."""
        try:
            if self.auto_connect:
                self._connect_first()
            super().run()
        except TaskFailed:  # in `on_start`, or in `on_stop` of a run that is over: it has been counted
            self.idle()
        except Exception:
            if not self._sockets:
                self._engine.user_failed()
            raise
        finally:
            for socket in self._sockets:
                socket.close()

    def _connect_first(self) -> None:
        self.ws = self._socket(self._connect_options(None, (), None))  # before it is open: callbacks may want it
        try:
            self._open(self.ws)
        except Disconnected:
            self.idle()

    def _connect_options(
        self, path: str | None, headers: Iterable[tuple[str, str]], subprotocols: Iterable[str] | None
    ) -> ConnectOptions:
        own = self.options.connect
        changes: dict[str, Any] = {}
        if path is not None:
            changes["url"] = urljoin(own.url, path) if "://" not in path else path
        elif self.path and urlsplit(own.url).path in ("", "/"):
            own_settings = {name: self.setting(name) for name in self.settings}
            changes["url"] = urljoin(own.url, self.path.format(**own_settings))
        if more := tuple(headers):
            changes["headers"] = (*own.headers, *more)
        if subprotocols is not None:
            changes["subprotocols"] = tuple(subprotocols)
        return dataclasses.replace(own, **changes) if changes else own


class _Ticks:
    """Instants of a schedule, as they come."""

    has_waiters = True

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._due: deque[int] = deque()
        self._news = Event()

    def fire(self, due_ns: int) -> None:
        """Paced: one is due."""
        self._due.append(due_ns)
        self._news.set()

    def miss(self, due_ns: int) -> None:
        """Paced: one was due so long ago that it makes no sense any more."""
        self._engine.recorder.tally_at(due_ns).missed += 1

    def __iter__(self) -> Iterator[int]:
        while True:
            while not self._due:
                self._news.clear()
                self._news.wait()
            due_ns = self._due.popleft()
            if due_ns < self._engine.recorder.plan.drain_ns:
                yield due_ns
