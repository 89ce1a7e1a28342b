"""Tornado's web server, on uvloop."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from wsbench.targets.servers import program


class Echo(WebSocketHandler):
    """Text as text, binary as binary."""

    def initialize(self, compression: bool) -> None:
        """Options of the application's route."""
        self._compression = compression

    def open(self, *_: str) -> None:
        """Called when the connection is."""
        self.set_nodelay(True)

    def check_origin(self, origin: str) -> bool:  # noqa: ARG002
        """Whoever comes is welcome."""
        return True

    def get_compression_options(self) -> dict[str, Any] | None:
        """Grants permessage-deflate when it is not None."""
        return {} if self._compression else None

    async def on_message(self, message: str | bytes) -> None:
        """Called for every message."""
        await self.write_message(message, binary=isinstance(message, bytes))


async def _serve(sock: socket.socket, given: program.Options) -> None:
    routes = [(r".*", Echo, {"compression": given.compression})]
    app = Application(routes, websocket_max_message_size=program.MAX_MESSAGE_BYTES, log_function=lambda _: None)
    sock.setblocking(False)
    HTTPServer(app, ssl_options=given.tls).add_socket(sock)
    await asyncio.Event().wait()


if __name__ == "__main__":
    program.run(_serve, program.options())
