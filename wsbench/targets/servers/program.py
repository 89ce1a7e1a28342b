"""What the Python servers have in common: options, the port, workers, the line that says that one listens.

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
from typing import Any, NoReturn

import psutil
import uvloop

from wsbench.targets.echo import listen_sockets

HOST = "127.0.0.1"
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
_POLL_S = 0.02


@dataclass(frozen=True)
class Options:
    """As given on the command line; `cert` and `key` are PEM files, empty for ws://."""

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
"""Serves on a listening socket, for ever."""


def options(*, tls: bool = True, compression: bool = True, workers: bool = True) -> Options:
    """Parse the command line; an option that a server has no use for is none of its options."""
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


def say_listening(given: Options, port: int, path: str = "/echo") -> None:
    """For whoever started us."""
    print(f"listening on {'wss' if given.cert else 'ws'}://{HOST}:{port}{path}", flush=True)


def run(serve: Serve, given: Options, path: str = "/echo") -> None:
    """Run `serve` on uvloop, once a worker, each in a process of its own if there are several. SIGTERM ends it.

    All sockets listen before a worker starts: who connects early waits a little, and nobody is refused.
    """
    listening = listen_sockets.listen(HOST, given.port, given.workers)
    port = listening[0].getsockname()[1]

    def serve_one(index: int) -> None:
        for other in listening:
            if other is not listening[index]:
                other.close()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve_until_told(serve(listening[index], given)))

    run_workers(serve_one, given.workers, lambda: say_listening(given, port, path))


def run_workers(serve_one: Callable[[int], None], workers: int, on_listening: Callable[[], None]) -> None:
    """Run `serve_one(index)` here, or in as many forked processes as there are workers; all end when one does."""
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
    if pid:
        return pid
    code = 1
    try:
        serve_one(index)
        code = 0
    finally:
        _leave(code)


def _leave(code: int) -> NoReturn:
    """Without unwinding what belongs to the parent."""
    sys.stderr.flush()
    os._exit(code)


async def _serve_until_told(serving: Awaitable[None]) -> None:
    task = asyncio.ensure_future(serving)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


def reserve_port(port: int) -> socket.socket:
    """For servers that cannot be handed a socket: one that is bound and does not listen.

    Whoever listens on its port with SO_REUSEPORT gets all connections, and nobody else is given that port.
    """
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind((HOST, port))
    return sock


def say_when_listening(given: Options, port: int) -> None:
    """In the background: wait until every worker listens on the port, then say so."""

    def wait() -> None:
        while sum(_listens(entry, port) for entry in psutil.net_connections("tcp4")) < given.workers:
            time.sleep(_POLL_S)
        say_listening(given, port)

    threading.Thread(target=wait, daemon=True).start()


def _listens(entry: Any, port: int) -> bool:
    return entry.status == psutil.CONN_LISTEN and bool(entry.laddr.port == port)
