"""`SocketIOUser`: scenarios for Socket.IO servers, on the WebSocket transport alone."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any, ClassVar
from urllib.parse import urlsplit

from socketio import packet as socketio

from wsbench.users.message import Message
from wsbench.users.pending_request import PendingRequest
from wsbench.users.socketio_packets import (
    ACKS,
    EVENTS,
    PacketDecoder,
    PacketMessage,
    encode,
    is_greeting,
    of_packet,
    refused,
)
from wsbench.users.websocket import WebSocket
from wsbench.users.websocket_user import WebSocketUser
from wsbench.websocket.connect_options import ConnectOptions
from wsbench.websocket.server_url import with_path

Handler = Callable[..., Any]
_QUERY = "EIO=4&transport=websocket"
"""Parameters of the query that the protocol wants, whatever the path of the server is."""


class SocketIOUser(WebSocketUser):
    """A user connected to a namespace of a Socket.IO server while its tasks run.

        class Player(SocketIOUser):
            @task
            def move(self):
                where = self.call("move", {"x": 1, "y": 2})         # waits for the acknowledgement: series "move"
                self.request("look", where, match="seen")           # waits for an event of the server: series "look"

            @task
            def check(self):
                reply = self.send_call("balance").reply()           # the same, with the message
                if reply.data != [0]:
                    reply.fail(f"the balance is {reply.data}")

    A server that ends the namespace has dropped the connection; one that refuses it has not opened it.
    The path is that of the URL, or /socket.io/ if it has none; what the protocol wants in the query is added.

    Attributes:
        namespace: the namespace to connect to.
        auth: the data of the CONNECT packet; may be a property.
    """

    abstract = True
    path = "/socket.io/"
    namespace: ClassVar[str] = "/"
    auth: Any = None

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._ids = itertools.count(1)
        self._handlers: dict[str, Handler] = {}

    # -- to override -----------------------------------------------------------------------------------------------

    def on_connect(self) -> None:
        """Set up after the namespace is connected or reconnected. Tasks wait until this returns."""

    # -- for tasks -------------------------------------------------------------------------------------------------

    def on(self, event: str, handler: Handler) -> None:
        """Call `handler(*data)` for each event of that name that no task waits for, in the hub: it must not wait.

        If the server asks for an acknowledgement, that has what `handler` returns: None, one value, or a tuple of
        several. Events without a handler are acknowledged without values.
        """
        if not callable(handler):
            raise TypeError(f"on takes a function of an event's data, and not {handler!r}")
        self._handlers[_checked("event", event)] = handler

    def emit(self, event: str, *data: Any, due_ns: int | None = None, count: str | None = None) -> None:
        """Emit an event without acknowledgement. `due_ns` and `count` are as for `WebSocket.request`."""
        first, *attachments = self._event(event, data)
        self.ws.send(first, due_ns=due_ns, count=count)
        self._attach(attachments)

    def call(
        self,
        event: str,
        *data: Any,
        name: str | None = None,
        timeout_s: float | None = None,
        due_ns: int | None = None,
        count: str | None = None,
    ) -> Any:
        """Emit an event, wait for its acknowledgement, and measure that under `name` (default: the event's name).

        Return its data: None, one value, or a list of several. The other arguments, and what it raises, are as for
        `WebSocket.request`.
        """
        values = _reply(self.send_call(event, *data, name=name, timeout_s=timeout_s, due_ns=due_ns, count=count)).data
        return values[0] if len(values) == 1 else values or None

    def send_call(
        self,
        event: str,
        *data: Any,
        name: str | None = None,
        timeout_s: float | None = None,
        due_ns: int | None = None,
        count: str | None = None,
    ) -> PendingRequest:
        """Emit an event as `call` does, and return without waiting.

        `reply()` of the result waits, and returns the `PacketMessage` of the acknowledgement.
        """
        number = next(self._ids)
        return self._send(
            self._event(event, data, number),
            lambda packet: packet.packet_type in ACKS and packet.id == number,
            {"name": name or event, "timeout_s": timeout_s, "due_ns": due_ns, "count": count},
        )

    def request(
        self,
        event: str,
        *data: Any,
        match: str | Callable[..., bool] | None = None,
        name: str | None = None,
        timeout_s: float | None = None,
        due_ns: int | None = None,
        count: str | None = None,
    ) -> list[Any]:
        """Emit an event, wait for the server's event that answers it, and measure that under `name`.

        `match` is the answering event's name, or a function of name and data; default: the same name. Return its data.
        The other arguments, and what it raises, are as for `WebSocket.request`.
        """
        how: dict[str, Any] = {"name": name, "timeout_s": timeout_s, "due_ns": due_ns, "count": count}
        answer = _reply(self.send_request(event, *data, match=match, **how))
        answer.acknowledge()
        return answer.data[1:]

    def send_request(
        self,
        event: str,
        *data: Any,
        match: str | Callable[..., bool] | None = None,
        name: str | None = None,
        timeout_s: float | None = None,
        due_ns: int | None = None,
        count: str | None = None,
    ) -> PendingRequest:
        """Emit an event as `request` does, and return without waiting.

        `reply()` of the result waits, and returns the `PacketMessage` of the event.
        """
        wanted = match if callable(match) else _checked("match", match or event)
        return self._send(
            self._event(event, data),
            lambda packet: (
                packet.packet_type in EVENTS
                and (wanted(*packet.data) if callable(wanted) else packet.data[0] == wanted)
            ),
            {"name": name or event, "timeout_s": timeout_s, "due_ns": due_ns, "count": count},
        )

    # -- WebSocketUser's ---------------------------------------------------------------------------------------------

    def decoder(self, ws: WebSocket) -> PacketDecoder:
        """Return a decoder of Socket.IO packets."""
        return PacketDecoder(ws, self._namespace)

    def on_open(self, ws: WebSocket) -> None:
        """Wait for the greeting of Engine.IO, then connect the namespace; raise ConnectError if it is refused."""
        self.ws = ws
        ws.expect(is_greeting)
        first, *_ = encode(socketio.CONNECT, self.auth, self._namespace)
        types = (socketio.CONNECT, socketio.CONNECT_ERROR)
        reply = ws.request(first, of_packet(self._namespace, lambda p: p.packet_type in types), name="namespace")
        assert isinstance(reply, PacketMessage) and reply.packet is not None
        if reply.packet.packet_type == socketio.CONNECT_ERROR:
            raise refused(self._namespace, reply.packet.data)
        self.on_connect()

    def on_message(self, message: Message) -> None:
        """Call the handler of an event that no task waits for, and acknowledge the event."""
        if isinstance(message, PacketMessage) and message.is_event:
            event, *data = message.data
            handler = self._handlers.get(event)
            answer = handler(*data) if handler is not None else None
            message.acknowledge(*(answer if isinstance(answer, tuple) else () if answer is None else (answer,)))

    def _connect_options(self, *args: Any, **options: Any) -> ConnectOptions:
        own = super()._connect_options(*args, **options)
        parts = urlsplit(own.url)
        url = with_path(parts._replace(query=_QUERY).geturl(), f"{parts.path}?{parts.query}")
        return dataclasses.replace(own, url=url)

    # -- inside ----------------------------------------------------------------------------------------------------

    @property
    def _namespace(self) -> str:
        """The namespace as the protocol has it, which begins with a slash."""
        namespace = _checked("namespace", self.namespace)
        return namespace if namespace.startswith("/") else f"/{namespace}"

    def _event(self, event: str, data: tuple[Any, ...], number: int | None = None) -> list[str | bytes]:
        return encode(socketio.EVENT, [_checked("event", event), *data], self._namespace, number)

    def _send(self, messages: list[str | bytes], wanted: Callable[[Any], bool], how: dict[str, Any]) -> PendingRequest:
        first, *attachments = messages
        request = self.ws.send_request(first, of_packet(self._namespace, wanted), **how)
        self._attach(attachments)
        return request

    def _attach(self, attachments: list[str | bytes]) -> None:
        for attachment in attachments:
            self.ws.send(attachment)


def _reply(request: PendingRequest) -> PacketMessage:
    reply = request.reply()
    assert isinstance(reply, PacketMessage)
    return reply


def _checked(what: str, name: Any) -> str:
    """Return a name, which must be a text: the codec would send anything."""
    if not isinstance(name, str):
        raise TypeError(f"{what} {name!r} is not a text")
    return name
