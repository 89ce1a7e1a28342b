"""The catalogue's picows echo server with an `EchoCounter` (tests/helpers/echo_counter.py).

    python -m benchmarks.picows_server [--tls]

With --tls it makes a certificate for the run: connect with --insecure.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import tempfile
from pathlib import Path

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


async def _serve(sock: socket.socket, options: program.Options) -> None:
    await picows.serve(sock, options, CountingEcho)


def main(*, tls: bool) -> None:
    """Serve until SIGTERM."""
    raise_descriptor_limit()
    _counter.report_on_signal()
    with contextlib.ExitStack() as stack:
        cert = key = ""
        if tls:
            files = issue(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wsbench-"))))
            cert, key = str(files.cert), str(files.key)
        program.run(_serve, program.Options(0, 1, cert, key, compression=False))


if __name__ == "__main__":
    main(tls="--tls" in sys.argv)
