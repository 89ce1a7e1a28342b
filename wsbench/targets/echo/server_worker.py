"""One process of the target: an event loop that serves one listening socket until it is told to stop."""

from __future__ import annotations

import asyncio
import errno
import functools
import gc
import logging
import os
import signal
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as serve_websockets

from wsbench.errors import UsageError
from wsbench.targets.echo import handlers
from wsbench.targets.echo.counters import PID, Counters
from wsbench.targets.echo.deflate import parse_compression
from wsbench.targets.echo.delays import Lateness
from wsbench.targets.echo.echo_connection import TargetConnection
from wsbench.targets.echo.limits import Quota
from wsbench.targets.echo.listen_sockets import BACKLOG
from wsbench.targets.echo.routes import Routes, answered, first_offered
from wsbench.targets.echo.serve_options import EchoOptions
from wsbench.targets.echo.worker_links import Mesh

# of the 2 s in which a target has to be gone
CLOSING_S = 1.5
STOPPING_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_log = logging.getLogger("wsbench.targets.echo")


@dataclass(frozen=True)
class Plan:
    """What all workers have in common.

    Attributes:
        tls: the context for wss://, None for ws://.
        start_ns: CLOCK_MONOTONIC at the target's start.
        origins: of the web pages that may connect; empty: of any.
    """

    options: EchoOptions
    tls: ssl.SSLContext | None
    counters: Counters
    start_ns: int
    origins: frozenset[str]


def new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where it is installed (it is, wherever it exists), else asyncio's."""
    try:
        import uvloop  # noqa: PLC0415  # an optional dependency
    except ImportError:
        return asyncio.new_event_loop()
    return cast("asyncio.AbstractEventLoop", uvloop.new_event_loop())


def run(
    plan: Plan,
    index: int,
    sock: socket.socket,
    *,
    on_ready: Callable[[], None],
    peers: list[socket.socket] | None = None,
    lifeline: int | None = None,
) -> None:
    """Serve on `sock` until SIGTERM or SIGINT, or until `lifeline` ends.

    Args:
        index: of this worker, from 0.
        on_ready: called once, when connections are accepted.
        peers: this worker's ends of the sockets to the other workers.
        lifeline: descriptor of a pipe whose other end lives as long as the worker should.
    """
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(plan, index, sock, on_ready, peers or [], lifeline))


def ignore_further_stops(loop: asyncio.AbstractEventLoop) -> None:
    """Let no second SIGTERM or SIGINT interrupt an orderly end, until this process is gone."""
    # a loop that forgets a handler restores the default action, if only for a moment
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING_SIGNALS)
    for signum in STOPPING_SIGNALS:
        loop.remove_signal_handler(signum)
        signal.signal(signum, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING_SIGNALS)


def watch_lifeline(loop: asyncio.AbstractEventLoop, descriptor: int, stop: Callable[[], None]) -> None:
    """Call `stop` when the pipe ends, that is, when nobody holds its other end any more.

    Raises:
        UsageError: the descriptor is no pipe.
    """

    def readable() -> None:
        if not os.read(descriptor, 4096):
            loop.remove_reader(descriptor)
            stop()

    try:
        loop.add_reader(descriptor, readable)
    except OSError as exc:  # epoll takes neither files nor /dev/null
        raise UsageError("--exit-with-parent needs a pipe as standard input") from exc


async def _serve(
    plan: Plan,
    index: int,
    sock: socket.socket,
    on_ready: Callable[[], None],
    peers: list[socket.socket],
    lifeline: int | None,
) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_quiet_about_clients)
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        loop.add_signal_handler(signal.SIGINT, stop.set)
    if lifeline is not None:
        watch_lifeline(loop, lifeline, stop.set)
    plan.counters.row(index)[PID] = os.getpid()
    mesh = Mesh()
    broadcast = handlers.Broadcast(mesh)
    await mesh.join(peers, broadcast.deliver)
    quota = Quota(plan.options, plan.counters, index)
    server = await _listen(plan, sock, broadcast, quota)
    # what exists now stays: the collector need not look through it again while the server is measured
    gc.collect()
    gc.freeze()
    on_ready()
    await stop.wait()
    ignore_further_stops(loop)
    await _close(server, quota)


async def _listen(plan: Plan, sock: socket.socket, broadcast: handlers.Broadcast, quota: Quota) -> Server:
    options = plan.options
    echo: handlers.Behaviour = handlers.echo
    if options.delay_ns or options.jitter_ns or options.stall is not None:
        echo = handlers.late_echo(Lateness(plan.start_ns, options.delay_ns, options.jitter_ns, options.stall))
    routes = Routes(plan.counters, quota.cells, echo, broadcast, origins=plan.origins, max_size=options.max_size)
    _log.addFilter(_says_no_handshake_failed)
    tls: dict[str, Any] = {"ssl": None}
    if plan.tls is not None:
        tls = {"ssl": plan.tls, "ssl_handshake_timeout": quota.handshake_timeout_s}
    return await serve_websockets(
        routes.run,
        sock=sock,
        backlog=BACKLOG,
        **tls,
        extensions=parse_compression(options.compression),
        compression=None,
        select_subprotocol=first_offered,
        process_request=routes.answer,
        process_response=answered,
        open_timeout=None,  # the connection has its own
        ping_interval=None,
        max_size=options.max_size,
        logger=_log,
        create_connection=cast("type[ServerConnection]", functools.partial(TargetConnection, quota=quota)),
    )


async def _close(server: Server, quota: Quota) -> None:
    """Stop accepting and close every connection with 1001; abort those that have not gone when time is up."""
    server.close()
    try:
        async with asyncio.timeout(CLOSING_S):
            await server.wait_closed()
    except TimeoutError:
        for connection in tuple(quota.live):
            connection.transport.abort()
        # connections that aborting did not end within a moment end with the process
        await asyncio.wait([asyncio.ensure_future(server.wait_closed())], timeout=0.2)


def _quiet_about_clients(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A client that breaks a TLS handshake or vanishes is no fault of this program and needs no traceback.

    Nor do connections for which no descriptor is left; they wait in the backlog.
    """
    exc = context.get("exception")
    exhausted = isinstance(exc, OSError) and exc.errno in (errno.EMFILE, errno.ENFILE)
    # asyncio says so once for every entry of the backlog, in one go
    if exhausted or isinstance(exc, (ssl.SSLError, ConnectionError, TimeoutError)):
        _log.debug("%s: %r", context.get("message"), exc)
    else:
        loop.default_exception_handler(context)


def _says_no_handshake_failed(record: logging.LogRecord) -> bool:
    """Older `websockets` log a traceback for every client that speaks no WebSocket."""
    return record.msg != "opening handshake failed"
