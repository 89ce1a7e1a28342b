"""`SocketIOUser`: scenarios for Socket.IO servers.

Engine.IO 4 and Socket.IO 5, on the WebSocket transport alone, with the packet codecs of python-socketio and
python-engineio. A packet with binary data is several WebSocket messages: it arrives with the last of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, ClassVar

from engineio import packet as engineio
from socketio import packet as socketio

from wsbench.errors import Side
from wsbench.users.message import Message
from wsbench.users.pending_request import Disconnected
from wsbench.users.websocket import WebSocket
from wsbench.users.websocket_user import WebSocketUser

_EVENTS = (socketio.EVENT, socketio.BINARY_EVENT)
_ACKS = (socketio.ACK, socketio.BINARY_ACK)
_ENGINE_PING, _ENGINE_PONG = "2", "3"

Handler = Callable[..., None]


class PacketMessage(Message):
    """A whole Socket.IO packet, or an Engine.IO packet that carries none (`packet` is None then).

    Attributes:
        packet: the packet of python-socketio with its attachments.
    """

    __slots__ = ("packet",)

    def __init__(self, message: Message, packet: socketio.Packet | None) -> None:
        super().__init__(message.payload, message.is_text, message.arrived_ns, message.handled_ns)
        self.packet = packet


class PacketDecoder:
    """Assembles the packets of a connection, and answers the server's heartbeats."""

    def __init__(self, ws: WebSocket) -> None:
        self._ws = ws
        self._partial: socketio.Packet | None = None

    def __call__(self, message: Message) -> PacketMessage | None:
        if not message.is_text:
            return self._attachment(message)
        if message.text == _ENGINE_PING:
            self._ws.send(_ENGINE_PONG)
            return None
        if message.text[:1] != str(engineio.MESSAGE):
            return PacketMessage(message, None)
        packet = socketio.Packet(encoded_packet=message.text[1:])
        if packet.attachment_count:
            self._partial = packet
            return None
        return PacketMessage(message, packet)

    def _attachment(self, message: Message) -> PacketMessage | None:
        packet = self._partial
        if packet is None:
            raise ValueError("a binary message that belongs to no packet")
        if not packet.add_attachment(message.payload):
            return None
        self._partial = None
        return PacketMessage(message, packet)


