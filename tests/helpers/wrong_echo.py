"""A WebSocket server that accepts every connection and then does one thing wrong, on the library websockets.

    cd tests && python -m helpers.wrong_echo MODE [PORT]        ends on SIGTERM

MODE is one of `REPLIES`, silent, pings, push, or close=CODE.

Unlike the faulty echo server, whose faults concern some messages, this one never does anything right.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

Reply = Callable[[str], "str | bytes"]


def _members(change: Callable[[object], object]) -> Reply:
    return lambda text: json.dumps({name: change(value) for name, value in json.loads(text).items()})


REPLIES: dict[str, Reply] = {
    "prefix": lambda text: f"You said: {text}",
    "wrap": lambda text: f'{{"type":"echo","data":{text}}}',
    "stringify": _members(str),
    "floatify": _members(lambda value: float(value) if isinstance(value, int) else value),
    "bom": lambda text: f"\ufeff{text}",
    "nul": lambda text: f"{text}\0",
    "nan": lambda text: f'{text[:-1]},"x":NaN}}',
    "added": lambda text: f'{text[:-1]},"server_ts":1700000000.5}}',
    "binary": lambda text: text.encode(),
    "empty": lambda _: "",
    "invalid": lambda _: '{"error":{"code":-32600,"message":"Invalid Request"}}',
}
"""The wrong reply to a text, by mode."""


async def _serve(connection: ServerConnection, mode: str) -> None:
    if mode.startswith("close="):
        await connection.close(int(mode.removeprefix("close=")), "wrong on purpose")
        return
    pinging = asyncio.create_task(_ping(connection)) if mode == "pings" else None
    if mode in ("push", "invalid"):
        await connection.send('{"type":"welcome"}')
    try:
        async for message in connection:
            if mode in REPLIES:
                await connection.send(REPLIES[mode](str(message)))
    except ConnectionClosed:
        pass
    finally:
        if pinging is not None:
            pinging.cancel()


async def _ping(connection: ServerConnection) -> None:
    while True:
        await connection.ping()
        await asyncio.sleep(0.1)


async def _main(mode: str, port: int = 0) -> None:
    async with serve(lambda connection: _serve(connection, mode), "127.0.0.1", port, compression=None) as server:
        print(f"listening on ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], *map(int, sys.argv[2:])))
