"""The client's part of the opening handshake. `handshake_errors` explains wrong responses."""

from __future__ import annotations

from websockets.client import ClientProtocol
from websockets.http11 import Request
from websockets.typing import Origin, Subprotocol

from wsbench.websocket.compression import parse_compression
from wsbench.websocket.connect_options import ConnectOptions


def new_protocol(options: ConnectOptions) -> tuple[ClientProtocol, Request]:
    """Return a protocol object for one connection, and its upgrade request."""
    offer = parse_compression(options.compression, message_size=options.message_size)
    protocol = ClientProtocol(
        options.uri,
        origin=Origin(options.origin) if options.origin is not None else None,
        extensions=[offer] if offer else None,
        subprotocols=[Subprotocol(name) for name in options.subprotocols] or None,
        max_size=options.max_size,
    )
    request = protocol.connect()
    for name, value in options.headers:
        # These replace ours; all others are added, repeats included.
        if name.lower() in ("host", "authorization", "origin") and name in request.headers:
            del request.headers[name]
        request.headers[name] = value
    return protocol, request
