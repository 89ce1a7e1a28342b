"""The whole target: it listens, starts its workers, and stops all of them at the end.

With one worker, this process is the worker. With several, it forks them, waits for them, and serves nothing itself.
Each worker holds the reading end of a pipe whose writing end only this process has, so a worker stops when this
process ends, even if it is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from typing import NoReturn

from wsbench.errors import TargetError
from wsbench.machine import raise_descriptor_limit
from wsbench.targets.echo import listen_sockets, server_tls, server_worker, worker_links
from wsbench.targets.echo.counters import Counters
from wsbench.targets.echo.serve_options import EchoOptions, Listening

# time after SIGTERM at which a worker is killed; it ends within little more than CLOSING_S
_KILL_AFTER_S = server_worker.CLOSING_S + 0.5
_STDIN = 0

OnListening = Callable[[Listening], None]


class _StoppedEarlyError(Exception):
    """SIGTERM or SIGHUP before a worker has started."""


def serve(options: EchoOptions, on_listening: OnListening) -> None:
    """Run the echo target until SIGTERM, SIGINT or SIGHUP. All are ignored afterwards: the caller must end the process.

    SIGHUP has no effect if it is ignored already, as under nohup.

    `on_listening` is called once, when all workers accept connections.

    Raises:
        UsageError: the host, port, certificate or key cannot be used.
        TargetError: a worker died.
    """
    raise_descriptor_limit()
    early = [signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        early.append(signal.SIGHUP)
    for signum in early:
        signal.signal(signum, _stop_early)
    try:
        with contextlib.ExitStack() as stack:
            _serve(options, stack, on_listening)
    except _StoppedEarlyError:
        pass
    finally:
        for signum in early:
            if signal.getsignal(signum) is _stop_early:
                signal.signal(signum, signal.SIG_DFL)


def _stop_early(_signum: int, _frame: object) -> NoReturn:
    for signum in server_worker.STOPPING_SIGNALS:
        signal.signal(signum, signal.SIG_IGN)
    raise _StoppedEarlyError


def _serve(options: EchoOptions, stack: contextlib.ExitStack, on_listening: OnListening) -> None:
    context, ca_file = server_tls.context_for(options, stack)
    socks = listen_sockets.listen(options.host, options.port, options.workers)
    secure = "" if context is None else "s"
    netloc = f"{listen_sockets.url_host(options.host)}:{socks[0].getsockname()[1]}"
    listening = Listening(f"ws{secure}://{netloc}/echo", ca_file, listen_sockets.is_loopback(socks[0]))
    # the address and not the Host header: a foreign host name may resolve to this address
    origins = frozenset((*options.allow_origins, f"http{secure}://{netloc}".lower()) if options.allow_origins else ())
    config = server_worker.WorkerConfig(options, context, Counters(options.workers), time.monotonic_ns(), origins)
    if options.workers == 1:
        lifeline = _STDIN if options.exit_with_parent else None
        worker = server_worker.serve(config, 0, socks[0], on_ready=lambda: on_listening(listening), lifeline=lifeline)
        server_worker.run(worker)
    else:
        _Supervisor(config, socks, lambda: on_listening(listening)).run()


class _Supervisor:
    """Starts the workers, waits for them, and stops all of them when one ends."""

    def __init__(
        self, config: server_worker.WorkerConfig, socks: list[socket.socket], on_ready: Callable[[], None]
    ) -> None:
        self._config = config
        self._on_ready = on_ready
        self._socks = socks
        self._peers = worker_links.SocketPairs(len(socks))
        self._lifeline, self._lifeline_writer = os.pipe()
        self._ready, self._ready_writer = os.pipe()
        self._starting = len(socks)
        self._workers: dict[int, int] = {}  # process id: number of the worker
        self._stopping = False
        self._failure: TargetError | None = None
        self._settled = asyncio.Event()  # all accept connections, or none will
        self._all_gone = asyncio.Event()

    def run(self) -> None:
        """Return when all workers have ended; raise TargetError when one died."""
        try:
            self._fork()
            # a socket left open here would accept connections for a worker that has ended
            for sock in self._socks:
                sock.close()
            self._peers.close()
            os.close(self._lifeline)
            os.close(self._ready_writer)
            asyncio.run(self._watch())
        finally:
            self._signal(signal.SIGKILL)  # after an orderly end there is no worker left
        if self._failure is not None:
            raise self._failure

    def _fork(self) -> None:
        # blocked meanwhile: a signal handler's exception would run the parent's code in a child
        signal.pthread_sigmask(signal.SIG_BLOCK, server_worker.STOPPING_SIGNALS)
        for index in range(len(self._socks)):
            pid = os.fork()
            if pid == 0:
                self._run_worker(index)
            self._workers[pid] = index
        signal.pthread_sigmask(signal.SIG_UNBLOCK, server_worker.STOPPING_SIGNALS)

    def _run_worker(self, index: int) -> NoReturn:
        """Run a worker in the forked process, and exit without unwinding the parent's stack."""
        code = 1
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            # Ctrl-C and a hang-up reach every process of the terminal; the parent then stops its workers by SIGTERM
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, server_worker.STOPPING_SIGNALS)
            os.close(self._lifeline_writer)
            os.close(self._ready)
            for other, sock in enumerate(self._socks):
                if other != index:
                    sock.close()
            worker = server_worker.serve(
                self._config,
                index,
                self._socks[index],
                on_ready=lambda: _report_ready(self._ready_writer),
                peers=self._peers.take(index),
                lifeline=self._lifeline,
            )
            server_worker.run(worker)
            code = 0
        except BaseException as exc:
            debug = os.environ.get("WSBENCH_DEBUG") == "1"
            lines = traceback.format_exception(exc) if debug else traceback.format_exception_only(exc)
            sys.stderr.write("".join(lines))
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        server_worker.on_stop(loop, self._stop)
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        loop.add_reader(self._ready, self._count_ready)
        if self._config.options.exit_with_parent:
            server_worker.watch_lifeline(loop, _STDIN, self._stop)
        self._reap()  # workers that ended before the handler of SIGCHLD was installed
        await self._settled.wait()
        if not self._stopping:
            self._on_ready()
        await self._all_gone.wait()

    def _count_ready(self) -> None:
        signals = os.read(self._ready, 4096)
        if not signals:
            asyncio.get_running_loop().remove_reader(self._ready)
            return
        self._starting -= len(signals)
        if not self._starting:
            self._settled.set()

    def _stop(self) -> None:
        if not self._stopping:
            self._stopping = True
            loop = asyncio.get_running_loop()
            server_worker.ignore_further_stops(loop)
            self._signal(signal.SIGTERM)
            loop.call_later(_KILL_AFTER_S, self._signal, signal.SIGKILL)

    def _signal(self, signum: signal.Signals) -> None:
        # the kernel reuses no worker's process id before it is reaped
        for pid in self._workers:
            os.kill(pid, signum)

    def _reap(self) -> None:
        for pid, index in list(self._workers.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if not done:
                continue
            del self._workers[pid]
            code = os.waitstatus_to_exitcode(status)
            if code and not self._stopping and self._failure is None:
                self._failure = _died(index, pid, code)
            self._stop()
        if not self._workers:
            self._settled.set()
            self._all_gone.set()


def _report_ready(descriptor: int) -> None:
    os.write(descriptor, b".")
    os.close(descriptor)


def _died(index: int, pid: int, code: int) -> TargetError:
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return TargetError(f"worker {index + 1} of the echo target (process {pid}) {how}; the others were stopped")
