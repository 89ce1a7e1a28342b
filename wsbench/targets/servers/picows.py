"""picows: WebSockets in Cython, on asyncio transports. It has no permessage-deflate."""

from __future__ import annotations

import socket

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

from wsbench.targets.echo.listen_sockets import BACKLOG
from wsbench.targets.servers import program


class EchoListener(WSListener):
    """Returns text as text, binary as binary, fragments unchanged; answers pings, and a close with its code."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Answer a frame."""
        kind = frame.msg_type
        if kind in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
            transport.send(kind, frame.get_payload_as_bytes(), fin=frame.fin)
        elif kind == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif kind == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()


async def serve(sock: socket.socket, options: program.Options, listener: type[WSListener] = EchoListener) -> None:
    """Serve on a listening socket, with one `listener` for each connection."""
    server = await ws_create_server(
        lambda _request: listener(),
        sock=sock,
        ssl=options.tls,
        backlog=BACKLOG,
        enable_auto_pong=False,
        max_frame_size=program.MAX_MESSAGE_BYTES,
    )
    await server.serve_forever()


if __name__ == "__main__":
    program.run(serve, program.parse_options(compression=False))
