"""uvicorn: how it serves an ASGI application here; `uvicorn_wsproto`, `uvicorn_websockets` and `socketio` are run."""

from __future__ import annotations

import socket
from typing import Any, Literal

import uvicorn

from wsbench.targets.servers import program

Implementation = Literal["wsproto", "websockets-sansio"]
_CLOSING_S = 1


def main(app: Any, implementation: Implementation, path: str = "/echo") -> None:
    """Serve `app` with one of uvicorn's implementations of WebSockets."""

    async def serve(sock: socket.socket, given: program.Options) -> None:
        config = uvicorn.Config(
            app,
            ws=implementation,
            ws_max_size=program.MAX_MESSAGE_BYTES,
            ws_ping_interval=None,
            ws_per_message_deflate=given.compression,
            ssl_certfile=given.cert or None,
            ssl_keyfile=given.key or None,
            lifespan="off",
            access_log=False,
            log_level="warning",
            timeout_graceful_shutdown=_CLOSING_S,
        )
        await uvicorn.Server(config).serve(sockets=[sock])

    program.run(serve, program.options(), path)
