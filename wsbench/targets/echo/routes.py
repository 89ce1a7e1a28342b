"""From the request of a client to what it gets: a WebSocket behaviour, or an HTTP answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from wsbench.targets.echo.behaviours import Behaviour, Push
from wsbench.targets.echo.connection import TargetConnection
from wsbench.targets.echo.counters import Counters
from wsbench.targets.echo.page import PAGE, content_security_policy

PATHS = "/echo, /ws, /ws/..., /broadcast, /push?rate=R&size=B (WebSocket); /, /stats, /healthz (HTTP)"


class Routes:
    """The paths of the target.

    Args:
        counters: shared by the workers; shown at /stats.
        echo: behaviour of /echo, /ws and everything below /ws/.
        broadcast: behaviour of /broadcast.
    """

    def __init__(self, counters: Counters, echo: Behaviour, broadcast: Behaviour) -> None:
        self._counters = counters
        self._echo = echo
        self._broadcast = broadcast

    async def run(self, connection: ServerConnection) -> None:
        """The handler of an open connection: what its path does, until it is closed."""
        assert isinstance(connection, TargetConnection) and connection.request is not None
        path, _, query = connection.request.path.partition("?")
        await self._behaviour(path, query)(connection)

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """The HTTP answer to a request; None where it becomes a WebSocket connection."""
        method = getattr(request, "method", "GET")  # before websockets 17 nothing else got this far
        if method not in ("GET", "HEAD"):
            response = _text(connection, HTTPStatus.METHOD_NOT_ALLOWED, f"{method} is not served here, only GET")
            response.headers["Allow"] = "GET, HEAD"
            return response
        path, _, query = request.path.partition("?")
        upgrade = any("websocket" in value.lower() for value in request.headers.get_all("Upgrade"))
        answered = None if upgrade and path == "/" else self._http(connection, request, path)
        if answered is None:
            answered = self._refusal(connection, path, query, upgrade)
        if answered is not None and method == "HEAD":
            answered.body = b""
        return answered

    def _http(self, connection: ServerConnection, request: Request, path: str) -> Response | None:
        if path == "/":
            response = _body(connection, HTTPStatus.OK, PAGE, "text/html; charset=utf-8")
            response.headers["Content-Security-Policy"] = content_security_policy(request.headers.get_all("Host"))
            return response
        if path == "/stats":
            document = json.dumps(self._counters.snapshot()) + "\n"
            return _body(connection, HTTPStatus.OK, document.encode(), "application/json")
        if path == "/healthz":
            return _text(connection, HTTPStatus.OK, "ok")
        return None

    def _refusal(self, connection: ServerConnection, path: str, query: str, upgrade: bool) -> Response | None:
        """Why a WebSocket path is not served to this request; None when it is."""
        try:
            self._behaviour(path, query)
        except KeyError:
            return _text(connection, HTTPStatus.NOT_FOUND, f"no such path; there are {PATHS}")
        except ValueError as exc:
            return _text(connection, HTTPStatus.BAD_REQUEST, str(exc))
        if upgrade:
            return None
        response = _text(
            connection, HTTPStatus.UPGRADE_REQUIRED, f"{path} speaks WebSocket: open it with ws:// or wss://"
        )
        response.headers["Upgrade"] = "websocket"
        # RFC 9110, 7.8: who sends Upgrade lists it in Connection
        del response.headers["Connection"]
        response.headers["Connection"] = "Upgrade, close"
        return response

    def _behaviour(self, path: str, query: str) -> Behaviour:
        """What a WebSocket path does. `/` echoes as well: it is where clients go that were given no path.

        Raises:
            KeyError: no such path.
            ValueError: parameters that make no sense.
        """
        if path in ("/echo", "/ws", "/") or path.startswith("/ws/"):
            return self._echo
        if path == "/broadcast":
            return self._broadcast
        if path == "/push":
            return Push.from_query(query)
        raise KeyError(path)


def count_opened(connection: ServerConnection, _request: Request, response: Response) -> None:
    """Count a connection before its client knows that it is open."""
    if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
        assert isinstance(connection, TargetConnection)
        connection.count_opened()


def first_offered(_connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """The target speaks whatever the client would like to speak."""
    return offered[0] if offered else None


def _text(connection: ServerConnection, status: HTTPStatus, line: str) -> Response:
    return _body(connection, status, f"{line}\n".encode(), "text/plain; charset=utf-8")


def _body(connection: ServerConnection, status: HTTPStatus, body: bytes, content_type: str) -> Response:
    response = connection.respond(status, "")
    for name in ("Content-Length", "Content-Type"):
        del response.headers[name]
    response.headers["Content-Length"] = str(len(body))
    response.headers["Content-Type"] = content_type
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.body = body
    return response
