"""Reading the HTTP response to an upgrade request: the head of a 101, or a refusal with the start of its body."""

from __future__ import annotations

import re
from collections.abc import Callable

import gevent

from wsbench.websocket.connect_options import ConnectOptions
from wsbench.websocket.handshake_errors import HEAD_LIMIT, diagnose
from wsbench.websocket.http_response import HEAD_END, strict_head

_BODY_LIMIT = 512
_HTTP_1 = b"HTTP/1."
_CONTENT_LENGTH = re.compile(rb"\ncontent-length:[ \t]*(\d{1,9})[ \t]*\r?\n", re.IGNORECASE)
_INTERIM = re.compile(rb"HTTP/1\.1 1(?!01)\d\d")
_LAST_CHUNK = b"\r\n0\r\n\r\n"


def read_upgrade_response(
    receive: Callable[[], bytes], received: bytearray, options: ConnectOptions, *, body_timeout_s: float = 0.5
) -> tuple[bytes, bytes]:
    """Return the head of a 101 response, and the bytes after it: the server's first frames.

    `receive` returns decrypted bytes, none at the end of the stream. `received` collects them, also when this fails;
    interim responses (RFC 9110, 15.2) are removed when a later response has begun. Raise HandshakeError if the response
    is not a 101.
    """
    begin = 0
    while (end := HEAD_END.search(received, begin)) is None or _INTERIM.match(received, begin):
        if end is not None:
            begin = end.end()
            continue
        data = receive()
        received += data
        plausible = received.startswith(_HTTP_1[: len(received) - begin], begin)
        if not data or not plausible or len(received) > HEAD_LIMIT:
            raise diagnose(None, bytes(received[begin:] or received), options)
    del received[:begin]
    head, rest = bytes(received[: end.end() - begin]), bytes(received[end.end() - begin :])
    if head.startswith(b"HTTP/1.1 101"):
        return strict_head(head), rest
    if b" 101 " not in head[:13]:
        _read_body(receive, received, head, body_timeout_s)
    raise diagnose(None, bytes(received), options)


def _read_body(receive: Callable[[], bytes], received: bytearray, head: bytes, timeout_s: float) -> None:
    """Read the start of a refusal's body. The body may be long, endless or cut: its start is enough for a message."""
    length = _CONTENT_LENGTH.search(head)
    enough = len(head) + min(int(length[1]) if length else _BODY_LIMIT, _BODY_LIMIT)
    try:
        with gevent.Timeout(timeout_s, False):
            while len(received) < enough and not received.endswith(_LAST_CHUNK):
                if not (data := receive()):
                    break
                received += data
    except OSError:
        pass
