"""The catalogue's picows echo server with an `EchoCounter` (tests/helpers/echo_counter.py).

    python -m benchmarks.picows_server [--tls] [--batch]

With --tls it makes a certificate for the run: connect with --insecure. With --batch all replies to one read leave in
one write.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import sys
import tempfile
from pathlib import Path

from helpers import frames
from helpers.echo_counter import EchoCounter
from picows import WSFrame, WSMsgType, WSTransport

from wsbench.machine import raise_descriptor_limit
from wsbench.targets.self_signed import issue
from wsbench.targets.servers import picows, program

_DATA = (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION)
_counter = EchoCounter()


class CountingEcho(picows.EchoListener):
    """The echo server's listener, which also counts."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        _counter.connections += 1

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        _counter.connections -= 1

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type in _DATA:
            _counter.echoed += 1
        super().on_ws_frame(transport, frame)


class BatchingEcho(CountingEcho):
    """Answers all unfragmented text frames of one read with one write; picows makes a system call for each reply."""

    def __init__(self) -> None:
        super().__init__()
        self._replies: list[bytes] = []

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.TEXT or not frame.fin:
            self._flush(transport)
            super().on_ws_frame(transport, frame)
            return
        if not self._replies:
            asyncio.get_running_loop().call_soon(self._flush, transport)
        _counter.echoed += 1
        self._replies.append(frames.encode(frames.TEXT, frame.get_payload_as_bytes()))

    def _flush(self, transport: WSTransport) -> None:
        if self._replies:
            transport.underlying_transport.write(b"".join(self._replies))
            self._replies.clear()


async def _serve(sock: socket.socket, options: program.Options, *, batch: bool) -> None:
    await picows.serve(sock, options, BatchingEcho if batch else CountingEcho)


def main(*, tls: bool, batch: bool) -> None:
    """Serve until SIGTERM."""
    raise_descriptor_limit()
    _counter.report_on_signal()
    with contextlib.ExitStack() as stack:
        cert = key = ""
        if tls:
            files = issue(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wsbench-"))))
            cert, key = str(files.cert), str(files.key)
        program.run(functools.partial(_serve, batch=batch), program.Options(0, 1, cert, key, compression=False))


if __name__ == "__main__":
    main(tls="--tls" in sys.argv, batch="--batch" in sys.argv)
