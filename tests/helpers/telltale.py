"""An echo server that tells the secrets of its clients: in refusals, in replies, and in reasons of closes.

    cd tests && python -m helpers.telltale

Every third handshake is refused, every connection is closed after 20 messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

MESSAGES = 20
_handshakes = itertools.count(1)


def _told(request: Request) -> list[str]:
    """Return the parts of the request that may have secrets, as short as a reason of a close must be."""
    names = ("Authorization", "Cookie", "X-Custom", "Sec-WebSocket-Protocol")
    return [request.path, *(text[:100] for name in names for text in request.headers.get_all(name))]


def refuse_some(connection: ServerConnection, request: Request) -> Response | None:
    """Refuse every third handshake, for a secret of the request."""
    number = next(_handshakes)
    if number % 3:
        return None
    told = _told(request)
    return connection.respond(401, f"wrong: {told[number // 3 % len(told)]}\n")


def select(_: ServerConnection, offered: list[Subprotocol]) -> Subprotocol | None:
    """Select the last subprotocol."""
    return offered[-1] if offered else None


async def echo(connection: ServerConnection) -> None:
    """Echo some messages, then close the connection for a secret of the request."""
    assert connection.request is not None
    told = _told(connection.request)
    for _ in range(MESSAGES):
        await connection.send(await connection.recv())
    await connection.close(4001, f"wrong: {told[next(_handshakes) % len(told)]}")


async def main() -> None:
    async with serve(echo, "127.0.0.1", 0, process_request=refuse_some, select_subprotocol=select) as server:
        port = server.sockets[0].getsockname()[1]
        print(f"listening on ws://127.0.0.1:{port}/", flush=True)
        await asyncio.Future()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
