"""A JSON-RPC server over WebSocket as people write them, on the package aiohttp-rpc: log in, ask for quotes, trade.

    cd tests && python -m helpers.jsonrpc_server [--refuse-every N]

`quote` is answered at once, `order` after some milliseconds, and whoever has an order carried out is told the new price
first: a notification, that no request asks for. `GET /stats` says what was handled.
"""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter
from collections.abc import Callable
from weakref import WeakSet

from aiohttp import web
from aiohttp_rpc import JSONRPCMethod, JSONRPCRequest, WSJSONRPCServer
from aiohttp_rpc.errors import JSONRPCError
from aiohttp_rpc.middlewares import inject_request_middleware

ORDER_S = 0.02
_handled: Counter[str] = Counter()
_traders: WeakSet[web.WebSocketResponse] = WeakSet()
_users: set[int] = set()


class Refused(JSONRPCError):
    """A valid request that is refused."""

    code = -32001
    message = "refused"


def login(user: int, rpc_request: JSONRPCRequest) -> dict[str, int]:
    """Log in, as every connection must first."""
    _handled["login"] += 1
    _users.add(user)
    _traders.add(rpc_request.context["ws_connect"])
    return {"welcome": user}


def quote(symbol: str, rpc_request: JSONRPCRequest) -> dict[str, object]:
    """Return the price of a symbol."""
    _known(rpc_request, "quote")
    return {"symbol": symbol, "price": 1.5}


def order(refuse_every: int) -> Callable[..., object]:
    """Return the method `order`, which refuses every Nth order."""

    async def order(symbol: str, amount: int, rpc_request: JSONRPCRequest) -> dict[str, object]:
        ws = _known(rpc_request, "order")
        number = _handled["order"]
        await asyncio.sleep(ORDER_S)
        if refuse_every and number % refuse_every == 0:
            _handled["refused"] += 1
            raise Refused("no funds")
        _handled["pushed"] += 1
        await ws.send_json({"jsonrpc": "2.0", "method": "price", "params": {"symbol": symbol, "price": 1.5}})
        return {"symbol": symbol, "amount": amount}

    return order


def _known(rpc_request: JSONRPCRequest, method: str) -> web.WebSocketResponse:
    ws: web.WebSocketResponse = rpc_request.context["ws_connect"]
    if ws not in _traders:
        _handled["strangers"] += 1
        raise Refused("log in first")
    _handled[method] += 1
    return ws


async def _stats(request: web.Request) -> web.Response:
    return web.json_response({**_handled, "users": sorted(_users)})


async def _serve(refuse_every: int) -> None:
    rpc = WSJSONRPCServer(middlewares=[inject_request_middleware])
    rpc.add_methods([JSONRPCMethod(each, pass_extra_kwargs=True) for each in (login, quote, order(refuse_every))])
    app = web.Application()
    app.router.add_get("/rpc", rpc.handle_http_request)
    app.router.add_get("/stats", _stats)
    app.on_shutdown.append(rpc.on_shutdown)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"listening on ws://127.0.0.1:{runner.addresses[0][1]}/rpc", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(allow_abbrev=False)
    arguments.add_argument("--refuse-every", type=int, default=0)
    asyncio.run(_serve(arguments.parse_args().refuse_every))
