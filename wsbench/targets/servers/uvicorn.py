"""uvicorn as an ASGI server, for the programs `uvicorn_wsproto`, `uvicorn_websockets` and `python_socketio`."""

from __future__ import annotations

import socket
from typing import Any, Literal

import uvicorn

from wsbench.targets.servers import program

Implementation = Literal["wsproto", "websockets-sansio"]
_CLOSING_S = 1


def main(app: Any, implementation: Implementation, path: str = "/echo") -> None:
    """Serve `app` with one of uvicorn's WebSocket implementations."""

    async def serve(sock: socket.socket, options: program.Options) -> None:
        config = uvicorn.Config(
            app,
            ws=implementation,
            ws_max_size=program.MAX_MESSAGE_BYTES,
            ws_ping_interval=None,
            ws_per_message_deflate=options.compression,
            ssl_certfile=options.cert or None,
            ssl_keyfile=options.key or None,
            lifespan="off",
            access_log=False,
            log_level="warning",
            timeout_graceful_shutdown=_CLOSING_S,
        )
        await uvicorn.Server(config).serve(sockets=[sock])

    program.run(serve, program.parse_options(), path)
