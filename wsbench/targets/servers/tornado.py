"""Tornado's web server, on uvloop."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from wsbench.targets.servers import program


class EchoHandler(WebSocketHandler):
    """Returns text as text, binary as binary."""

    def initialize(self, compression: bool) -> None:
        """Take the options of the route."""
        self._compression = compression

    def open(self, *_: str) -> None:
        """Set TCP_NODELAY on a new connection."""
        self.set_nodelay(True)

    def check_origin(self, origin: str) -> bool:  # noqa: ARG002
        """Accept every origin."""
        return True

    def get_compression_options(self) -> dict[str, Any] | None:
        """Return options for permessage-deflate, or None to refuse it."""
        return {} if self._compression else None

    async def on_message(self, message: str | bytes) -> None:
        """Answer a message."""
        await self.write_message(message, binary=isinstance(message, bytes))


async def _serve(sock: socket.socket, options: program.Options) -> None:
    routes = [(r".*", EchoHandler, {"compression": options.compression})]
    app = Application(routes, websocket_max_message_size=program.MAX_MESSAGE_BYTES, log_function=lambda _: None)
    sock.setblocking(False)
    HTTPServer(app, ssl_options=options.tls).add_socket(sock)
    await asyncio.Event().wait()


if __name__ == "__main__":
    program.run(_serve, program.parse_options())
