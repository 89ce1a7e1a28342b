"""An echo server whose every misdeed is chosen by its options and counted: what a client reports is held against it.

Options come on the command line, for every connection, or in a URL's query, for that one (see misdeeds.py).
`GET /truth` on the same port answers with the counts as JSON. Replies of one connection leave in the order of their
messages, except where `reorder` falls; so a delayed one holds back those behind it.
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
from .misdeeds import Counts, Misdeeds, add_options, from_options
from .truth_connection import Connection


class TruthServer:
    """What all connections share: the default options, the counts, the clock of the stalls."""

    def __init__(self, misdeeds: Misdeeds) -> None:
        self.misdeeds = misdeeds
        self.counts = Counts()
        self._first_connection_s: float | None = None
        self._free_s = 0.0

    async def serve(self, ready: Callable[[int], None], stop: asyncio.Event | None = None) -> None:
        """Serves until `stop` is set (or for ever), on a free port of 127.0.0.1 that `ready` is told."""
        tasks: set[asyncio.Task[None]] = set()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                await self._handle(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                pass  # the client went; what it left unanswered has been counted
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
            misdeeds = self.misdeeds.with_options(dict(parse_qsl(url.query)))
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
            misdeeds=misdeeds,
            number=self.counts.connections,
            counts=self.counts,
            stall_left_s=partial(self._stall_left_s, misdeeds),
            served_s=partial(self._served_s, misdeeds),
        ).run()

    def _page(self, path: str) -> bytes:
        if path != "/truth":
            return frames.http_answer("404 Not Found", body=b"there is /truth, and WebSocket on every path\n")
        body = json.dumps(self.counts.as_dict()).encode()
        return frames.http_answer("200 OK", "Content-Type: application/json", body=body)

    def _served_s(self, misdeeds: Misdeeds, arrived_s: float) -> float:
        """When the one that serves all is done with a message. Its pace is exact: waking up late costs it nothing."""
        if not misdeeds.service_ms:
            return arrived_s
        self._free_s = max(self._free_s, arrived_s) + misdeeds.service_ms / 1000
        return self._free_s

    def _stall_left_s(self, misdeeds: Misdeeds) -> float:
        if not misdeeds.stall or self._first_connection_s is None:
            return 0.0
        length_s, every_s = misdeeds.stall_s
        into_s = math.fmod(time.monotonic() - self._first_connection_s, every_s)
        return every_s - into_s if into_s >= every_s - length_s else 0.0


@contextlib.contextmanager
def serving(misdeeds: Misdeeds | None = None) -> Iterator[str]:
    """The server in a thread of this process; gives its ws:// URL (`process.http_json(url, "/truth")` the counts)."""
    port: list[int] = []
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    def announce(number: int) -> None:
        port.append(number)
        ready.set()

    def run() -> None:
        try:
            loop.run_until_complete(TruthServer(misdeeds or Misdeeds()).serve(announce, stop))
        finally:
            loop.close()

    thread = threading.Thread(target=run, name="truth")
    thread.start()
    try:
        assert ready.wait(10), "the truth server did not come up"
        yield f"ws://127.0.0.1:{port[0]}/echo"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    try:
        server = TruthServer(from_options(parser.parse_args()))
    except ValueError as error:
        parser.error(str(error))

    def announce(port: int) -> None:
        print(f"listening on ws://127.0.0.1:{port}/echo", flush=True)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(server.serve(announce))


if __name__ == "__main__":
    main()
