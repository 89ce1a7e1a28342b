"""wsbench: load tests and benchmarks for WebSocket servers that report the server's latency, not their own."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsbench.load.message import Message
    from wsbench.load.scenario import WebSocketUser
    from wsbench.load.socketio import SocketIOUser
    from wsbench.load.users import EchoUser
    from wsbench.load.waiting import Asked, Disconnected, NoReply
    from wsbench.load.websocket import WebSocket

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
    "Asked": "waiting",
    "Disconnected": "waiting",
    "EchoUser": "users",
    "Message": "message",
    "NoReply": "waiting",
    "SocketIOUser": "socketio",
    "WebSocket": "websocket",
    "WebSocketUser": "scenario",
}


def __getattr__(name: str) -> Any:
    """What scenarios need, on first use: importing Locust monkey-patches the process, and `import wsbench` must not."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"wsbench.load.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
