"""A WebSocket client on a bare socket: it sends any bytes, and checks each frame that it receives."""

from __future__ import annotations

import base64
import os
import socket
import zlib
from collections.abc import Iterator
from typing import Self
from urllib.parse import urlsplit

from .conformance import RSV1, Frame
from .frames import CLOSE, CONTROL, accept_key
from .process import scaled


def request(path: str, *headers: str, key: str | None = None) -> bytes:
    """Return a valid handshake request, with `headers` added."""
    lines = (
        f"GET {path} HTTP/1.1",
        "Host: abuse",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key or base64.b64encode(os.urandom(16)).decode()}",
        "Sec-WebSocket-Version: 13",
        *headers,
    )
    return "\r\n".join((*lines, "", "")).encode()


class RawClient:
    """A TCP connection to a server, and with `handshake` a WebSocket connection. A context manager.

    Attributes:
        socket: the socket; a test may replace it by a TLS socket around it.
        extensions: value of Sec-WebSocket-Extensions in the answer.
    """

    def __init__(self, url: str, *, receive_buffer: int = 0) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None and parts.port is not None
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(scaled(30))
        self.socket.connect((parts.hostname, parts.port))
        self.extensions = ""
        self._inflater = zlib.decompressobj(wbits=-15)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def handshake(self, *headers: str, path: str = "/echo", early: bytes = b"") -> Self:
        """Open the WebSocket connection; send `early` together with the request."""
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(request(path, *headers, key=key) + early)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self._read(1)  # and no byte of the frames after it
        status, *lines = head.decode().rstrip().split("\r\n")
        assert status.startswith("HTTP/1.1 101 ")
        answer = dict(line.split(": ", 1) for line in lines)
        assert answer["Sec-WebSocket-Accept"] == accept_key(key)
        self.extensions = answer.get("Sec-WebSocket-Extensions", "")
        return self

    def send(self, *frames: Frame) -> Self:
        """Send frames, masked."""
        self.socket.sendall(b"".join(frame.wire(masked=True) for frame in frames))
        return self

    def frame(self) -> tuple[int, bytes]:
        """Return opcode and payload of the next frame, decompressed; EOFError after the last."""
        first, size = self._read(2)
        if size > 125:
            assert size < 128, "masked by the server"
            size = int.from_bytes(self._read(2 if size == 126 else 8))
        payload, opcode = self._read(size), first & 0x0F
        assert first & 0x80, "the target does not send fragments"
        assert not first & 0x30 and not (opcode in CONTROL and first & RSV1)
        if first & RSV1:
            assert self.extensions, "RSV1 without an extension"
            payload = self._inflater.decompress(payload + b"\x00\x00\xff\xff")
        return opcode, payload

    def frames(self, *, context_takeover: bool = True) -> Iterator[tuple[int, bytes]]:
        """Yield opcode and payload of all frames to the end of the stream.

        Args:
            context_takeover: False: each message must be decompressible without the ones before.
        """
        while True:
            try:
                yield self.frame()
            except EOFError:
                return
            if not context_takeover:
                self._inflater = zlib.decompressobj(wbits=-15)

    def read_to_end(self) -> bytes:
        """Return all bytes to the end of the stream; b'(reset)' stands for a reset."""
        received = b""
        try:
            while data := self.socket.recv(65536):
                received += data
        except ConnectionResetError:
            received += b"(reset)"
        return received

    def close_code(self) -> int:
        """Return the code of a close frame, which must be the last frame."""
        opcode, payload = self.frame()
        assert opcode == CLOSE
        assert self.read_to_end() in (b"", b"(reset)")
        return int.from_bytes(payload[:2])

    def _read(self, size: int) -> bytes:
        """Return `size` bytes; EOFError at the end of the stream, which must not be within a frame."""
        parts, missing = [], size
        while missing:
            data = self.socket.recv(missing)
            if not data:
                assert not parts, "the stream ends within a frame"
                raise EOFError
            parts.append(data)
            missing -= len(data)
        return b"".join(parts)
