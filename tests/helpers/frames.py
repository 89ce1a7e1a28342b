"""RFC 6455 as a server sees it, by hand: the opening handshake and frames.

Written apart from wsbench.transport and from `websockets`, so that a mistake they share shows here instead of
cancelling out. No extensions. What a client does wrong is a `ProtocolViolation`, never let pass.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
DATA = (TEXT, BINARY)
CONTROL = (CLOSE, PING, PONG)
MAX_MESSAGE = 64 * 1024 * 1024
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3


class ProtocolViolation(Exception):
    """A violation of RFC 6455 by the client; `code` is the close code to answer with."""

    def __init__(self, what: str, code: int = 1002) -> None:
        super().__init__(what)
        self.code = code


@dataclass(frozen=True)
class Request:
    """The head of an HTTP request; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]

    @property
    def wants_websocket(self) -> bool:
        return self.headers.get("upgrade", "").lower() == "websocket"


@dataclass(frozen=True)
class Incoming:
    """A complete message (TEXT or BINARY, fragments joined) or a control frame."""

    opcode: int
    payload: bytes


def parse_request(head: bytes) -> Request:
    """Parse the head of a request, up to the empty line; ValueError if it is not one."""
    request_line, *lines = head.decode("latin-1").split("\r\n")
    method, target, version = request_line.split(" ")
    if not version.startswith("HTTP/"):
        raise ValueError(f"not a request line: {request_line!r}")
    headers = {}
    for line in filter(None, lines):
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(f"not a header: {line!r}")
        headers[name.strip().lower()] = value.strip()
    return Request(method, target, headers)


def accept_key(key: str) -> str:
    """Return Sec-WebSocket-Accept for a Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()


def http_answer(status: str, *headers: str, body: bytes = b"", version: str = "HTTP/1.1") -> bytes:
    """Return a complete answer; Content-Length and Connection: close are added unless it is a 101."""
    lines = [f"{version} {status}", *headers]
    if not status.startswith("101"):
        lines += [f"Content-Length: {len(body)}", "Connection: close"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def upgrade_answer(request: Request) -> bytes:
    """Return the 101 for `request`, or a 400 with the reason."""
    wrong = _wrong_with(request)
    if wrong:
        return http_answer("400 Bad Request", "Content-Type: text/plain", body=wrong.encode() + b"\n")
    return http_answer(
        "101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept_key(request.headers['sec-websocket-key'])}",
    )


def _wrong_with(request: Request) -> str:
    if request.method != "GET":
        return f"the method is {request.method}, not GET"
    if "upgrade" not in request.headers.get("connection", "").lower():
        return "missing Connection: Upgrade"
    if request.headers.get("sec-websocket-version") != "13":
        return "Sec-WebSocket-Version is not 13"
    try:
        key = base64.b64decode(request.headers.get("sec-websocket-key", ""), validate=True)
    except ValueError:
        key = b""
    return "" if len(key) == 16 else "Sec-WebSocket-Key is not 16 bytes in base64"


def encode(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """Return an unmasked frame, as a server sends it."""
    size = len(payload)
    first = (0x80 if fin else 0) | opcode
    if size < 126:
        return bytes((first, size)) + payload
    if size < 1 << 16:
        return bytes((first, 126)) + size.to_bytes(2) + payload
    return bytes((first, 127)) + size.to_bytes(8) + payload


def encode_close(code: int, reason: str = "") -> bytes:
    return encode(CLOSE, code.to_bytes(2) + reason.encode())


def unmask(payload: bytes, key: bytes) -> bytes:
    size = len(payload)
    mask = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(mask)).to_bytes(size)


class FrameParser:
    """Parser of a client's bytes into complete messages and control frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._opcode = CONTINUATION  # of the message whose fragments are being collected; 0: none
        self._parts = bytearray()

    def feed(self, data: bytes) -> Iterator[Incoming]:
        self._buffer += data
        while (frame := self._next_frame()) is not None:
            fin, opcode, payload = frame
            if opcode in CONTROL:
                _check_close(opcode, payload)
                yield Incoming(opcode, payload)
                continue
            if (opcode == CONTINUATION) == (self._opcode == CONTINUATION):
                raise ProtocolViolation("a continuation without a start, or a new message inside an unfinished one")
            if opcode != CONTINUATION:
                self._opcode = opcode
            self._parts += payload
            if len(self._parts) > MAX_MESSAGE:
                raise ProtocolViolation("the message is too big", 1009)
            if fin:
                yield self._finished()

    def _finished(self) -> Incoming:
        message = Incoming(self._opcode, bytes(self._parts))
        self._opcode, self._parts = CONTINUATION, bytearray()
        if message.opcode == TEXT:
            try:
                message.payload.decode()
            except UnicodeDecodeError as error:
                raise ProtocolViolation("a text message is not UTF-8", 1007) from error
        return message

    def _next_frame(self) -> tuple[bool, int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        fin, opcode, size = bool(buffer[0] & 0x80), buffer[0] & 0x0F, buffer[1] & 0x7F
        _check_first_bytes(buffer[0], buffer[1])
        start = 2 + {126: 2, 127: 8}.get(size, 0)
        if len(buffer) < start + 4:
            return None
        if size >= 126:
            short, size = size, int.from_bytes(buffer[2:start])
            if size < (126 if short == 126 else 1 << 16):
                raise ProtocolViolation("a frame's length is not in its shortest form")
        if size > MAX_MESSAGE:
            raise ProtocolViolation("the frame is too big", 1009)
        end = start + 4 + size
        if len(buffer) < end:
            return None
        payload = unmask(bytes(buffer[start + 4 : end]), bytes(buffer[start : start + 4]))
        del buffer[:end]
        return fin, opcode, payload


def _check_first_bytes(first: int, second: int) -> None:
    opcode = first & 0x0F
    if first & 0x70:
        raise ProtocolViolation("a reserved bit is set and no extension was negotiated")
    if opcode not in (CONTINUATION, *DATA, *CONTROL):
        raise ProtocolViolation(f"unknown opcode {opcode:#x}")
    if not second & 0x80:
        raise ProtocolViolation("a client's frame is not masked")
    if opcode in CONTROL and (not first & 0x80 or second & 0x7F > 125):
        raise ProtocolViolation("a control frame is fragmented or longer than 125 bytes")


def _check_close(opcode: int, payload: bytes) -> None:
    if opcode != CLOSE or not payload:
        return
    code = int.from_bytes(payload[:2])
    if len(payload) == 1 or not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
        raise ProtocolViolation("a close frame without a close code that may be sent")
    try:
        payload[2:].decode()
    except UnicodeDecodeError as error:
        raise ProtocolViolation("a close reason is not UTF-8", 1007) from error
