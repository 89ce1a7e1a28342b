"""An echo server with chosen faults, all counted, to compare with a client's counts.

Options come from the command line, for every connection, or from a URL's query, for one connection (see faults.py).
`GET /counts` on the same port returns the counts as JSON. Replies of one connection leave in the order of their
messages, except for `reorder`, so a delayed reply also delays those after it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import parse_qsl, urlsplit

from . import frames
from .faults import Counts, Faults, add_options, from_options
from .faulty_echo_connection import Connection


class FaultyEchoServer:
    """State shared by all connections: default options, counts, and the clock of the stalls."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.counts = Counts()
        self._first_connection_s: float | None = None
        self._free_s = 0.0

    async def serve(self, ready: Callable[[int], None], stop: asyncio.Event | None = None) -> None:
        """Serve until `stop` is set (or without end) on a free port of 127.0.0.1, passed to `ready`."""
        tasks: set[asyncio.Task[None]] = set()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                await self._handle(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                pass  # the client is gone; its unanswered messages have been counted
            except asyncio.CancelledError:
                pass  # the server stops; a cancelled handler would be logged as an error
            finally:
                writer.close()
                tasks.discard(task)

        server = await asyncio.start_server(handle, "127.0.0.1", 0, backlog=4096)
        ready(server.sockets[0].getsockname()[1])
        try:
            await (stop or asyncio.Event()).wait()
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks)
            await asyncio.sleep(0)  # lets the transports close their sockets

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = frames.parse_request((await reader.readuntil(b"\r\n\r\n"))[:-4])
            url = urlsplit(request.target)
            faults = self.faults.with_options(dict(parse_qsl(url.query)))
        except ValueError as error:
            writer.write(frames.http_answer("400 Bad Request", body=f"{error}\n".encode()))
            return
        if not request.wants_websocket:
            writer.write(self._page(url.path))
            return
        answer = frames.upgrade_answer(request)
        writer.write(answer)
        if not answer.startswith(b"HTTP/1.1 101"):
            return
        self.counts.connections += 1
        if self._first_connection_s is None:
            self._first_connection_s = time.monotonic()
        await Connection(
            reader,
            writer,
            faults=faults,
            number=self.counts.connections,
            counts=self.counts,
            stall_left_s=partial(self._stall_left_s, faults),
            served_s=partial(self._served_s, faults),
        ).run()

    def _page(self, path: str) -> bytes:
        if path != "/counts":
            return frames.http_answer("404 Not Found", body=b"there is /counts, and WebSocket on every path\n")
        body = json.dumps(self.counts.as_dict()).encode()
        return frames.http_answer("200 OK", "Content-Type: application/json", body=body)

    def _served_s(self, faults: Faults, arrived_s: float) -> float:
        """Return when the single service of all connections finishes a message. Late wake-ups do not slow it down."""
        if not faults.service_ms:
            return arrived_s
        self._free_s = max(self._free_s, arrived_s) + faults.service_ms / 1000
        return self._free_s

    def _stall_left_s(self, faults: Faults) -> float:
        if not faults.stall or self._first_connection_s is None:
            return 0.0
        length_s, every_s = faults.stall_s
        into_s = math.fmod(time.monotonic() - self._first_connection_s, every_s)
        return every_s - into_s if into_s >= every_s - length_s else 0.0


@contextlib.contextmanager
def serving(faults: Faults | None = None) -> Iterator[str]:
    """Run the server in a thread; yield its ws:// URL (`process.http_json(url, "/counts")` returns the counts)."""
    port: list[int] = []
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    def announce(number: int) -> None:
        port.append(number)
        ready.set()

    def run() -> None:
        try:
            loop.run_until_complete(FaultyEchoServer(faults or Faults()).serve(announce, stop))
        finally:
            loop.close()

    thread = threading.Thread(target=run, name="faulty-echo")
    thread.start()
    try:
        assert ready.wait(10), "the faulty echo server did not start"
        yield f"ws://127.0.0.1:{port[0]}/echo"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    try:
        server = FaultyEchoServer(from_options(parser.parse_args()))
    except ValueError as error:
        parser.error(str(error))

    def announce(port: int) -> None:
        print(f"listening on ws://127.0.0.1:{port}/echo", flush=True)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(server.serve(announce))


if __name__ == "__main__":
    main()
