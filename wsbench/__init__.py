"""wsbench: load tests and benchmarks for WebSocket servers that report the server's latency, not their own."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsbench.users.echo_user import EchoUser
    from wsbench.users.message import Message
    from wsbench.users.pending_request import Disconnected, NoReply, PendingRequest
    from wsbench.users.socketio_user import SocketIOUser
    from wsbench.users.websocket import WebSocket
    from wsbench.users.websocket_user import WebSocketUser

__version__ = "0.1.0"
__all__ = [
    "Asked",  # the former name of PendingRequest
    "Disconnected",
    "EchoUser",
    "Message",
    "NoReply",
    "PendingRequest",
    "SocketIOUser",
    "WebSocket",
    "WebSocketUser",
    "__version__",
]

_HOMES = {
    "PendingRequest": "pending_request",
    "Disconnected": "pending_request",
    "EchoUser": "echo_user",
    "Message": "message",
    "NoReply": "pending_request",
    "SocketIOUser": "socketio_user",
    "WebSocket": "websocket",
    "WebSocketUser": "websocket_user",
}
_FORMER_NAMES = {"Asked": "PendingRequest"}


def __getattr__(name: str) -> Any:
    """Import a public name on first use: importing Locust monkey-patches the process, and `import wsbench` must not."""
    name = _FORMER_NAMES.get(name, name)
    if name in _HOMES:
        return getattr(importlib.import_module(f"wsbench.users.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
