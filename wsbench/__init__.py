"""wsbench: load tests and benchmarks for WebSocket servers that report the server's latency, not their own."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsbench.users.echo_user import EchoUser
    from wsbench.users.message import Message
    from wsbench.users.pending_request import Asked, Disconnected, NoReply
    from wsbench.users.socketio_user import SocketIOUser
    from wsbench.users.websocket import WebSocket
    from wsbench.users.websocket_user import WebSocketUser

__version__ = "0.1.0"
__all__ = [
    "Asked",
    "Disconnected",
    "EchoUser",
    "Message",
    "NoReply",
    "SocketIOUser",
    "WebSocket",
    "WebSocketUser",
    "__version__",
]

_HOMES = {
    "Asked": "pending_request",
    "Disconnected": "pending_request",
    "EchoUser": "echo_user",
    "Message": "message",
    "NoReply": "pending_request",
    "SocketIOUser": "socketio_user",
    "WebSocket": "websocket",
    "WebSocketUser": "websocket_user",
}


def __getattr__(name: str) -> Any:
    """What scenarios need, on first use: importing Locust monkey-patches the process, and `import wsbench` must not."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"wsbench.users.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
