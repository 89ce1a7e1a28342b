"""python-socketio on uvicorn, WebSocket transport only.

Every event is emitted back to its sender with the same data; an acknowledgement has the same data too.
"""

from __future__ import annotations

from typing import Any

from socketio import ASGIApp, AsyncServer

from wsbench.targets.servers import program, uvicorn

PATH = "/socket.io/?EIO=4&transport=websocket"
_server = AsyncServer(
    async_mode="asgi",
    transports=["websocket"],
    max_http_buffer_size=program.MAX_MESSAGE_BYTES,
    cors_allowed_origins="*",
)


async def _echo(event: str, client: str, *data: Any) -> Any:
    await _server.emit(event, data, to=client)
    return data


if __name__ == "__main__":
    _server.on("*", _echo)
    uvicorn.main(ASGIApp(_server), "websockets-sansio", PATH)
