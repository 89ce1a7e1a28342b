"""A Socket.IO server whose acknowledgements carry the data of the event: python-socketio on uvicorn and uvloop.

python -m benchmarks.peers.socketio_echo
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import socketio
import uvicorn
import uvloop
from helpers.echo_counter import EchoCounter

_counter = EchoCounter()
_server = socketio.AsyncServer(async_mode="asgi", transports=["websocket"])


@_server.event
async def connect(_sid: str, _environ: dict[str, Any]) -> None:
    _counter.connections += 1


@_server.event
async def disconnect(_sid: str) -> None:
    _counter.connections -= 1


@_server.event
async def echo(_sid: str, data: Any) -> Any:
    _counter.echoed += 1
    return data


async def main() -> None:
    _counter.report_on_signal()
    config = uvicorn.Config(socketio.ASGIApp(_server), log_level="warning", lifespan="off")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(f"listening on ws://127.0.0.1:{listening.getsockname()[1]}", flush=True)
        await uvicorn.Server(config).serve(sockets=[listening])


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
