"""HTTP answers of the target."""

from __future__ import annotations

from http import HTTPStatus

from websockets.http11 import Response
from websockets.server import ServerProtocol


def text(protocol: ServerProtocol, status: HTTPStatus, line: str) -> Response:
    """Return an answer of one line of plain text."""
    return body(protocol, status, f"{line}\n".encode(), "text/plain; charset=utf-8")


def body(protocol: ServerProtocol, status: HTTPStatus, content: bytes, content_type: str) -> Response:
    """Return a complete answer, after which the connection closes."""
    response = protocol.reject(status, "")
    for name in ("Content-Length", "Content-Type"):
        del response.headers[name]
    response.headers["Content-Length"] = str(len(content))
    response.headers["Content-Type"] = content_type
    response.headers["Cache-Control"] = "no-store"
    response.body = content
    return response


def harden(response: Response) -> None:
    """Add the security headers that every answer has: no content sniffing, no embedding by other origins."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["Referrer-Policy"] = "no-referrer"
