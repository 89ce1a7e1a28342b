"""From the request of a client to what it gets: a WebSocket behaviour, or an HTTP answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from wsbench.targets.echo.counters import ORIGIN, Counters
from wsbench.targets.echo.echo_connection import TargetConnection
from wsbench.targets.echo.handlers import Behaviour, Push
from wsbench.targets.echo.responses import body, text
from wsbench.targets.echo.try_page import PAGE, content_security_policy

PATHS = "/echo, /ws, /ws/..., /broadcast, /push?rate=R&size=B (WebSocket); /, /stats, /healthz (HTTP)"
_VERSION = "13"


class Routes:
    """The paths of the target.

    Args:
        counters: shared by the workers; shown at /stats.
        cells: the worker's row of them.
        echo: behaviour of /echo, /ws and everything below /ws/.
        broadcast: behaviour of /broadcast.
        origins: of the web pages that may connect; empty: of any.
        max_size: bytes of the largest message that /push sends.
    """

    def __init__(
        self,
        counters: Counters,
        cells: memoryview,
        echo: Behaviour,
        broadcast: Behaviour,
        *,
        origins: frozenset[str],
        max_size: int,
    ) -> None:
        self._counters = counters
        self._cells = cells
        self._echo = echo
        self._broadcast = broadcast
        self._origins = origins
        self._max_size = max_size

    async def run(self, connection: ServerConnection) -> None:
        """The handler of an open connection: what its path does, until it is closed."""
        assert isinstance(connection, TargetConnection) and connection.request is not None
        path, _, query = connection.request.path.partition("?")
        await self._behaviour(path, query)(connection)

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """The HTTP answer to a request; None where it becomes a WebSocket connection."""
        method = getattr(request, "method", "GET")  # before websockets 17 nothing else got this far
        response = self._answer(connection.protocol, request, method)
        if response is not None and method == "HEAD":
            response.body = b""
        return response

    def _answer(self, protocol: ServerProtocol, request: Request, method: str) -> Response | None:
        if method not in ("GET", "HEAD"):
            response = text(protocol, HTTPStatus.METHOD_NOT_ALLOWED, f"{method} is not served here, only GET")
            response.headers["Allow"] = "GET, HEAD"
            return response
        if len(request.headers.get_all("Host")) != 1 and getattr(request, "protocol", "HTTP/1.1") == "HTTP/1.1":
            return text(protocol, HTTPStatus.BAD_REQUEST, "a request has one Host header")  # RFC 9112, 3.2
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
            document = json.dumps(self._counters.snapshot()) + "\n"
            return body(protocol, HTTPStatus.OK, document.encode(), "application/json")
        if path == "/healthz":
            return text(protocol, HTTPStatus.OK, "ok")
        return None

    def _refusal(
        self, protocol: ServerProtocol, request: Request, path: str, query: str, upgrade: bool
    ) -> Response | None:
        """Why a WebSocket path is not served to this request; None when it is."""
        try:
            self._behaviour(path, query)
        except KeyError:
            return text(protocol, HTTPStatus.NOT_FOUND, f"no such path; there are {PATHS}")
        except ValueError as exc:
            return text(protocol, HTTPStatus.BAD_REQUEST, str(exc))
        if not upgrade:
            return _upgrade_required(protocol, f"{path} speaks WebSocket: open it with ws:// or wss://")
        versions = request.headers.get_all("Sec-WebSocket-Version")
        if versions != [_VERSION]:  # RFC 6455, 4.2.2 and 4.4
            asked = ", ".join(versions) or "none"
            said = f"Sec-WebSocket-Version is {asked}, and only {_VERSION} is spoken here"
            response = _upgrade_required(protocol, said)
            response.headers["Sec-WebSocket-Version"] = _VERSION
            return response
        origins = request.headers.get_all("Origin")
        # who sends none is no web page, and could send any
        if self._origins and origins and (len(origins) > 1 or origins[0].strip().lower() not in self._origins):
            self._cells[ORIGIN] += 1
            return text(protocol, HTTPStatus.FORBIDDEN, f"pages of {', '.join(origins)} may not connect")
        return None

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
            return Push.from_query(query, self._max_size)
        raise KeyError(path)


def answered(connection: ServerConnection, _request: Request, response: Response) -> Response | None:
    """What the connection itself makes of the answer to its request."""
    assert isinstance(connection, TargetConnection)
    return connection.answered(response)


def _upgrade_required(protocol: ServerProtocol, line: str) -> Response:
    response = text(protocol, HTTPStatus.UPGRADE_REQUIRED, line)
    response.headers["Upgrade"] = "websocket"
    # RFC 9110, 7.8: who sends Upgrade lists it in Connection
    del response.headers["Connection"]
    response.headers["Connection"] = "Upgrade, close"
    return response


def first_offered(_connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """The target speaks whatever the client would like to speak."""
    return offered[0] if offered else None
