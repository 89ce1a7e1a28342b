"""aiohttp's web server."""

from __future__ import annotations

import asyncio
import socket

from aiohttp import WSMsgType, web

from wsbench.targets.echo.listen_sockets import BACKLOG
from wsbench.targets.servers import program


async def _serve(sock: socket.socket, options: program.Options) -> None:
    async def echo(request: web.Request) -> web.WebSocketResponse:
        connection = web.WebSocketResponse(compress=options.compression, max_msg_size=program.MAX_MESSAGE_BYTES)
        await connection.prepare(request)
        async for message in connection:
            if message.type is WSMsgType.TEXT:
                await connection.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await connection.send_bytes(message.data)
        return connection

    app = web.Application()
    app.router.add_get("/{path:.*}", echo)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, sock, ssl_context=options.tls, backlog=BACKLOG).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    program.run(_serve, program.parse_options())
