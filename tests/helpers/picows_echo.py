"""An echo server on picows and uvloop, both in C: fast enough not to be what a test measures.

    cd tests && python -m helpers.picows_echo [--tls] [--batch]

It tells what it counted at SIGUSR1 (helpers/tally.py). With --tls the certificate is made for the run: --insecure.
With --batch the replies to one read leave in one write.
"""

from __future__ import annotations

import asyncio
import ssl
import sys

import trustme
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

from helpers import frames
from helpers.tally import Tally
from wsbench.machine import raise_descriptor_limit

_tally = Tally()


class Echo(WSListener):
    """Text as text, binary as binary, fragments as they came; a ping with a pong, a close with its own code."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        _tally.connections += 1

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        _tally.connections -= 1

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
            _tally.echoed += 1
            transport.send(kind, frame.get_payload_as_bytes(), fin=frame.fin)
        elif kind == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif kind == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()


class InOneGo(Echo):
    """Plain text frames that came in one read go back in one write; picows makes a system call of each."""

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
        _tally.echoed += 1
        self._replies.append(frames.encode(frames.TEXT, frame.get_payload_as_bytes()))

    def _flush(self, transport: WSTransport) -> None:
        if self._replies:
            transport.underlying_transport.write(b"".join(self._replies))
            self._replies.clear()


def _tls_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


async def main(tls: bool, batch: bool) -> None:
    raise_descriptor_limit()
    _tally.tell_on_signal(asyncio.get_running_loop())
    context = {"ssl": _tls_context()} if tls else {}
    listener = InOneGo if batch else Echo
    server = await ws_create_server(lambda _: listener(), "127.0.0.1", 0, enable_auto_pong=False, **context)
    port = server.sockets[0].getsockname()[1]
    print(f"listening on {'wss' if tls else 'ws'}://127.0.0.1:{port}/echo", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main("--tls" in sys.argv, "--batch" in sys.argv))
