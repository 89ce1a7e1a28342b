"""A server that publishes, and says what it really delivered: some of it is withheld or repeated, as its options say.

On /broadcast every message goes to all that are connected, the speaker included; on /push numbered messages come by
themselves. Connections and messages are counted from 1, numbers of /push from 0. `GET /counts` has the counts.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import time
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

Deliveries = set[tuple[int, int]]


def deliveries(text: str) -> Deliveries:
    """Parse '7:2,400:5': the second message to the seventh connection, the fifth to the 400th."""
    pairs = [pair.split(":") for pair in text.split(",") if pair]
    return {(int(connection), int(message)) for connection, message in pairs}


class PubSub:
    """State shared by all connections."""

    def __init__(self, *, withheld: Deliveries, repeated: Deliveries, skipped: set[int], delay_s: float) -> None:
        self.withheld, self.repeated, self.skipped, self.delay_s = withheld, repeated, skipped, delay_s
        self.counts = dict.fromkeys(("connections", "published", "delivered", "withheld", "repeated", "received"), 0)
        self.open: dict[ServerConnection, int] = {}

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.path != "/counts":
            return None
        return connection.respond(HTTPStatus.OK, json.dumps(self.counts))

    async def handle(self, connection: ServerConnection) -> None:
        self.counts["connections"] += 1
        assert connection.request is not None
        with contextlib.suppress(ConnectionClosed):
            if connection.request.path.startswith("/push"):
                await self.push(connection)
            else:
                await self.listen(connection, self.counts["connections"])

    async def listen(self, connection: ServerConnection, number: int) -> None:
        self.open[connection] = number
        try:
            async with asyncio.TaskGroup() as publishing:
                async for message in connection:
                    self.counts["published"] += 1
                    publishing.create_task(self.publish(message, self.counts["published"]))
        finally:
            del self.open[connection]

    async def publish(self, message: str | bytes, number: int) -> None:
        await asyncio.sleep(self.delay_s)
        for listener in list(self.open):
            with contextlib.suppress(ConnectionClosed):
                await self.deliver(listener, message, number)

    async def deliver(self, listener: ServerConnection, message: str | bytes, number: int) -> None:
        which = (self.open[listener], number)
        if which in self.withheld:
            self.counts["withheld"] += 1
            return
        for _ in range(2 if which in self.repeated else 1):
            await listener.send(message)
            self.counts["delivered"] += 1
        self.counts["repeated"] += which in self.repeated

    async def push(self, connection: ServerConnection) -> None:
        reading = asyncio.create_task(self.count_received(connection))
        try:
            for seq in range(10**9):
                if seq not in self.skipped:
                    await connection.send(json.dumps({"seq": seq, "sent_ns": time.time_ns()}))
                    self.counts["delivered"] += 1
                await asyncio.sleep(0.01)
        finally:
            reading.cancel()

    async def count_received(self, connection: ServerConnection) -> None:
        async for _ in connection:
            self.counts["received"] += 1


async def main(options: argparse.Namespace) -> None:
    skipped = {int(number) for number in options.skip.split(",") if number}
    server = PubSub(withheld=options.withhold, repeated=options.repeat, skipped=skipped, delay_s=options.delay)
    async with serve(server.handle, "127.0.0.1", 0, process_request=server.answer, compression=None) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        print(f"listening on ws://127.0.0.1:{port}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--withhold", type=deliveries, default=set(), metavar="CONNECTION:MESSAGE,...")
    parser.add_argument("--repeat", type=deliveries, default=set(), metavar="CONNECTION:MESSAGE,...")
    parser.add_argument("--delay", type=float, default=0.0, metavar="S", help="before a message goes to all")
    parser.add_argument("--skip", default="", metavar="NUMBER,...", help="of /push")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(parser.parse_args()))
