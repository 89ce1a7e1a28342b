"""One process of the target: an event loop that serves one listening socket until it is stopped."""

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
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, cast

from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as serve_websockets

from wsbench.errors import UsageError
from wsbench.targets.echo import handlers
from wsbench.targets.echo.counters import PID, Counters
from wsbench.targets.echo.deflate import parse_compression
from wsbench.targets.echo.delays import ReplyDelay
from wsbench.targets.echo.echo_connection import EchoConnection
from wsbench.targets.echo.frozen_connections import FrozenConnections
from wsbench.targets.echo.limits import WorkerLimits
from wsbench.targets.echo.listen_sockets import BACKLOG
from wsbench.targets.echo.routes import Routes, first_offered
from wsbench.targets.echo.serve_options import EchoOptions
from wsbench.targets.echo.worker_links import WorkerLinks

# a target must end within 2 s
CLOSING_S = 1.5
STOPPING_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_log = logging.getLogger("wsbench.targets.echo")


@dataclass(frozen=True)
class WorkerConfig:
    """Configuration shared by all workers. `start_ns` is CLOCK_MONOTONIC. Empty `origins` admit every web page."""

    options: EchoOptions
    tls: ssl.SSLContext | None
    counters: Counters
    start_ns: int
    origins: frozenset[str]


def run(serving: Coroutine[Any, Any, None]) -> None:
    """Run `serve` on uvloop if it is installed (it is, on all platforms that it supports), else on asyncio's loop."""
    try:
        from uvloop import new_event_loop  # noqa: PLC0415  # an optional dependency
    except ImportError:
        new_event_loop = None
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serving)


def on_stop(loop: asyncio.AbstractEventLoop, stop: Callable[[], object]) -> None:
    """Call `stop` for every stopping signal that is not ignored, as SIGHUP is under nohup."""
    for signum in STOPPING_SIGNALS:
        if signal.getsignal(signum) is not signal.SIG_IGN:
            loop.add_signal_handler(signum, stop)


def ignore_further_stops(loop: asyncio.AbstractEventLoop) -> None:
    """Ignore all stopping signals from now on, so that a second one does not interrupt the shutdown."""
    # blocked meanwhile: an event loop that removes a handler restores the default action for a moment
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING_SIGNALS)
    for signum in STOPPING_SIGNALS:
        loop.remove_signal_handler(signum)
        signal.signal(signum, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING_SIGNALS)


def watch_lifeline(loop: asyncio.AbstractEventLoop, descriptor: int, stop: Callable[[], None]) -> None:
    """Call `stop` when the last holder of the pipe's other end closes it; raise UsageError if it is no pipe."""

    def readable() -> None:
        if not os.read(descriptor, 4096):
            loop.remove_reader(descriptor)
            stop()

    try:
        loop.add_reader(descriptor, readable)
    except OSError as exc:  # epoll accepts neither files nor /dev/null
        raise UsageError("--exit-with-parent needs a pipe as standard input") from exc


async def serve(
    config: WorkerConfig,
    index: int,
    sock: socket.socket,
    *,
    on_ready: Callable[[], None],
    peers: Sequence[socket.socket] = (),
    lifeline: int | None = None,
) -> None:
    """Serve on `sock` until a stopping signal, or until `lifeline` ends.

    Args:
        index: of this worker, from 0.
        on_ready: called once, when the worker accepts connections.
        peers: this worker's ends of the sockets to the other workers.
        lifeline: descriptor of a pipe; the worker stops when the other end closes.
    """
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_log_exception)
    stop = asyncio.Event()
    on_stop(loop, stop.set)
    if lifeline is not None:
        watch_lifeline(loop, lifeline, stop.set)
    config.counters.row(index)[PID] = os.getpid()
    links = WorkerLinks()
    broadcast = handlers.Broadcast(links)
    await links.connect(peers, broadcast.deliver)
    limits = WorkerLimits(config.options, config.counters, index)
    server = await _listen(config, sock, broadcast, limits)
    # what exists now lives as long as the process: the garbage collector need not examine it again
    gc.collect()
    gc.freeze()
    on_ready()
    watch = asyncio.ensure_future(FrozenConnections(limits.cells).watch())
    await stop.wait()
    watch.cancel()
    ignore_further_stops(loop)
    await _close(server, limits)


async def _listen(
    config: WorkerConfig, sock: socket.socket, broadcast: handlers.Broadcast, limits: WorkerLimits
) -> Server:
    options = config.options
    echo: handlers.Handler = handlers.echo
    if options.delay_ns or options.jitter_ns or options.stall is not None:
        echo = handlers.delayed_echo(ReplyDelay(config.start_ns, options.delay_ns, options.jitter_ns, options.stall))
    routes = Routes(config.counters, limits.cells, echo, broadcast, config.origins, options.max_size)
    _log.addFilter(_is_no_failed_handshake)
    return await serve_websockets(
        routes.run,
        sock=sock,
        backlog=BACKLOG,
        ssl=config.tls,
        ssl_handshake_timeout=limits.handshake_timeout_s if config.tls else None,
        extensions=parse_compression(options.compression),
        compression=None,
        select_subprotocol=first_offered,
        process_request=routes.answer,
        process_response=cast("Any", EchoConnection.before_answer),
        open_timeout=None,  # HandshakeConnection has a timeout itself
        ping_interval=None,
        max_size=options.max_size,
        logger=_log,
        create_connection=cast("type[ServerConnection]", functools.partial(EchoConnection, limits=limits)),
    )


async def _close(server: Server, limits: WorkerLimits) -> None:
    """Stop accepting and close every connection with 1001; abort those still open after `CLOSING_S`."""
    server.close()
    try:
        async with asyncio.timeout(CLOSING_S):
            await server.wait_closed()
    except TimeoutError:
        for connection in tuple(limits.live):
            connection.transport.abort()
        # connections that survive the abort end with the process
        await asyncio.wait([asyncio.ensure_future(server.wait_closed())], timeout=0.2)


def _log_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an exception of the event loop; without a traceback if a client caused it.

    Examples are a failed TLS handshake, a lost connection, and a lack of descriptors (connections wait in the backlog).
    """
    exc = context.get("exception")
    exhausted = isinstance(exc, OSError) and exc.errno in (errno.EMFILE, errno.ENFILE)
    # asyncio reports a lack of descriptors once for every entry of the backlog
    if exhausted or isinstance(exc, (ssl.SSLError, ConnectionError, TimeoutError)):
        _log.debug("%s: %r", context.get("message"), exc)
    else:
        loop.default_exception_handler(context)


def _is_no_failed_handshake(record: logging.LogRecord) -> bool:
    """Filter out the traceback that older `websockets` log for every client that does not speak WebSocket."""
    return record.msg != "opening handshake failed"