class SocketIOUser(WebSocketUser):
    """A user connected to a namespace of a Socket.IO server while its tasks run.

        class Player(SocketIOUser):
            @task
            def move(self):
                where = self.call("move", {"x": 1, "y": 2})         # waits for the acknowledgement: series "move"
                self.request("look", where, match="seen")           # waits for an event of the server: series "look"

    Attributes:
        namespace: the namespace to connect to.
        auth: the data of the CONNECT packet; may be a property.
    """

    abstract = True
    path = "/socket.io/?EIO=4&transport=websocket"
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
        """Call `handler(*data)` for each event of that name, in the hub: it must not wait."""
        if not callable(handler):
            raise TypeError(f"on takes a function of an event's data, and not {handler!r}")
        self._handlers[_checked("event", event)] = handler

    def emit(self, event: str, *data: Any, due_ns: int | None = None) -> None:
        """Emit an event without acknowledgement."""
        first, *attachments = self._encoded(socketio.EVENT, [_checked("event", event), *data])
        self.ws.send(first, due_ns=due_ns)
        self._attach(attachments)

    def call(
        self,
        event: str,
        *data: Any,
        name: str | None = None,
        timeout_s: float | None = None,
        due_ns: int | None = None,
    ) -> Any:
        """Emit an event, wait for its acknowledgement, and measure that under `name` (default: the event's name).

        Return its data: None, one value, or a list of several. Raise as `WebSocket.request` does.
        """
        number = next(self._ids)
        acknowledged = self._exchange(
            self._encoded(socketio.EVENT, [_checked("event", event), *data], number),
            lambda packet: packet.packet_type in _ACKS and packet.id == number,
            {"name": name or event, "timeout_s": timeout_s, "due_ns": due_ns},
        )
        values = acknowledged.data or []
        return values[0] if len(values) == 1 else values or None

    def request(
        self,
        event: str,
        *data: Any,
        match: str | Callable[..., bool] | None = None,
        name: str | None = None,
        timeout_s: float | None = None,
        due_ns: int | None = None,
    ) -> list[Any]:
        """Emit an event, wait for the server's event that answers it, and measure that under `name`.

        `match` is the answering event's name, or a function of name and data; default: the same name. Raise as
        `WebSocket.request` does.
        """
        wanted = match if callable(match) else _checked("match", match or event)
        answered = self._exchange(
            self._encoded(socketio.EVENT, [_checked("event", event), *data]),
            lambda packet: (
                packet.packet_type in _EVENTS
                and (wanted(*packet.data) if callable(wanted) else packet.data[0] == wanted)
            ),
            {"name": name or event, "timeout_s": timeout_s, "due_ns": due_ns},
        )
        return list(answered.data[1:])

    # -- WebSocketUser's ---------------------------------------------------------------------------------------------

    def decoder(self, ws: WebSocket) -> PacketDecoder:
        """Return a decoder of Socket.IO packets."""
        return PacketDecoder(ws)

    def on_open(self, ws: WebSocket) -> None:
        """Wait for the greeting of Engine.IO, then connect the namespace."""
        self.ws = ws
        ws.expect(lambda m: m.text.startswith(str(engineio.OPEN)))
        first, *_ = self._encoded(socketio.CONNECT, self.auth)
        types = (socketio.CONNECT, socketio.CONNECT_ERROR)
        reply = ws.request(first, self._of_packets(lambda p: p.packet_type in types), name="namespace")
        assert isinstance(reply, PacketMessage) and reply.packet is not None
        if reply.packet.packet_type == socketio.CONNECT_ERROR:
            reply.fail(f"the namespace {self.namespace} refuses: {reply.packet.data}")
            raise Disconnected(f"the namespace {self.namespace} refuses", side=Side.TARGET)
        self.on_connect()

    def on_message(self, message: Message) -> None:
        """Call the handler of an event that no task waits for."""
        packet = message.packet if isinstance(message, PacketMessage) else None
        if packet is not None and packet.packet_type in _EVENTS:
            event, *data = packet.data
            if (handler := self._handlers.get(event)) is not None:
                handler(*data)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _encoded(self, kind: int, data: Any, number: int | None = None) -> list[str | bytes]:
        """Return the WebSocket messages that carry a packet."""
        binary = None if kind == socketio.EVENT else False
        namespace = _checked("namespace", self.namespace)
        encoded = socketio.Packet(kind, data=data, namespace=namespace, id=number, binary=binary).encode()
        first, *attachments = encoded if isinstance(encoded, list) else [encoded]
        return [str(engineio.MESSAGE) + first, *attachments]

    def _exchange(
        self, messages: list[str | bytes], wanted: Callable[[Any], bool], how: dict[str, Any]
    ) -> socketio.Packet:
        request = self.ws.send_request(messages[0], self._of_packets(wanted), **how)
        self._attach(messages[1:])
        reply = request.reply()
        assert isinstance(reply, PacketMessage)
        return reply.packet

    def _attach(self, attachments: list[str | bytes]) -> None:
        for attachment in attachments:
            self.ws.send(attachment)

    def _of_packets(self, wanted: Callable[[Any], bool]) -> Callable[[Message], bool]:
        def accepts(message: Message) -> bool:
            packet = message.packet if isinstance(message, PacketMessage) else None
            return packet is not None and (packet.namespace or "/") == self.namespace and wanted(packet)

        return accepts


def _checked(what: str, name: Any) -> str:
    """Return a name, which must be a text: the codec would send anything."""
    if not isinstance(name, str):
        raise TypeError(f"{what} {name!r} is not a text")
    return name
