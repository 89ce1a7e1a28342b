"""Splitting a server's byte stream into messages (RFC 6455), without I/O.

`websockets`' ClientProtocol is the authority. Only the most frequent frames bypass it: whole, unfragmented, unmasked
data frames outside a fragmented message (RFC 6455, 5.2 to 5.4), plain or compressed by permessage-deflate, whose state
stays in the protocol's extension object. All other bytes go through the protocol object, one whole frame at a time, so
that it holds no pending bytes between two frames and the next frame may bypass it again.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from websockets.client import ClientProtocol
from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN

from wsbench.websocket.frames import BINARY, EMPTY_BLOCK, MASKED, RSV1, TEXT, deflate_of, frame_bounds

_DATA = (TEXT, BINARY)
_ONE_STEP_INFLATE = 2044
"""The extension inflates shorter frames in one step."""
_DEFLATED = (TEXT | RSV1, BINARY | RSV1)
_OPCODES = frozenset(int(opcode) for opcode in Opcode)
_WINDOW = 32_768
_MAX_FINAL_BLOCKS = 100
_SMALL_FRAME = 125
_MAX_SMALL_FRAMES = 2000
"""Each costs 10 µs: more of them would keep the process from all other connections."""


class Flood(Exception):
    """Too many frames that make no message: pings, or tiny fragments."""


def violation_code(error: Exception) -> int:
    """Return the close code of a violation (RFC 6455, 7.4.1)."""
    codes = ((Flood, 1008), (UnicodeDecodeError, 1007), (PayloadTooBig, 1009))
    return next((code for kind, code in codes if isinstance(error, kind)), 1002)


class ReceivedMessage(NamedTuple):
    """A whole application message from the server."""

    payload: bytes
    text: bool


class FrameReader:
    """Splits the server's bytes after the handshake into messages.

    Attributes:
        idle: the next byte is the first of a frame, outside a fragmented message.
        pongs: payloads of received pongs; the caller empties the list.
        small_frames: control frames and short fragments since the last whole message. Too many of them fail the
            connection; the caller resets the count once a second.

    Invariants: bytes of an incomplete frame wait here, not in the protocol object, unless the frame's length is over
    the limit (then the protocol object gets it at once and rejects it). After a whole frame the protocol object's
    buffer is empty.
    """

    __slots__ = (
        "_chunks",
        "_deflate",
        "_fragments",
        "_have",
        "_max_frame",
        "_need",
        "_text",
        "idle",
        "pongs",
        "protocol",
        "small_frames",
    )

    def __init__(self, protocol: ClientProtocol) -> None:
        self.protocol = protocol
        self._deflate = deflate_of(protocol)
        limit = protocol.max_message_size
        self._max_frame = 2**63 if limit is None else limit
        self._chunks: list[bytes] = []
        self._have = 0
        self._need = 0
        self._fragments = bytearray()
        self._text = False
        self.small_frames = 0
        self.idle = protocol.current_size is None
        self.pongs: list[bytes] = []

    def join(self, data: bytes) -> bytes:
        """Return the bytes to feed after `data` arrived: none while the frame is incomplete.

        Chunks of a long frame are joined once, when the frame is whole.
        """
        if not self._chunks:
            return data
        self._chunks.append(data)
        self._have += len(data)
        if self._have < self._need:
            return b""
        joined = b"".join(self._chunks)
        self._chunks.clear()
        self.idle = self.protocol.current_size is None  # needed if all of it is predicted and not fed
        return joined

    def feed(self, data: bytes) -> list[ReceivedMessage]:
        """Return the messages that `data` (from `join`) completes; responses to control frames wait in the protocol."""
        messages: list[ReceivedMessage] = []
        protocol = self.protocol
        offset, size = 0, len(data)
        while offset < size:
            bounds = frame_bounds(data, offset)
            if protocol.state is not OPEN or self._must_reject(data, offset, bounds):
                self._through_protocol(data[offset:], messages)
                break
            if bounds is None or bounds[1] > size:
                self._buffer(data[offset:], bounds[1] - offset if bounds else 0)
                break
            payload, end = bounds
            first = data[offset]
            if first in _DATA and protocol.current_size is None:
                self._deliver(data[payload:end], first == TEXT, messages)
            elif first in _DEFLATED and protocol.current_size is None and self._deflate is not None:
                self._inflate(self._deflate, data[payload:end], first == TEXT | RSV1, messages)
            else:
                self.small_frames += end - payload <= _SMALL_FRAME
                self._through_protocol(data[offset:end], messages)
                if self.small_frames > _MAX_SMALL_FRAMES and protocol.parser_exc is None:
                    self._give_up(Flood(f"{self.small_frames} short frames in a row, and no message"))
            offset = end
        self.idle = not self._chunks and protocol.current_size is None
        return messages

    def feed_eof(self) -> list[ReceivedMessage]:
        """Handle the end of the stream: the protocol object gets an incomplete frame and decides what it means."""
        messages: list[ReceivedMessage] = []
        if self._chunks:
            rest = b"".join(self._chunks)
            self._chunks.clear()
            self._through_protocol(rest, messages)
        self.protocol.receive_eof()
        return messages

    def _must_reject(self, data: bytes, start: int, bounds: tuple[int, int] | None) -> bool:
        """Return whether the frame's first two bytes or its length alone must fail the connection."""
        if len(data) - start < 2:
            # The protocol object reads two bytes at once. It would keep a single one, which breaks the invariant.
            return False
        if data[start] & 0x0F not in _OPCODES or data[start + 1] & MASKED:
            return True
        # A fragmented message has used a part of the limit.
        room = self._max_frame - (self.protocol.current_size or 0)
        return bounds is not None and bounds[1] - bounds[0] > room

    def _give_up(self, error: Exception, reason: str | None = None) -> None:
        """Fail the connection in the way the protocol object does for faults that it finds."""
        self.protocol.fail(violation_code(error), reason or str(error))
        self.protocol.parser_exc = error

    def _buffer(self, rest: bytes, need: int) -> None:
        self._chunks.append(rest)
        self._have = len(rest)
        self._need = need if need > 0 else self._have + 1

    def _through_protocol(self, data: bytes, messages: list[ReceivedMessage]) -> None:
        protocol = self.protocol
        if protocol.reader.eof:
            return
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, Frame):
                self._frame(event, messages)

    def _frame(self, frame: Frame, messages: list[ReceivedMessage]) -> None:
        if frame.opcode is Opcode.TEXT or frame.opcode is Opcode.BINARY:
            self._text = frame.opcode is Opcode.TEXT
            self._fragments = bytearray()
        elif frame.opcode is not Opcode.CONT:
            if frame.opcode is Opcode.PONG:
                self.pongs.append(bytes(frame.data))
            return
        self._fragments += frame.data
        if frame.fin:
            payload = bytes(self._fragments)
            self._fragments = bytearray()
            try:
                if self._deflate is not None:
                    payload = self._continue_after_final_block(self._deflate, payload)
            except (ProtocolError, PayloadTooBig) as error:
                self._give_up(error)
            else:
                self._deliver(payload, self._text, messages)

    def _inflate(self, deflate: PerMessageDeflate, data: bytes, text: bool, messages: list[ReceivedMessage]) -> None:
        """Inflate and deliver a whole compressed frame."""
        try:
            payload = self._continue_after_final_block(deflate, self._inflated(deflate, data, text))
        except (ProtocolError, PayloadTooBig) as error:
            self._give_up(error)
        else:
            self._deliver(payload, text, messages)

    def _inflated(self, deflate: PerMessageDeflate, data: bytes, text: bool) -> bytes:
        """Inflate a frame as the extension does; a short one with context takeover without its frame objects."""
        limit = self.protocol.max_message_size
        if deflate.remote_no_context_takeover or len(data) >= _ONE_STEP_INFLATE:
            frame = Frame(Opcode.TEXT if text else Opcode.BINARY, data, rsv1=True)
            return bytes(deflate.decode(frame, max_size=limit).data)
        decoder = deflate.decoder
        try:
            payload = decoder.decompress(data + EMPTY_BLOCK, limit or 0)
        except zlib.error as error:
            raise ProtocolError("decompression failed") from error
        if decoder.unconsumed_tail:
            raise PayloadTooBig(None, limit)
        return payload

    def _continue_after_final_block(self, deflate: PerMessageDeflate, payload: bytes) -> bytes:
        """Return the whole message that begins with `payload`: a block with BFINAL does not end it (RFC 7692, 7.2.3.4).

        zlib stops at such a block, and the extension would return every later message as empty. Raise ProtocolError if
        the rest cannot be inflated, or has too many such blocks.
        """
        decoder = getattr(deflate, "decoder", None)  # absent without context takeover
        limit = self.protocol.max_message_size or 0
        for _ in range(_MAX_FINAL_BLOCKS):
            if decoder is None or not decoder.eof:
                return payload
            rest = decoder.unused_data
            decoder = deflate.decoder = zlib.decompressobj(-deflate.remote_max_window_bits, payload[-_WINDOW:])
            try:
                payload += decoder.decompress(rest, limit)
            except zlib.error as error:
                raise ProtocolError("decompression failed") from error
            if decoder.unconsumed_tail or len(payload) > (limit or len(payload)):
                raise PayloadTooBig(None, limit)
        raise ProtocolError("too many final blocks in a message")

    def _deliver(self, payload: bytes, text: bool, messages: list[ReceivedMessage]) -> None:
        # The protocol object leaves the check of text to its caller (RFC 6455, 8.1).
        if text and not payload.isascii():
            try:
                payload.decode()
            except UnicodeDecodeError as error:
                if self.protocol.state is OPEN:
                    self._give_up(error, f"{error.reason} at position {error.start}")
                return
        self.small_frames = 0
        messages.append(ReceivedMessage(payload, text))
