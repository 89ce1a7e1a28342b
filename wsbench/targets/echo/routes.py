"""Routing of a client's request to a WebSocket handler or an HTTP answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from wsbench.targets.echo.counters import ORIGIN, Counters
from wsbench.targets.echo.echo_connection import EchoConnection
from wsbench.targets.echo.handlers import Handler, Push
from wsbench.targets.echo.responses import body, text
from wsbench.targets.echo.try_page import PAGE, content_security_policy

PATHS = "/echo, /ws, /ws/..., /broadcast, /push?rate=R&size=B (WebSocket); /, /stats, /healthz (HTTP)"
_VERSION = "13"


@dataclass(frozen=True)
class Routes:
    """The paths of the target.

    `cells` are the worker's row of `counters`. Empty `origins` admit every web page. `max_size` limits the messages
    of /push, in bytes.
    """

    counters: Counters
    cells: memoryview
    echo: Handler
    broadcast: Handler
    origins: frozenset[str]
    max_size: int

    async def run(self, connection: ServerConnection) -> None:
        """Run the handler of the connection's path until the connection is closed."""
        assert isinstance(connection, EchoConnection) and connection.request is not None
        path, _, query = connection.request.path.partition("?")
        await self._handler(path, query)(connection)

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Return the HTTP answer to a request, or None for a WebSocket handshake to accept."""
        method = getattr(request, "method", "GET")  # before websockets 17, other methods did not get here
        response = self._answer(connection.protocol, request, method)
        if response is not None and method == "HEAD":
            response.body = b""
        return response

    def _answer(self, protocol: ServerProtocol, request: Request, method: str) -> Response | None:
        if method not in ("GET", "HEAD"):
            response = text(protocol, HTTPStatus.METHOD_NOT_ALLOWED, f"{method} is not supported, only GET")
            response.headers["Allow"] = "GET, HEAD"
            return response
        if len(request.headers.get_all("Host")) != 1 and getattr(request, "protocol", "HTTP/1.1") == "HTTP/1.1":
            # RFC 9112, 3.2
            return text(protocol, HTTPStatus.BAD_REQUEST, "a request must have exactly one Host header")
        path, _, query = request.path.partition("?")
        upgrade = any("websocket" in value.lower() for value in request.headers.get_all("Upgrade"))
        if not (upgrade and path == "/"):
            page = self._http(protocol, request, path)
            if page is not None:
                return page
        return self._refusal(protocol, request, path, query, upgrade)

    def _http(self, protocol: ServerProtocol, request: Request, path: str) -> Response | None:
        if path == "/":
            response = body(protocol, HTTPStatus.OK, PAGE, "text/html; charset=utf-8")
            response.headers["Content-Security-Policy"] = content_security_policy(request.headers.get_all("Host"))
            return response
        if path == "/stats":
            document = json.dumps(self.counters.snapshot()) + "\n"
            return body(protocol, HTTPStatus.OK, document.encode(), "application/json")
        if path == "/healthz":
            return text(protocol, HTTPStatus.OK, "ok")
        return None

    def _refusal(
        self, protocol: ServerProtocol, request: Request, path: str, query: str, upgrade: bool
    ) -> Response | None:
        """Return the answer that refuses a request for a WebSocket path, or None for a request to accept."""
        try:
            self._handler(path, query)
        except KeyError:
            return text(protocol, HTTPStatus.NOT_FOUND, f"no such path; there are {PATHS}")
        except ValueError as exc:
            return text(protocol, HTTPStatus.BAD_REQUEST, str(exc))
        if not upgrade:
            return _upgrade_required(protocol, f"{path} is a WebSocket path: open it with ws:// or wss://")
        versions = request.headers.get_all("Sec-WebSocket-Version")
        if versions != [_VERSION]:  # RFC 6455, 4.2.2 and 4.4
            requested = ", ".join(versions) or "missing"
            line = f"Sec-WebSocket-Version is {requested}; this server supports only {_VERSION}"
            response = _upgrade_required(protocol, line)
            response.headers["Sec-WebSocket-Version"] = _VERSION
            return response
        origins = request.headers.get_all("Origin")
        # a client without this header is no web page, and could send any value
        if self.origins and origins and (len(origins) > 1 or origins[0].strip().lower() not in self.origins):
            self.cells[ORIGIN] += 1
            return text(protocol, HTTPStatus.FORBIDDEN, f"pages of origin {', '.join(origins)} may not connect")
        return None

    def _handler(self, path: str, query: str) -> Handler:
        """Return the handler of a WebSocket path; raise KeyError for no such path, ValueError for bad parameters."""
        # clients without a configured path use /
        if path in ("/echo", "/ws", "/") or path.startswith("/ws/"):
            return self.echo
        if path == "/broadcast":
            return self.broadcast
        if path == "/push":
            return Push.from_query(query, self.max_size)
        raise KeyError(path)


def _upgrade_required(protocol: ServerProtocol, line: str) -> Response:
    response = text(protocol, HTTPStatus.UPGRADE_REQUIRED, line)
    response.headers["Upgrade"] = "websocket"
    # RFC 9110, 7.8: a sender of Upgrade lists it in Connection
    del response.headers["Connection"]
    response.headers["Connection"] = "Upgrade, close"
    return response


def first_offered(_connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Select the first subprotocol that the client offers, whatever it is."""
    return offered[0] if offered else None
