"""Common parts of the Python servers: options, the port, workers, the line that states the URL.

python -m wsbench.targets.servers.NAME [--port 0] [--workers N] [--cert FILE --key FILE] [--compression]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import psutil
import uvloop

from wsbench.targets.echo import listen_sockets

HOST = "127.0.0.1"
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
_POLL_S = 0.02


@dataclass(frozen=True)
class Options:
    """Command-line options; `cert` and `key` are PEM files, empty for ws://."""

    port: int
    workers: int
    cert: str
    key: str
    compression: bool

    @property
    def tls(self) -> ssl.SSLContext | None:
        """The context for wss://."""
        if not self.cert:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.cert, self.key)
        return context


Serve = Callable[[socket.socket, Options], Awaitable[None]]
"""Serves on a listening socket, without end."""


def parse_options(*, tls: bool = True, compression: bool = True, workers: bool = True) -> Options:
    """Parse the command line, which has only the options that the server supports."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--port", type=int, default=0)
    parser.set_defaults(workers=1, cert="", key="", compression=False)
    if workers:
        parser.add_argument("--workers", type=int)
    if tls:
        parser.add_argument("--cert")
        parser.add_argument("--key")
    if compression:
        parser.add_argument("--compression", action="store_true")
    return Options(**vars(parser.parse_args()))


def print_listening(options: Options, port: int, path: str = "/echo") -> None:
    """Print the URL, for the parent process."""
    print(f"listening on {'wss' if options.cert else 'ws'}://{HOST}:{port}{path}", flush=True)


def run(serve: Serve, options: Options, path: str = "/echo") -> None:
    """Run `serve` on uvloop until SIGTERM; with several workers, once in each of as many processes.

    All sockets listen before a worker starts, so early clients wait in the backlog and are not refused.
    """
    listening = listen_sockets.listen(HOST, options.port, options.workers)
    port = listening[0].getsockname()[1]

    def serve_one(index: int) -> None:
        for other in listening:
            if other is not listening[index]:
                other.close()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve_until_sigterm(serve(listening[index], options)))

    run_workers(serve_one, options.workers, lambda: print_listening(options, port, path))


def run_workers(serve_one: Callable[[int], None], workers: int, on_listening: Callable[[], None]) -> None:
    """Run `serve_one(index)` in this process, or in one forked process per worker; all end when one ends."""
    if workers == 1:
        on_listening()
        serve_one(0)
        return
    pids = [_fork(serve_one, index) for index in range(workers)]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    on_listening()
    try:
        os.wait()
        sys.exit("a worker ended")
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


def _fork(serve_one: Callable[[int], None], index: int) -> int:
    pid = os.fork()
    if not pid:
        code = 1
        try:
            serve_one(index)
            code = 0
        finally:
            sys.stderr.flush()
            os._exit(code)  # without unwinding the parent's stack
    return pid


async def _serve_until_sigterm(serving: Awaitable[None]) -> None:
    task = asyncio.ensure_future(serving)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


def reserve_port(port: int) -> int:
    """Bind the port (0: a free one) until the process ends, for servers that cannot take over a socket; return it.

    A server that listens on the port with SO_REUSEPORT gets all connections, and no other program gets the port.
    """
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind((HOST, port))
    bound: int = sock.getsockname()[1]
    sock.detach()
    return bound


def print_when_listening(options: Options, port: int) -> None:
    """Wait in a background thread until every worker listens on the port, then print the URL."""

    def wait() -> None:
        while sum(_listens(entry, port) for entry in psutil.net_connections("tcp4")) < options.workers:
            time.sleep(_POLL_S)
        print_listening(options, port)

    threading.Thread(target=wait, daemon=True).start()


def _listens(entry: Any, port: int) -> bool:
    return entry.status == psutil.CONN_LISTEN and bool(entry.laddr.port == port)
