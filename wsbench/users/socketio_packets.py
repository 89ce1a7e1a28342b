"""Packets of Socket.IO on a scenario's connection.

The protocols are Engine.IO 4 and Socket.IO 5, which servers of Socket.IO 3 and 4 speak. The codecs are those of
python-socketio and python-engineio. A packet with binary data is several WebSocket messages: it arrives with the last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engineio import packet as engineio
from socketio import packet as socketio

from wsbench.errors import ConnectError, ConnectionLost, Side
from wsbench.users.message import Message
from wsbench.users.websocket import WebSocket

EVENTS = (socketio.EVENT, socketio.BINARY_EVENT)
ACKS = (socketio.ACK, socketio.BINARY_ACK)
_ENGINE_PING, _ENGINE_PONG = "2", "3"
_NORMAL_CLOSURE = 1000


class PacketMessage(Message):
    """A whole Socket.IO packet, or an Engine.IO packet that carries none (`packet` is None then).

    Attributes:
        packet: the packet of python-socketio with its attachments.
    """

    __slots__ = ("_acknowledged_by", "packet")

    def __init__(self, message: Message, packet: socketio.Packet | None, ws: WebSocket | None = None) -> None:
        super().__init__(message.payload, message.is_text, message.arrived_ns, message.handled_ns)
        self.packet = packet
        self._acknowledged_by = ws if packet is not None and packet.id is not None and self.is_event else None

    @property
    def is_event(self) -> bool:
        """Whether the packet is an event."""
        return self.packet is not None and self.packet.packet_type in EVENTS

    @property
    def data(self) -> list[Any]:
        """The values of an acknowledgement, or the name of an event and its values."""
        return [*((self.packet and self.packet.data) or ())]

    def acknowledge(self, *values: Any) -> None:
        """Send the acknowledgement that the server asked for with this event, once; nothing if it asked for none."""
        ws, self._acknowledged_by = self._acknowledged_by, None
        if ws is not None and self.packet is not None:
            for message in encode(socketio.ACK, [*values], self.packet.namespace, self.packet.id):
                ws.answer(message)


class PacketDecoder:
    """Assembles the packets of a connection, answers the server's heartbeats, and notices the end of the namespace."""

    def __init__(self, ws: WebSocket, namespace: str) -> None:
        self._ws = ws
        self._namespace = namespace
        self._partial: socketio.Packet | None = None

    def __call__(self, message: Message) -> PacketMessage | None:
        if not message.is_text:
            return self._attachment(message)
        if message.text == _ENGINE_PING:
            self._ws.answer(_ENGINE_PONG)
            return None
        if message.text[:1] != str(engineio.MESSAGE):
            return PacketMessage(message, None)
        packet = socketio.Packet(encoded_packet=message.text[1:])
        if packet.attachment_count:
            self._partial = packet
            return None
        self._check_namespace(packet)
        return PacketMessage(message, packet, self._ws)

    def _attachment(self, message: Message) -> PacketMessage | None:
        packet = self._partial
        if packet is None:
            raise ValueError("a binary message that belongs to no packet")
        if not packet.add_attachment(message.payload):
            return None
        self._partial = None
        return PacketMessage(message, packet, self._ws)

    def _check_namespace(self, packet: socketio.Packet) -> None:
        """Raise ConnectionLost for a packet after which the namespace cannot be used."""
        if packet.packet_type == socketio.CONNECT and not (isinstance(packet.data, dict) and "sid" in packet.data):
            raise ConnectionLost(
                "the server speaks the protocol of Socket.IO 2 or 1 (Engine.IO 3)",
                code=_NORMAL_CLOSURE,
                kind="socketio-version",
                remedy="wsbench speaks that of Socket.IO 3 and 4, as their own clients do: upgrade the server.",
            )
        if packet.packet_type == socketio.DISCONNECT and (packet.namespace or "/") == self._namespace:
            what = f"the server ended the namespace {self._namespace}"
            raise ConnectionLost(what, code=_NORMAL_CLOSURE, kind="namespace-ended")


def refused(namespace: str, data: Any) -> ConnectError:
    """Return the error of a namespace that the server refuses; `data` is that of its CONNECT_ERROR packet."""
    why = data.get("message", data) if isinstance(data, dict) else data
    more = f" ({data['data']})" if isinstance(data, dict) and data.get("data") is not None else ""
    return ConnectError(
        f"the namespace {namespace} refuses: {why}{more}",
        step="namespace",
        side=Side.TARGET,
        kind="namespace-refused",
        remedy="Check `namespace` and `auth` of the user, and what the server wants to be sent.",
    )


def encode(kind: int, data: Any, namespace: str, number: int | None = None) -> list[str | bytes]:
    """Return the WebSocket messages that carry a packet."""
    binary = None if kind in (socketio.EVENT, socketio.ACK) else False
    encoded = socketio.Packet(kind, data=data, namespace=namespace, id=number, binary=binary).encode()
    first, *attachments = encoded if isinstance(encoded, list) else [encoded]
    return [str(engineio.MESSAGE) + first, *attachments]


def is_greeting(message: Message) -> bool:
    """Return whether a message is the first one of an Engine.IO server."""
    return message.is_text and message.text.startswith(str(engineio.OPEN))


def of_packet(namespace: str, wanted: Callable[[socketio.Packet], bool]) -> Callable[[Message], bool]:
    """Return the `match` of a packet of a namespace."""

    def accepts(message: Message) -> bool:
        packet = message.packet if isinstance(message, PacketMessage) else None
        return packet is not None and (packet.namespace or "/") == namespace and wanted(packet)

    return accepts
