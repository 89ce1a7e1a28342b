"""A Socket.IO server with the faults that a client meets: python socketio_server.py --port N.

Namespaces: "/" and "/admin", which are open; "/secret", which refuses. `Open` has the events.
"""

from __future__ import annotations

from typing import Any

from socketio import ASGIApp, AsyncNamespace, AsyncServer, exceptions

from wsbench.targets.servers import uvicorn

_PATIENCE_S = 30
server = AsyncServer(async_mode="asgi", transports=["websocket"], cors_allowed_origins="*")


class Open(AsyncNamespace):
    """A namespace that lets everybody in."""

    acknowledged = 0

    async def on_say(self, _sid: str, data: Any) -> Any:
        """Acknowledge with the same data."""
        return data

    async def on_question(self, sid: str, data: Any) -> Any:
        """Ask the client, and acknowledge with its answer."""
        return await self.call("question", data, to=sid, timeout=_PATIENCE_S)

    async def on_unheard(self, sid: str, data: Any) -> Any:
        """Ask the client what it has no handler for."""
        return await self.call("nobody listens", data, to=sid, timeout=_PATIENCE_S)

    async def on_ask_back(self, sid: str, data: Any) -> None:
        """Emit an event, and count its acknowledgement."""
        await self.call("asked back", data, to=sid, timeout=_PATIENCE_S)
        type(self).acknowledged += 1

    async def on_answered(self, _sid: str) -> int:
        """Return how many have been acknowledged."""
        return self.acknowledged

    async def on_leave(self, sid: str) -> None:
        """End the namespace of this client."""
        await self.disconnect(sid)


class Secret(AsyncNamespace):
    """A namespace that lets nobody in."""

    async def on_connect(self, _sid: str, _environ: Any, _auth: Any = None) -> None:
        """Refuse."""
        raise exceptions.ConnectionRefusedError("not authorized", {"code": 42})


for namespace in (Open("/"), Open("/admin"), Secret("/secret")):
    server.register_namespace(namespace)

if __name__ == "__main__":
    uvicorn.main(ASGIApp(server), "websockets-sansio", "/")
